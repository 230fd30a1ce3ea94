"""Answers as JSON Lines, one object per row. Imports pyarrow.

Numbers are as short as they can be to be read back exactly. JSON has no NaN and no infinity: they
are null, like missing values. Times are texts in ISO 8601, binary values in Base64.
"""

from typing import Any

import msgspec
import pyarrow as pa

from augurium.batch.text_compression import compressed


class JsonLines:
    """A file with a line per row."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, compression: str) -> None:
        self._stream = compressed(stream, compression)
        self._encoder = msgspec.json.Encoder()

    def write(self, rows: pa.Table) -> None:
        plain = pa.table([_plain(column) for column in rows.columns], rows.column_names)
        self._stream.write(self._encoder.encode_lines(plain.to_pylist()))

    def close(self) -> None:
        self._stream.close()


def _plain(column: Any) -> Any:
    """A column whose values are of Python's own types."""
    kind = column.type
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # by way of its shortest text, or 0.1 would become 0.10000000149011612
        return column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if pa.types.is_temporal(kind):
        return column.cast(pa.string())
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        values = _plain(column.combine_chunks().flatten())
        return pa.FixedSizeListArray.from_arrays(values, kind.list_size)
    return column
