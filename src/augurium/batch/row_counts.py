"""What has become of the rows of a partition so far."""

import threading

from augurium.batch.partition import RejectedRow
from augurium.batch.partition_writer import PartitionWriter
from augurium.batch.summary_counter import SummaryCounter
from augurium.batch.worker_messages import Counted


class RowCounts:
    """Rows of one partition that were written, and those that were set aside. `reject` is for all
    threads, `written` is counted by one.
    """

    def __init__(self, writer: PartitionWriter, summary: SummaryCounter) -> None:
        self._writer = writer
        self._summary = summary
        self._lock = threading.Lock()
        self._example: RejectedRow | None = None
        self.rejected: dict[str, int] = {}
        self.written = 0

    def reject(self, row: RejectedRow) -> None:
        """Sets a row aside."""
        with self._lock:
            self._example = self._example or row
            self.rejected[row.kind] = self.rejected.get(row.kind, 0) + 1
            self._writer.reject(row)
            self._summary.count_rejected(row)

    def told(self, read_rows: int, filtered_rows: int) -> Counted:
        """As the job's process is told of it."""
        with self._lock:
            rejected = dict(self.rejected)
            return Counted(read_rows, self.written, filtered_rows, rejected, self._example)
