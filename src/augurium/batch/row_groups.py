"""Rows in groups of a limited size, however they come. Imports pyarrow.

What is in a file must not depend on the size of the blocks that were read, so all that is written
is cut anew, by the number of rows and the length of their texts alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MOST_ROWS = 131_072
GROUP_BYTES = 32 * 1024 * 1024


def row_bytes(schema: pa.Schema) -> int:
    """What a row takes without what has no fixed size: texts and lists."""
    return sum(_width(field.type) for field in schema)


def rows_per_group(schema: pa.Schema) -> int:
    """How many rows are written at once, if their texts are short: about 32 MiB."""
    return max(1, min(MOST_ROWS, GROUP_BYTES // max(row_bytes(schema), 1)))


def text_bytes(rows: Any) -> npt.NDArray[np.int64]:
    """What texts and lists of every row take; `rows` is a batch or a table."""
    total = np.zeros(rows.num_rows, np.int64)
    for field, column in zip(rows.schema, rows.columns, strict=True):
        lengths, width = _lengths(field.type, column)
        if lengths is not None:
            total += width * lengths.fill_null(0).to_numpy().astype(np.int64)
    return total


class RowGroups:
    """Gathers rows until a group is full: by their number, or because of long texts. Holds less
    than a group between calls. `schema` is that of all rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._most_rows = rows_per_group(schema)
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.Table]:
        """The groups that are full now."""
        ends = np.cumsum(text_bytes(batch))
        start = 0
        while start < len(batch):
            before = int(ends[start - 1]) if start else 0
            # the row that brings the last bytes is still of the group
            long = int(np.searchsorted(ends, before + GROUP_BYTES - self._bytes)) + 1
            stop = min(len(batch), start + self._most_rows - self._rows, long)
            self._batches.append(batch.slice(start, stop - start))
            self._rows += stop - start
            self._bytes += int(ends[stop - 1]) - before
            start = stop
            if self._rows == self._most_rows or self._bytes >= GROUP_BYTES:
                yield self._gathered()

    def rest(self) -> pa.Table | None:
        """The last group, which is smaller; None when no row is left."""
        return self._gathered() if self._rows else None

    def _gathered(self) -> pa.Table:
        table = pa.Table.from_batches(self._batches, self._schema).combine_chunks()
        self._batches, self._rows, self._bytes = [], 0, 0
        return table


def _lengths(kind: pa.DataType, column: Any) -> tuple[Any, int]:
    """The number of a row's values, and the bytes of each; None where all rows have as many."""
    if _is_text(kind):
        return pc.binary_length(column), 1
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pc.list_value_length(column), max(1, _width(kind.value_type))
    return None, 0


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _width(kind: pa.DataType) -> int:
    """Bytes of a value of a fixed size; of others, where it ends."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 8
