"""Compaction: rows of the journal become segments; what is too old or lost goes.

A crash between a segment and the transaction that lists it leaves a file that nothing lists: it
says what the journal says as well, under the same numbers, and a later sweep removes it.
"""

from datetime import UTC, datetime, timedelta

from augurium.core.clock import Clock
from augurium.core.rollout_settings import FeedbackSettings
from augurium.feedback.bulk_load import BLOCK_ROWS
from augurium.feedback.journal import Journal, JournalSize
from augurium.feedback.segments import KIND, FeedbackSegments
from augurium.records.segments import Segment

# a bulk load may take so long between its first segment and its end
LOST_AFTER = timedelta(days=1)
# how far the wall clock may leave the other one between two sweeps
UNSTEADY_S = 3600.0
DAY_S = 86400.0


class Compaction:
    """Keeps the journal short, and segments for as long as `settings` say. Every method blocks."""

    def __init__(
        self,
        journal: Journal,
        segments: FeedbackSegments,
        settings: FeedbackSettings,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._segments = segments
        self._settings = settings
        self._clock = clock
        self._swept: tuple[float, float] | None = None

    def run(self, everything: bool = False) -> int:
        """Moves all rows into segments if there are many or old ones, or if it must be
        `everything`; gives how many.

        Raises NotReady and InsufficientStorage; what was not moved stays in the journal.
        """
        size = self._journal.size()
        if not (everything or self._due(size)):
            return 0
        moved = 0
        while moved < size.rows and (rows := self._journal.oldest(BLOCK_ROWS)):
            segments = self._segments.write(rows)
            if not self._journal.replace(rows, segments):
                # another process was faster, or a model was forgotten meanwhile
                self._segments.delete(segments)
                break
            moved += len(rows)
        return moved

    def sweep(self) -> None:
        """Removes what is older than it may be, and files that nothing lists.

        A wall clock that jumped since the last sweep is not believed: it could end everything.
        """
        if self._steady():
            before = self._clock.now().timestamp() - self._settings.keep_days * DAY_S
            self._segments.delete(self._journal.expire(before))
            self._sweep_lost()

    def forget(self, model: str) -> None:
        """Removes all that is kept of a model."""
        self._segments.delete(self._journal.forget(model))

    def _sweep_lost(self) -> None:
        before = self._clock.now() - LOST_AFTER
        # in this order: what is listed in between must not be taken for lost
        partitions = self._segments.partitions
        old = [found for found in partitions.segments(KIND) if _written_at(found) < before]
        listed = self._journal.segment_names() if old else set()
        partitions.remove([found for found in old if found.name not in listed])

    def _due(self, size: JournalSize) -> bool:
        if size.oldest_at is None or size.rows >= self._settings.compact_rows:
            return size.rows > 0
        # a clock that was set back makes rows of the future, which must not stay for ever
        age_s = abs(self._clock.now().timestamp() - size.oldest_at)
        return age_s >= self._settings.compact_s

    def _steady(self) -> bool:
        clocks = (self._clock.now().timestamp(), self._clock.monotonic())
        last, self._swept = self._swept, clocks
        if last is None:
            return False
        return abs((clocks[0] - last[0]) - (clocks[1] - last[1])) < UNSTEADY_S


def _written_at(segment: Segment) -> datetime:
    return datetime.fromtimestamp(int(segment.name.partition("-")[0]) / 1000, UTC)
