"""Rows in groups of a fixed size, however they come. Imports pyarrow.

What is in a file must not depend on the size of the blocks that were read, so all that is written
is cut anew.
"""

from collections.abc import Iterator

import pyarrow as pa

MOST_ROWS = 131_072
FEWEST_ROWS = 1_024
GROUP_BYTES = 32 * 1024 * 1024
TEXT_BYTES = 64


def rows_per_group(schema: pa.Schema) -> int:
    """How many rows are written at once: about 32 MiB, by the types of the columns alone."""
    width = sum(_width(field.type) for field in schema)
    return max(FEWEST_ROWS, min(MOST_ROWS, GROUP_BYTES // max(width, 1)))


class RowGroups:
    """Gathers rows; `schema` is that of all of them. Holds less than a group between calls."""

    def __init__(self, schema: pa.Schema, size: int) -> None:
        self._schema = schema
        self._size = size
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.Table]:
        """The groups that are full now, each of exactly the size."""
        start = 0
        while len(batch) - start >= self._size - self._rows:
            taken = self._size - self._rows
            self._keep(batch.slice(start, taken))
            start += taken
            yield self._gathered()
        if start < len(batch):
            self._keep(batch.slice(start))

    def rest(self) -> pa.Table | None:
        """The last group, which is smaller; None when no row is left."""
        return self._gathered() if self._rows else None

    def _keep(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self._rows += len(batch)

    def _gathered(self) -> pa.Table:
        table = pa.Table.from_batches(self._batches, self._schema).combine_chunks()
        self._batches, self._rows = [], 0
        return table


def _width(kind: pa.DataType) -> int:
    """Bytes of a value; what has no fixed size counts as a short text."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return TEXT_BYTES
