"""A bulk load: rows by the million go into segments, block by block, all of them or none."""

from collections.abc import Sequence

from augurium.core.clock import Clock
from augurium.feedback.journal import Journal, Segment
from augurium.feedback.row import FeedbackRow, stored
from augurium.feedback.segments import FeedbackSegments

BLOCK_ROWS = 100_000


class BulkLoad:
    """Rows that never stand in the journal. Every method blocks.

    `commit` lists all segments in one transaction; nobody reads them before.
    """

    def __init__(self, journal: Journal, segments: FeedbackSegments, clock: Clock) -> None:
        self._journal = journal
        self._segments = segments
        self._clock = clock
        self._rows: list[FeedbackRow] = []
        self._written: list[Segment] = []

    def add(self, rows: Sequence[FeedbackRow]) -> None:
        """Takes rows, and writes whole blocks. Raises as `FeedbackSegments.write`."""
        self._rows.extend(rows)
        while len(self._rows) >= BLOCK_ROWS:
            block, self._rows = self._rows[:BLOCK_ROWS], self._rows[BLOCK_ROWS:]
            self._write(block)

    def commit(self) -> None:
        """Writes the rest and lists everything. Raises as `add`."""
        if self._rows:
            block, self._rows = self._rows, []
            self._write(block)
        self._journal.note(self._written)

    def abandon(self) -> None:
        """Removes what was written. Raises NotReady; a later sweep removes it then."""
        written, self._written = self._written, []
        self._segments.delete(written)

    def _write(self, block: Sequence[FeedbackRow]) -> None:
        first = self._journal.reserve(len(block))
        received_at = self._clock.now().timestamp()
        self._written += self._segments.write(stored(block, first, received_at))
