"""Patience with bad credentials: a few cost nothing, a flood is answered slowly.

Only refusals wait, so callers with good credentials never notice.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

FREE = 20
FORGIVEN_PER_S = 5.0
STEP_S = 0.02
LONGEST_S = 1.0
MOST_WAITING = 1000
REPORT_S = 10.0

log = structlog.get_logger()


class Patience:
    """Counts refusals of one process: `free` at once, then each more makes the next wait longer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, free: int = FREE) -> None:
        self._clock = clock
        self._free = free
        self._level = 0.0
        self._at = clock()
        self._waiting = 0
        self._unreported = 0
        self._reported_at = float("-inf")

    def refused(self) -> float:
        """Counts one refusal; how many seconds its answer shall wait."""
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._at) * FORGIVEN_PER_S) + 1.0
        self._at = now
        self._report(now)
        return min(LONGEST_S, max(0.0, self._level - self._free) * STEP_S)

    async def wait(self) -> None:
        """Counts one refusal and waits as long as its answer shall.

        So many may wait at once; more are answered at once, because waiting takes memory.
        """
        delay_s = self.refused()
        if delay_s and self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                await asyncio.sleep(delay_s)
            finally:
                self._waiting -= 1

    def _report(self, now: float) -> None:
        # one line for many: a flood must not fill the disk either
        self._unreported += 1
        if now - self._reported_at >= REPORT_S:
            log.warning("credentials refused", refused=self._unreported)
            self._reported_at, self._unreported = now, 0
