"""What one version may have of the requests an engine works on when there are almost too many.

The last quarter of the room is for versions that use less than their share: a flood on one of them
does not take the room of the others.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from augurium.core.errors import Overloaded
from augurium.core.priority import Priority

CONTENDED = 0.75
# fewer places are not shared out
LEAST_SHARED = 16
# counting those at work takes a while where there are a thousand
COUNT_EVERY_S = 0.02


class Sharing(Protocol):
    """One of those that share: how many of its requests the engine works on."""

    in_flight: int


class FairShare:
    """Refuses requests when `max_in_flight` are worked on, and before that those of versions that
    have more than their share: the whole room by the number of versions at work, at least two.
    """

    def __init__(
        self,
        max_in_flight: int,
        sharing: Callable[[], Iterable[Sharing]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_in_flight = max_in_flight
        # up to here nobody is asked anything
        self.free = max_in_flight
        if max_in_flight >= LEAST_SHARED:
            self.free = int(max_in_flight * CONTENDED)
        self._sharing = sharing
        self._clock = clock
        self._at_work = 0
        self._counted_at = float("-inf")

    def check(self, in_flight: int, one: Sharing, priority: Priority) -> None:
        """Raises Overloaded for a request that has no place; it is counted already."""
        if in_flight > self.max_in_flight:
            raise Overloaded(
                f"this engine works on {self.max_in_flight} requests already; try again later",
                reason="engine_full",
            )
        if priority is Priority.CRITICAL:
            return
        share = self.max_in_flight // max(2, self._at_work_now())
        if priority is Priority.BATCH:
            share //= 2
        if one.in_flight > max(1, share):
            raise Overloaded(
                f"this engine works on {in_flight} requests, and this model has more than its"
                " share of them; try again later",
                reason="fair_share",
            )

    def _at_work_now(self) -> int:
        now = self._clock()
        if now - self._counted_at > COUNT_EVERY_S:
            self._at_work = sum(1 for one in self._sharing() if one.in_flight)
            self._counted_at = now
        return self._at_work
