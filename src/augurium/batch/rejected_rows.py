"""Rows that were set aside, as they stand in `_rejected/`. Loads pyarrow late."""

from typing import TYPE_CHECKING

from augurium.batch.partition import RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

MOST_REASON = 1_000


class RejectedRows:
    """Those of one partition. Rows may come from several threads, in any order."""

    def __init__(self) -> None:
        self._rows: list[RejectedRow] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: RejectedRow) -> None:
        self._rows.append(row)

    def table(self) -> "pa.Table":
        """`file`, `row` (from 1), `column`, `kind`, `reason`, in the order of files and rows."""
        import pyarrow as pa

        rows = sorted(self._rows, key=_place)
        return pa.table(
            {
                "file": pa.array([row.file for row in rows], pa.string()),
                "row": pa.array([row.row for row in rows], pa.int64()),
                "column": pa.array([row.column for row in rows], pa.string()),
                "kind": pa.array([row.kind for row in rows], pa.string()),
                "reason": pa.array([row.reason[:MOST_REASON] for row in rows], pa.string()),
            }
        )


def _place(row: RejectedRow) -> tuple[str, int, str, str, str]:
    return row.file, row.row, row.column, row.kind, row.reason
