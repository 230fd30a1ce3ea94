"""How a canary is to go: the steps of its weight, and what decides about it."""

from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta, Struct

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_name
from augurium.core.traffic_policy import ROUNDING, VersionOf
from augurium.core.traffic_slots import SLOTS

AtDeadline = Literal["roll_back", "hold", "promote"]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Percent = Annotated[float, Meta(gt=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=2**53)]


class QualityMetric(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A metric of feedback that the candidate may not harm by more than `margin`, in its unit."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    margin: Annotated[float, Meta(ge=0)]
    higher_is_better: bool = True
    planned: Annotated[int, Meta(ge=100)] = 10_000
    """Outcomes of both arms at which its interval is to be at its narrowest."""


class CanaryPlan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The candidate and the rules by which it gets more traffic, or none.

    A step is left for the next when it has taken `hold_s`, the candidate has answered
    `least_requests` in it, and its errors are known to be no more than `margin_pp` above those of
    the baseline.
    """

    version: VersionOf
    """The candidate."""
    steps: Annotated[tuple[Percent, ...], Meta(min_length=1, max_length=100)] = (5, 25, 50, 100)
    """Percent of the units that it has, in steps of 0.01."""
    hold_s: Seconds = 300
    least_requests: Count = 1000
    tick_s: Annotated[float, Meta(ge=1, le=300)] = 2
    """How often it is judged."""
    warm_up_s: Seconds = 60
    """What it does first is not compared: for so long, or `warm_up_requests` if that is sooner."""
    warm_up_requests: Count = 100
    slo_ms: Annotated[float, Meta(gt=0)] | None = None
    """Slower answers are breaches, counted from histograms to 1 %; without it those are compared
    that were counted by the objective of the model, if it has one.
    """
    alpha: Annotated[float, Meta(gt=0, le=0.5)] = 0.01
    """How probable it may be that a candidate that is no worse is rolled back, in all its life."""
    relative_percent: Annotated[float, Meta(ge=0)] = 10
    """An increase of errors or breaches that is smaller is none."""
    absolute_pp: Annotated[float, Meta(ge=0, le=100)] = 0.05
    """Neither is one of fewer percentage points."""
    margin_pp: Percent = 0.1
    """Percentage points of errors that a candidate which is promoted may have more, at most."""
    error_limit_percent: Percent = 5
    """More errors are too many, whatever the baseline does."""
    error_limit_requests: Count = 50
    slo_factor: Annotated[float, Meta(ge=1)] = 2
    """A 99th percentile above so many times `slo_ms` is too slow, whatever the baseline does."""
    slo_limit_requests: Count = 500
    deadline_s: Seconds = 86_400
    """How long it may take, not counting what it was paused; 0: for ever."""
    at_deadline: AtDeadline = "roll_back"
    quality: QualityMetric | None = None
    drift_limit: Annotated[float, Meta(gt=0)] | None = None
    """How far apart the mean scores may be to go on, in standard deviations; None: they are only
    told.
    """

    @property
    def share_of_alpha(self) -> float:
        """What each of errors, breaches and quality may take of it."""
        return self.alpha / (2 if self.quality is None else 3)


def check_plan(plan: CanaryPlan) -> None:
    """Raises InvalidArgument for a plan that cannot be meant."""
    steps = ", ".join(f"{step:g}" for step in plan.steps)
    if any(earlier >= later for earlier, later in pairwise(plan.steps)):
        raise InvalidArgument(f"the steps {steps} do not grow; expected such as 5, 25, 50, 100")
    if plan.steps[0] == 100:
        raise InvalidArgument(
            "the first step is 100 %, where there is nothing to compare with; begin with less"
        )
    for step in plan.steps:
        if abs(step * SLOTS / 100 - round(step * SLOTS / 100)) > ROUNDING:
            raise InvalidArgument(f"the step {step} % is finer than 0.01 %; round it")
    needed_s = plan.hold_s * len(plan.steps)
    if plan.deadline_s and plan.deadline_s < needed_s:
        raise InvalidArgument(
            f"the deadline of {plan.deadline_s:g} s is before the {len(plan.steps)} steps of "
            f"{plan.hold_s:g} s are over; allow {needed_s:g} s at least, or hold them shorter"
        )
    if plan.quality is not None:
        check_name("quality metric", plan.quality.name)
