"""Whether an engine has time left for work that nobody waits for, and how much of that it does."""

import time
from collections.abc import Callable
from pathlib import Path

# of the requests that an engine may work on
MOST_IN_FLIGHT = 0.25
# of the time: above it requests begin to wait for each other
MOST_BUSY = 0.7
WINDOW_S = 0.1
# a turn of the loop that took longer says that the processor is wanted by others
LONGEST_TURN_S = 0.02
# of the time that may go into such work, beside the model runs themselves, and in how long a time
# it may be used up: what takes Python's lock keeps requests waiting
SHARE = 0.1
BURST_S = 0.01
SCHEDULED = Path("/proc/thread-self/schedstat")
NANOSECONDS = 1e9


def wanted_s() -> float:
    """How long this thread has run, or waited for a processor. Without Linux, run.

    Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
    """
    try:
        ran, waited, _ = SCHEDULED.read_bytes().split()
    except (OSError, ValueError):
        return time.thread_time()
    return (int(ran) + int(waited)) / NANOSECONDS


class SpareCapacity:
    """Looks at the event loop's thread, on which it must be asked: how much of the latest moments
    it ran or wanted to, how many requests are under way, and how much was spent already.
    """

    def __init__(
        self,
        max_in_flight: int,
        clock: Callable[[], float] = time.monotonic,
        wanted: Callable[[], float] = wanted_s,
        burst_s: float = BURST_S,
    ) -> None:
        self._most = max(1, int(max_in_flight * MOST_IN_FLIGHT))
        self._clock = clock
        self._wanted = wanted
        self._since: float | None = None
        self._before = 0.0
        self._busy = 0.0
        self._burst_s = self._left_s = burst_s
        self._filled = clock()

    def has_room(self, in_flight: int) -> bool:
        """Whether there is some now, with so many requests under way."""
        if in_flight > self._most:
            return False
        now = self._clock()
        self._look(now)
        if self._busy > MOST_BUSY:
            return False
        self._left_s = min(self._burst_s, self._left_s + SHARE * (now - self._filled))
        self._filled = now
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """So much was used."""
        self._left_s -= seconds

    def is_late(self, asked: float) -> bool:
        """Whether what was asked of the loop for its next turn comes too late."""
        return self._clock() - asked > LONGEST_TURN_S

    def now(self) -> float:
        """The time that `is_late` takes."""
        return self._clock()

    def _look(self, now: float) -> None:
        if self._since is None:
            self._since, self._before = now, self._wanted()
        elif now - self._since >= WINDOW_S:
            wanted = self._wanted()
            self._busy = (wanted - self._before) / (now - self._since)
            self._since, self._before = now, wanted
