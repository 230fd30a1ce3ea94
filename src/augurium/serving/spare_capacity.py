"""Whether an engine has time left for work that nobody waits for."""

import time
from collections.abc import Callable

# of the requests that an engine may work on
MOST_IN_FLIGHT = 0.25
# of the time: above it requests begin to wait for each other
MOST_BUSY = 0.7
WINDOW_S = 0.1
# a turn of the loop that took longer says that the processor is wanted by others
LONGEST_TURN_S = 0.02


class SpareCapacity:
    """Looks at the event loop's thread, on which it must be asked: how much of the latest moments
    it was running, and how many requests are under way.
    """

    def __init__(
        self,
        max_in_flight: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._most = max(1, int(max_in_flight * MOST_IN_FLIGHT))
        self._clock = clock
        self._cpu = cpu
        self._since: float | None = None
        self._used = 0.0
        self._busy = 0.0

    def has_room(self, in_flight: int) -> bool:
        """Whether there is some now, with so many requests under way."""
        self._look()
        return in_flight <= self._most and self._busy <= MOST_BUSY

    def is_late(self, asked: float) -> bool:
        """Whether what was asked of the loop for its next turn comes too late."""
        return self._clock() - asked > LONGEST_TURN_S

    def now(self) -> float:
        """The time that `is_late` takes."""
        return self._clock()

    def _look(self) -> None:
        now = self._clock()
        if self._since is None:
            self._since, self._used = now, self._cpu()
        elif now - self._since >= WINDOW_S:
            used = self._cpu()
            self._busy = (used - self._used) / (now - self._since)
            self._since, self._used = now, used
