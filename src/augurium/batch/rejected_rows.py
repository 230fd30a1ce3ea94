"""Rows that were set aside, as they stand in `_rejected/`. Loads pyarrow late."""

import threading
from typing import TYPE_CHECKING

from augurium.batch.partition import RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

MOST_REASON = 1_000
# as objects; beyond that they are packed, which takes a quarter of the memory
MOST_LOOSE = 4_096


class RejectedRows:
    """Those of one partition. Rows may come from several threads, in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loose: list[RejectedRow] = []
        self._packed: list[pa.Table] = []

    def add(self, row: RejectedRow) -> None:
        with self._lock:
            self._loose.append(row)
            if len(self._loose) >= MOST_LOOSE:
                self._pack()

    def table(self) -> "pa.Table | None":
        """`file`, `row` (from 1), `column`, `kind`, `reason`, in the order of files and rows; None
        when there are none.
        """
        import pyarrow as pa

        with self._lock:
            if self._loose:
                self._pack()
            if not self._packed:
                return None
            table = pa.concat_tables(self._packed)
        return table.sort_by([(name, "ascending") for name in table.column_names])

    def _pack(self) -> None:
        import pyarrow as pa

        rows, self._loose = self._loose, []
        self._packed.append(
            pa.table(
                {
                    "file": pa.array([row.file for row in rows], pa.string()),
                    "row": pa.array([row.row for row in rows], pa.int64()),
                    "column": pa.array([row.column for row in rows], pa.string()),
                    "kind": pa.array([row.kind for row in rows], pa.string()),
                    "reason": pa.array([row.reason[:MOST_REASON] for row in rows], pa.string()),
                }
            )
        )
