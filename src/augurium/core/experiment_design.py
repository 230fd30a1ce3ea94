"""The design of an experiment: what is compared, by which numbers, for how long; fixed before it
starts.

The split that it asks for is `ExperimentDesign.policy`. `traffic/experiment_verdict.py` says what
the numbers mean, from sums that `control/experiment_sums.py` makes of the prediction log and the
feedback.
"""

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta, Struct

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_name
from augurium.core.traffic_policy import (
    UNIT_HEADER,
    Source,
    TrafficPolicy,
    Variant,
    check_policy,
)

DAY_S = 86_400.0
WEEK_DAYS = 7.0
REQUESTS = "requests"
LONGEST_DAYS = 366.0
MetricName = Annotated[str, Meta(min_length=1, max_length=128)]
OptionalName = Annotated[str, Meta(max_length=128)]


class Covariate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was known of a unit before the experiment, to make its metric vary less (CUPED)."""

    source: Literal["feedback", "score"] = "feedback"
    feedback: OptionalName = ""
    """The feedback whose values are added up; empty for that of the metric."""
    days: Annotated[float, Meta(gt=0, le=LONGEST_DAYS)] = 14.0
    """How long before the start it counts: the start itself is the end of that period."""


class ExperimentMetric(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A number of every variant; the kind says how it is made.

    Per unit (what `unit` of the design says), `binary` is the share of units that had it at least
    once, and `continuous` the mean of a sum over the unit's feedback, or of a mean over its latency
    or score. Per request both are the sum of values by the number of requests, binary ones being 0
    or 1. `ratio` is a sum of values by that of the `denominator`, `quantile` the `share` quantile
    of positive values. A feedback that did not come is 0. Its uncertainty is always that of units.
    """

    name: MetricName
    kind: Literal["binary", "continuous", "ratio", "quantile"] = "binary"
    source: Literal["feedback", "errors", "latency", "score"] = "feedback"
    """`errors` are those of the server, `latency` is in seconds."""
    direction: Literal["higher", "lower"] = "higher"
    """Which way is better."""
    per: Literal["unit", "request"] = "unit"
    """For binary and continuous metrics."""
    feedback: OptionalName = ""
    """The feedback's name; empty for the metric's."""
    denominator: OptionalName = ""
    """Of a ratio: a feedback's name, or `requests`."""
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    """Of a quantile: 0.99 for p99."""
    effect: Annotated[float, Meta(gt=0, le=100)] | None = None
    """The smallest effect worth finding, as a share of the control's metric: 0.05 is 5 %."""
    covariate: Covariate | None = None

    @property
    def feedback_name(self) -> str:
        """The name of the feedback it is made of; empty for another source."""
        return (self.feedback or self.name) if self.source == "feedback" else ""


class MetricGuardrail(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A metric that no treatment may make worse by more than a margin."""

    metric: ExperimentMetric
    margin: Annotated[float, Meta(ge=0)]
    relative: bool = True
    """The margin is a share of the control's metric; else in its unit."""


class Bandit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Shares that follow what was seen, instead of a comparison: it proves nothing.

    Good where rewards come within minutes, variants stay as good as they are, and a few percent of
    reward matter more than to know why. There are no p-values, and none would hold.
    """

    method: Literal["thompson"] = "thompson"
    floor: Annotated[float, Meta(ge=0, lt=1)] = 0.05
    """The least share of every variant, so that a change is noticed."""
    every_s: Annotated[float, Meta(ge=60, le=30 * DAY_S)] = 3600.0
    """How often shares are decided anew."""


LATENCY_GUARDRAIL = MetricGuardrail(
    ExperimentMetric("p99_latency", "quantile", "latency", "lower", "request", share=0.99), 0.05
)
ERROR_GUARDRAIL = MetricGuardrail(
    ExperimentMetric("error_rate", "binary", "errors", "lower", "request"), 0.001, relative=False
)


class ExperimentDesign(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """An experiment on versions of a model; the control is the first variant.

    It ends after `days`, or when `units` were seen, whichever was said; after both the first of
    them. Neither means 7 days.
    """

    hypothesis: Annotated[str, Meta(min_length=1, max_length=4000)]
    """What is believed and why, in a sentence, before anything is seen."""
    variants: Annotated[tuple[Variant, ...], Meta(min_length=2, max_length=10)]
    metrics: Annotated[tuple[ExperimentMetric, ...], Meta(min_length=1, max_length=50)]
    primary: Annotated[tuple[MetricName, ...], Meta(max_length=10)] = ()
    """The metrics that decide, by name; empty for the first. All others are secondary."""
    guardrails: Annotated[tuple[MetricGuardrail, ...], Meta(max_length=20)] = (
        LATENCY_GUARDRAIL,
        ERROR_GUARDRAIL,
    )
    unit: Source = f"header:{UNIT_HEADER}"
    """`header:NAME`, `feature:NAME` of the first row, or `request`."""
    salt: OptionalName = ""
    """Another salt assigns units anew; empty for the model's name."""
    days: Annotated[float, Meta(gt=0, le=LONGEST_DAYS)] | None = None
    units: Annotated[int, Meta(ge=100)] | None = None
    looks: Annotated[int, Meta(ge=1, le=100)] = 7
    """How often the result is looked at, the end included, in equal steps of the plan."""
    alpha: Annotated[float, Meta(gt=0, le=0.5)] = 0.05
    """The chance that any treatment is said to differ in a primary metric when none does."""
    power: Annotated[float, Meta(gt=0, lt=1)] = 0.8
    """The wanted chance to see a metric's `effect` when it is there."""
    spending: Literal["obrien-fleming", "pocock"] = "obrien-fleming"
    attribution_s: Annotated[float, Meta(gt=0, le=LONGEST_DAYS * DAY_S)] = WEEK_DAYS * DAY_S
    """Feedback counts that happened so long after a unit's first exposure."""
    on_breach: Literal["stop", "report"] = "stop"
    """Of a guardrail: end the experiment with the control, or say it and go on."""
    mismatch_alpha: Annotated[float, Meta(gt=0, le=0.1)] = 0.001
    """The chance that a sample ratio mismatch is seen where there is none."""
    bandit: Bandit | None = None

    @property
    def policy(self) -> TrafficPolicy:
        """The split that it starts with."""
        return TrafficPolicy(split=self.variants, unit=self.unit, salt=self.salt)

    @property
    def control(self) -> str:
        """The control's label."""
        return self.variants[0].label

    @property
    def treatments(self) -> tuple[str, ...]:
        """The labels of the others."""
        return tuple(variant.label for variant in self.variants[1:])

    @property
    def primaries(self) -> tuple[ExperimentMetric, ...]:
        """The metrics that decide."""
        names = self.primary or (self.metrics[0].name,)
        return tuple(metric for metric in self.metrics if metric.name in names)

    @property
    def secondaries(self) -> tuple[ExperimentMetric, ...]:
        """The metrics that only tell."""
        primaries = self.primaries
        return tuple(metric for metric in self.metrics if metric not in primaries)

    @property
    def measured(self) -> tuple[ExperimentMetric, ...]:
        """All metrics, those of the guardrails behind the others."""
        return (*self.metrics, *(guardrail.metric for guardrail in self.guardrails))

    @property
    def most_days(self) -> float | None:
        """After how many days it ends, whatever came; None where only the units say it."""
        return WEEK_DAYS if self.days is None and self.units is None else self.days

    @property
    def least_days(self) -> float:
        """Before so many days nothing is shipped: a week, unless it was to be shorter."""
        return min(WEEK_DAYS, self.most_days or WEEK_DAYS)


def check_design(design: ExperimentDesign) -> None:
    """Raises InvalidArgument for a design that cannot be meant."""
    if not design.hypothesis.strip():
        raise InvalidArgument("an experiment needs a hypothesis: say what you believe, and why")
    if len(design.variants) < 2:
        raise InvalidArgument("an experiment needs a control and a treatment; name two variants")
    if not design.metrics:
        raise InvalidArgument("an experiment needs a metric that decides; name one")
    check_policy(design.policy)
    for variant in design.variants:
        if not variant.weight:
            raise InvalidArgument(
                f"variant '{variant.label}' has weight 0; give it some or drop it"
            )
    _check_names(design)
    for metric in design.measured:
        check_metric(metric)
    if design.power <= design.alpha:
        raise InvalidArgument(
            f"the power is {design.power:g} and alpha {design.alpha:g}; expected a power above "
            "alpha, such as 0.8"
        )
    if design.bandit is not None:
        _check_bandit(design, design.bandit)


def check_metric(metric: ExperimentMetric) -> None:
    """Raises InvalidArgument for a metric that cannot be made."""
    check_name("metric", metric.name)
    what, wanted = f"metric '{metric.name}'", _KINDS[metric.source]
    if metric.kind not in wanted:
        raise InvalidArgument(
            f"{what} is {metric.kind} of {metric.source}; expected {' or '.join(wanted)}"
        )
    if metric.kind == "ratio" and not metric.denominator:
        raise InvalidArgument(
            f"{what} is a ratio without denominator; name a feedback, or {REQUESTS}"
        )
    if metric.kind != "ratio" and metric.denominator:
        raise InvalidArgument(f"{what} has a denominator and is {metric.kind}; make it a ratio")
    if metric.source in ("errors", "latency") and metric.direction == "higher":
        raise InvalidArgument(f"{what} is of {metric.source}: make its direction 'lower'")
    if metric.covariate is not None:
        _check_covariate(what, metric, metric.covariate)


_KINDS = {
    "feedback": ("binary", "continuous", "ratio", "quantile"),
    "errors": ("binary", "continuous"),
    "latency": ("continuous", "quantile"),
    "score": ("continuous", "quantile"),
}


def _check_covariate(what: str, metric: ExperimentMetric, covariate: Covariate) -> None:
    if metric.per == "request" or metric.kind not in ("binary", "continuous"):
        raise InvalidArgument(
            f"{what} has a covariate; only binary and continuous metrics per unit can have one"
        )
    if covariate.source == "feedback" and not (covariate.feedback or metric.feedback_name):
        raise InvalidArgument(f"{what}: its covariate needs the name of a feedback")


def _check_names(design: ExperimentDesign) -> None:
    names = Counter(metric.name for metric in design.measured)
    name, times = names.most_common(1)[0]
    if times > 1:
        raise InvalidArgument(f"metric '{name}' is there {times} times; give each its own name")
    known = [metric.name for metric in design.metrics]
    for primary in design.primary:
        if primary not in known:
            raise InvalidArgument(
                f"primary metric '{primary}' is not among the metrics; expected one of "
                f"{', '.join(known)}"
            )


def _check_bandit(design: ExperimentDesign, bandit: Bandit) -> None:
    reward = design.primaries[0]
    if reward.kind not in ("binary", "continuous"):
        raise InvalidArgument(
            f"a bandit cannot follow '{reward.name}', which is a {reward.kind}; make its first "
            "primary metric binary or continuous"
        )
    if reward.covariate is not None:
        raise InvalidArgument(
            f"a bandit makes nothing of the covariate of '{reward.name}'; leave it out"
        )
    if bandit.floor * len(design.variants) > 1:
        raise InvalidArgument(
            f"the bandit's floor is {bandit.floor:g} for {len(design.variants)} variants; expected "
            f"at most {1 / len(design.variants):.3g}"
        )
