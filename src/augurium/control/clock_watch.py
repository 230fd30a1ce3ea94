"""Wall-clock time that can be believed: not while the clock has just been set."""

from datetime import datetime, timedelta

import structlog

from augurium.core.clock import Clock

# more than what keeps clocks in time changes at once
JUMP = timedelta(seconds=30)
# a wrong time is often put right again soon: of a machine that wakes up, or one set by hand
SETTLE_S = 60.0
log = structlog.get_logger()


class ClockWatch:
    """Compares the wall clock with one that cannot be set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.now() - timedelta(seconds=clock.monotonic())
        self._believed_at = clock.monotonic()

    def now(self) -> datetime | None:
        """The time; None for a minute after the clock was set by more than half a minute."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        start = now - timedelta(seconds=monotonic)
        if abs(start - self._start) > JUMP:
            moved_s = (start - self._start).total_seconds()
            log.warning("the clock was set; schedules wait", moved_s=moved_s, wait_s=SETTLE_S)
            self._believed_at = monotonic + SETTLE_S
        # slow corrections add up to no jump
        self._start = start
        return now if monotonic >= self._believed_at else None
