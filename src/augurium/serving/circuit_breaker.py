"""A version that fails most of the time is not asked for a while, and then only now and then until
it answers again.

Source: M. Nygard, "Release It!", 2nd edition, chapter 5, "Circuit Breaker".
"""

import random
import time
from collections import deque
from collections.abc import Callable

from augurium.core.serving_policy import BreakerPolicy

BUCKETS = 10
# so that engines do not all probe at the same time
JITTER = 0.2


class CircuitBreaker:
    """Closed: asks. Open: does not. Half open: one probe at a time; some in a row close it, the
    first that fails opens it again.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._chance = chance
        # start, answers and failures of each part of the window
        self._buckets: deque[list[float]] = deque()
        self._open_until: float | None = None
        self._probing = False
        self._probed = 0

    @property
    def is_open(self) -> bool:
        """Whether it has opened and not closed since."""
        return self._open_until is not None

    @property
    def opens_in_s(self) -> float:
        """How long until somebody is let through again."""
        return max(0.0, (self._open_until or 0.0) - self._clock())

    def admits(self) -> bool:
        """Whether to ask; who was told so says with `ended` what became of it."""
        if self._open_until is None:
            return True
        if self._probing or self._clock() < self._open_until:
            return False
        self._probing = True
        return True

    def ended(self, ok: bool | None) -> None:
        """An answer, a failure, or None for what says nothing: a caller's mistake or departure."""
        if self._open_until is not None:
            self._probe_ended(ok)
        elif ok is not None:
            self._count(ok)

    def _probe_ended(self, ok: bool | None) -> None:
        if not self._probing:
            return  # it was asked before the breaker opened
        self._probing = False
        if ok is None:
            return
        if not ok:
            self._open()
            return
        self._probed += 1
        if self._probed >= self._policy.probes:
            self._open_until = None
            self._buckets.clear()

    def _count(self, ok: bool) -> None:
        now, window_s = self._clock(), self._policy.window_s
        if not self._buckets or now - self._buckets[-1][0] >= window_s / BUCKETS:
            self._buckets.append([now, 0, 0])
        while self._buckets[0][0] <= now - window_s:
            self._buckets.popleft()
        self._buckets[-1][1 if ok else 2] += 1
        if ok:
            return
        failed = sum(bucket[2] for bucket in self._buckets)
        total = failed + sum(bucket[1] for bucket in self._buckets)
        if total >= self._policy.least_requests and failed >= self._policy.failure_rate * total:
            self._open()

    def _open(self) -> None:
        jitter = 1 + JITTER * (2 * self._chance() - 1)
        self._open_until = self._clock() + self._policy.open_s * jitter
        self._probed = 0
