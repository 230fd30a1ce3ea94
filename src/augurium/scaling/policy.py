"""What a group of replicas is scaled by: targets, bounds, and how fast it may change."""

import math
from datetime import datetime
from typing import NamedTuple

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.scaling.schedule import Schedule

MOST_REPLICAS = 1000


class Targets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one replica shall have; None is not looked at. The largest wish wins.

    `request_rate` (1/s) and `in_flight` are per replica, the others as in `Observation`.
    """

    request_rate: float | None = None
    in_flight: float | None = None
    queue_delay_s: float | None = None
    cpu_utilization: float | None = None
    gpu_utilization: float | None = None


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the number may change in one direction.

    For `window_s` every wish must have asked for a change before it is made. In `period_s` at most
    `count` replicas change, or `share` of those at its beginning if that is more. Source: the
    `behavior` of Kubernetes' HorizontalPodAutoscaler v2.
    """

    window_s: float = 0.0
    count: int = 4
    share: float = 0.0
    period_s: float = 15.0


class Bounds(NamedTuple):
    """The fewest and the most replicas there may be now, and the schedule that says so."""

    low: int
    high: int
    schedule: str = ""


class ScalingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Between which numbers a group moves, towards which targets, and how fast.

    `smallest` may be 0 for what a request can wake; it sleeps after `idle_s` without one. A ratio
    within `tolerance` of 1 changes nothing. What is older than `stale_s` was not measured.
    """

    smallest: int = 1
    largest: int = 1
    targets: Targets = Targets(cpu_utilization=0.7)
    tolerance: float = 0.1
    up: Pace = Pace()
    down: Pace = Pace(window_s=300.0, count=1, period_s=60.0)
    idle_s: float = 300.0
    stale_s: float = 10.0
    schedules: tuple[Schedule, ...] = ()

    def bounds(self, now: datetime) -> Bounds:
        """What holds at a moment. Where schedules meet, the largest minimum and the smallest
        maximum hold; a minimum wins over a maximum.
        """
        low, high, names = self.smallest, self.largest, []
        for schedule in self.schedules:
            if not schedule.holds(now):
                continue
            names.append(schedule.text)
            low = max(low, schedule.smallest or 0)
            high = min(high, self.largest if schedule.largest is None else schedule.largest)
        return Bounds(low, max(low, high), "; ".join(names))

    def check(self) -> None:
        """Raises InvalidArgument for what cannot be meant."""
        if not 0 <= self.smallest <= self.largest <= MOST_REPLICAS:
            raise InvalidArgument(
                f"scaling: the smallest number is {self.smallest} and the largest {self.largest};"
                f" expected 0 <= smallest <= largest <= {MOST_REPLICAS}"
            )
        for name in Targets.__struct_fields__:
            _check_positive(f"target {name}", getattr(self.targets, name))
        if self.targets.gpu_utilization is not None and self.targets.gpu_utilization > 1:
            raise InvalidArgument("scaling: target gpu_utilization is a share, at most 1")
        if not 0 <= self.tolerance < 1:
            raise InvalidArgument(f"scaling: tolerance is {self.tolerance}; expected 0 <= t < 1")
        for pace in (self.up, self.down):
            if not (pace.count >= 1 or pace.share > 0):
                raise InvalidArgument("scaling: a pace of no replicas per period changes nothing")
            if not (pace.window_s >= 0 and pace.period_s > 0 and pace.share >= 0):
                raise InvalidArgument("scaling: windows, periods and shares are not negative")
        for schedule in self.schedules:
            self._check_schedule(schedule)

    def _check_schedule(self, schedule: Schedule) -> None:
        if (schedule.smallest or 0) > self.largest:
            raise InvalidArgument(
                f"scaling: schedule '{schedule.text}' asks for at least {schedule.smallest}, and"
                f" the largest number is {self.largest}; raise that"
            )
        if schedule.largest is not None and schedule.largest < self.smallest:
            raise InvalidArgument(
                f"scaling: schedule '{schedule.text}' allows at most {schedule.largest}, and the"
                f" smallest number is {self.smallest}; lower that"
            )


def _check_positive(what: str, value: float | None) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise InvalidArgument(f"scaling: {what} is {value}; expected a number above 0")
