"""What has become of the rows of a partition so far, and telling it from time to time."""

import threading
import time
from collections.abc import Callable

from augurium.batch.partition import RejectedRow
from augurium.batch.partition_rows import PartitionRows
from augurium.batch.partition_writer import PartitionWriter
from augurium.batch.summary_counter import SummaryCounter
from augurium.batch.worker_messages import Counted

# how often it is told how far a partition is
TOLD_EVERY_S = 0.2


class RowCounts:
    """Rows of one partition that were written, and those that were set aside. For any thread.

    `tell` hears of them from time to time, and at once of the first that are written, and of the
    first that is set aside: for many jobs that one is too many.
    """

    def __init__(
        self, writer: PartitionWriter, summary: SummaryCounter, tell: Callable[[Counted], None]
    ) -> None:
        self._writer = writer
        self._summary = summary
        self._tell = tell
        self._lock = threading.Lock()
        self._told_at = time.monotonic()
        self._rows: PartitionRows | None = None
        self._example: RejectedRow | None = None
        self._rejected: dict[str, int] = {}
        self._written = 0

    def follow(self, rows: PartitionRows) -> None:
        """Where it is counted what was read."""
        self._rows = rows

    def reject(self, row: RejectedRow) -> None:
        """Sets a row aside."""
        with self._lock:
            first = self._example is None
            self._example = self._example or row
            self._rejected[row.kind] = self._rejected.get(row.kind, 0) + 1
            self._writer.reject(row)
            self._summary.count_rejected(row)
        self._tell_in_time(at_once=first)

    def wrote(self, rows: int) -> None:
        """Rows are answered, and on their way to a file."""
        with self._lock:
            first = not self._written
            self._written += rows
        self._tell_in_time(at_once=first)

    @property
    def counted(self) -> Counted:
        """All so far."""
        with self._lock:
            read, filtered = (
                (self._rows.read_rows, self._rows.filtered_rows) if self._rows else (0, 0)
            )
            rejected = dict(self._rejected)
            return Counted(read, self._written, filtered, rejected, self._example)

    def _tell_in_time(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._told_at > TOLD_EVERY_S:
            self._told_at = now
            self._tell(self.counted)
