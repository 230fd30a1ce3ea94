"""How many requests for one version an engine works on at the same time: a number that was given,
or one that is found by watching how long they take.
"""

import math
import time
from collections.abc import Callable
from typing import Protocol

from augurium.core.errors import Overloaded
from augurium.core.priority import Priority
from augurium.core.serving_policy import OverloadPolicy

FIRST_LIMIT = 20.0
LEAST_LIMIT = 4.0
MOST_LIMIT = 2048
# one step of the limit: so long, and so many answers, at least
STEP_S = 0.1
STEP_ANSWERS = 10
# how many steps the usual time is an average of: ten minutes
LONG_WINDOW = 6000
WARM_UP = 10
TOLERANCE = 1.5
LEAST_GRADIENT = 0.5
QUEUE = 4.0
SMOOTHING = 0.2


class ConcurrencyLimit(Protocol):
    """The limit that is in force."""

    @property
    def limit(self) -> int: ...

    def answered(self, seconds: float, in_flight: int) -> None:
        """An answer took so long, while so many were worked on."""
        ...


class FixedLimit:
    """A limit that was given."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def answered(self, seconds: float, in_flight: int) -> None:
        """Changes nothing."""


class GradientLimit:
    """A limit that grows while answers take as long as usual, and shrinks when they take longer:
    then requests stand in a queue.

    Source: Netflix, concurrency-limits, `Gradient2Limit`: the ratio of the usual time to the last
    one, with a tolerance and room for a small queue. What takes longer for good is usual after a
    while.
    """

    def __init__(self, most: int = MOST_LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(most)
        self._clock = clock
        self._limit = min(FIRST_LIMIT, self._most)
        self._usual_s = 0.0
        self._steps = 0
        # of the step that has begun
        self._began = clock()
        self._answers = 0
        self._seconds = 0.0
        self._most_in_flight = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

    def answered(self, seconds: float, in_flight: int) -> None:
        """Changes the limit at the end of a step, unless too few were worked on to say anything
        about it.
        """
        self._answers += 1
        self._seconds += seconds
        self._most_in_flight = max(self._most_in_flight, in_flight)
        now = self._clock()
        if self._answers >= STEP_ANSWERS and now - self._began >= STEP_S:
            self._step(max(self._seconds / self._answers, 1e-6))
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._began = now
        self._answers = 0
        self._seconds = 0.0
        self._most_in_flight = 0

    def _step(self, seconds: float) -> None:
        self._learn(seconds)
        if self._most_in_flight < self._limit / 2:
            return
        gradient = max(LEAST_GRADIENT, min(1.0, TOLERANCE * self._usual_s / seconds))
        wanted = self._limit * gradient + QUEUE
        found = self._limit + SMOOTHING * (wanted - self._limit)
        self._limit = min(self._most, max(min(LEAST_LIMIT, self._most), found))

    def _learn(self, seconds: float) -> None:
        self._steps += 1
        window = LONG_WINDOW if self._steps > WARM_UP else self._steps
        self._usual_s += (seconds - self._usual_s) / window
        if self._usual_s > 2 * seconds:
            # it was overloaded for long: come back faster than the average does
            self._usual_s *= 0.95


def limit_of(policy: OverloadPolicy) -> ConcurrencyLimit | None:
    """What a policy asks for; None for no limit."""
    if policy.adaptive_concurrency:
        return GradientLimit(policy.max_concurrency or MOST_LIMIT)
    return FixedLimit(policy.max_concurrency) if policy.max_concurrency else None


def check(limit: ConcurrencyLimit, in_flight: int, priority: Priority) -> None:
    """Raises Overloaded for a request beyond the limit; it is counted already. A quarter of the
    places is not for batch.
    """
    most = limit.limit
    if priority is Priority.BATCH:
        most = math.ceil(most * 0.75)
    if in_flight > most:
        raise Overloaded(
            f"this engine works on {limit.limit} requests for this model already; try again later",
            reason="concurrency",
        )
