"""What is known of an experiment at a time, and what of it the next look needs."""

from enum import StrEnum
from typing import Literal

import msgspec

from augurium.statistics.guardrails import GuardrailState
from augurium.traffic.variant_sums import FeedbackCounts

Interval = tuple[float, float]


class Outcome(StrEnum):
    """How it stands; all but `running` end it."""

    RUNNING = "running"
    SHIP = "ship"
    """`ExperimentVerdict.variant` is better."""
    NO_DIFFERENCE = "no_difference"
    """It ended with the power it was to have, and nothing was found."""
    HARM = "harm"
    """The treatments are worse."""
    INVALID = "invalid"
    """A sample ratio mismatch: no number of it can be believed."""
    UNDERPOWERED = "underpowered"
    """It ended with fewer units than its effect needs: it says nothing."""
    STOPPED = "stopped"
    """A guardrail was breached."""


class Look(msgspec.Struct, frozen=True):
    """A planned look as it was taken; it never changes.

    `time` is the part of the plan that was over, by which alpha is spent; 1 for the last one.
    `scores` are the effects in standard errors by `metric/variant`, positive where the treatment
    is better.
    """

    at: float
    units: int
    time: float
    scores: dict[str, float]


class ExperimentPhase(msgspec.Struct, frozen=True):
    """A time with the same weights, until the next one: from when on, and the shares by variant.

    A change of weights is a new phase; shares add up to 1, in the order of the design's variants.
    """

    at: float
    shares: dict[str, float]


class ExperimentRun(msgspec.Struct, frozen=True, kw_only=True):
    """What of an experiment is remembered between two verdicts; times are seconds since 1970.

    `ended` says that no more comes: whoever ends an experiment early asks for the last look.
    """

    started_at: float
    looks: tuple[Look, ...] = ()
    mismatch_p_value: float = 1.0
    """The least there was."""
    planned_units: int | None = None
    """Of all variants; where only days were planned, what the first hundred units let expect. It
    never changes then, as always-valid intervals want it.
    """
    ended: bool = False


class VariantEstimate(msgspec.Struct, frozen=True):
    """A metric of a variant; `value` is None while too few units came."""

    variant: str
    units: int
    value: float | None = None
    se: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a treatment changes of a metric, held against the control.

    `interval` is a repeated confidence interval: it holds at all planned looks together; None
    between them. `always_interval` and
    `always_p_value` hold at any time; they are None below a hundred units (or conversions) of each
    variant. `lift` is the effect as a share of the control's metric, None where that is zero.
    `p_value` is that of the planned looks so far, for this comparison alone: the least alpha that
    would have found it. `adjusted_p_value` is that of Holm (primary) or of Benjamini and Hochberg.
    """

    variant: str
    effect: float
    se: float
    interval: Interval | None = None
    always_interval: Interval | None = None
    lift: float | None = None
    lift_interval: Interval | None = None
    lift_always_interval: Interval | None = None
    p_value: float = 1.0
    adjusted_p_value: float = 1.0
    always_p_value: float | None = None
    finding: Literal["better", "worse", "none"] = "none"


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in all variants.

    `variance_ratio` is what its covariate left of the variance, None without one. `detectable` is
    the effect, as a share of the control's metric, that will be found with the wanted power at the
    planned end; None while that cannot be said.
    """

    name: str
    role: Literal["primary", "secondary"]
    variants: tuple[VariantEstimate, ...]
    comparisons: tuple[Comparison, ...] = ()
    variance_ratio: float | None = None
    detectable: float | None = None


class GuardrailResult(msgspec.Struct, frozen=True, kw_only=True):
    """The harm that a treatment does to a guardrail's metric: its limits hold at any time.

    Harm is a share of the control's metric where `relative`, else in its unit; None while too few
    units came.
    """

    name: str
    variant: str
    margin: float
    relative: bool
    state: GuardrailState = GuardrailState.OPEN
    harm: float | None = None
    least_harm: float | None = None
    most_harm: float | None = None


class SampleRatioResult(msgspec.Struct, frozen=True):
    """Units by variant, what was expected of them, and the p-value, which never rises."""

    units: dict[str, int]
    expected: dict[str, float]
    p_value: float
    mismatch: bool


class ExperimentVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment stands, for people and for the loop that runs it.

    `run` is to be kept before anything is done about the outcome, and goes into the next verdict.
    `look` is the number of the planned look that this one is, None for a peek between two of them.
    `information` is the part of the plan that was seen, `over` says that all of it is. `power` is
    the chance, at the planned end, to see the `effect` of the first primary metric that has one,
    and `power_so_far` that of a test with the units there are; None without one. `bound` is the
    limit on |z| of the last look.
    `sentences` say what it means, and the last one what to do next.
    """

    outcome: Outcome
    at: float
    variant: str | None = None
    look: int | None = None
    looks_planned: int
    units: int
    information: float
    days: float
    over: bool
    bound: float | None = None
    power: float | None = None
    power_so_far: float | None = None
    sample_ratio: SampleRatioResult
    metrics: tuple[MetricResult, ...]
    guardrails: tuple[GuardrailResult, ...]
    mixed_units: int = 0
    feedback: FeedbackCounts = FeedbackCounts()
    phases: int = 1
    sentences: tuple[str, ...] = ()
    run: ExperimentRun
