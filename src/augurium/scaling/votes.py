"""What each measure asks for: target tracking.

Source: Kubernetes, "Horizontal Pod Autoscaling", algorithm details: desired = ceil(current x value
/ target), nothing within the tolerance; replicas that are not measured yet count as idle when the
number would grow and as exactly busy enough when it would shrink. Ray Serve
(`target_ongoing_requests`) and KEDA (`AverageValue`) divide a total by the target per replica in
the same way.
"""

import math
from typing import NamedTuple

from augurium.scaling.observation import Observation
from augurium.scaling.policy import ScalingPolicy, Targets

# a delay says that there are too few, not how many are missing: it at most doubles
MOST_FOR_DELAY = 2.0
# nor how many are too many: far below its target it lets one go at a time
QUIET = 0.25
TOTALS = frozenset({"request_rate", "in_flight"})
_ROUNDING = 1e-9


class Vote(NamedTuple):
    """How many replicas one measure asks for; `value` is None where it could not be measured."""

    measure: str
    target: float
    value: float | None = None
    needed: int = 0

    def __str__(self) -> str:
        """In words, such as `cpu utilization 0.93 against 0.7`."""
        if self.value is None:
            return f"{words(self.measure)} unknown"
        return f"{words(self.measure)} {self.value:.3g} against {self.target:g}"


def words(measure: str) -> str:
    """The name of a measure for people."""
    name, unit = (measure[:-2], " (s)") if measure.endswith("_s") else (measure, "")
    per = " per replica" if measure in TOTALS else ""
    return name.replace("_", " ") + unit + per


def votes(policy: ScalingPolicy, current: int, seen: Observation) -> list[Vote]:
    """One vote for every target, also for those that could not be measured."""
    found = []
    for measure in Targets.__struct_fields__:
        target = getattr(policy.targets, measure)
        if target is None:
            continue
        value = getattr(seen, measure)
        if value is None or not math.isfinite(value):
            found.append(Vote(measure, target))
        elif measure == "queue_delay_s":
            needed = _for_delay(value / target, current, seen.measured, policy.tolerance)
            found.append(Vote(measure, target, value, needed))
        else:
            total = value if measure in TOTALS else value * seen.measured
            needed = _for_load(total / target, current, seen.measured, policy.tolerance)
            each = value / max(1, seen.measured) if measure in TOTALS else value
            found.append(Vote(measure, target, each, needed))
    return found


def _for_load(required: float, current: int, measured: int, tolerance: float) -> int:
    """For a load of which `required` replicas would have exactly their target."""
    if required < current:
        required = min(float(current), required + max(0, current - measured))
    if current and abs(required / current - 1) <= tolerance + _ROUNDING:
        return current
    return math.ceil(required - _ROUNDING)


def _for_delay(ratio: float, current: int, measured: int, tolerance: float) -> int:
    if ratio > 1 + tolerance + _ROUNDING:
        return max(current, math.ceil(measured * min(ratio, MOST_FOR_DELAY) - _ROUNDING))
    return current - 1 if ratio < QUIET and current > 1 and measured >= current else current
