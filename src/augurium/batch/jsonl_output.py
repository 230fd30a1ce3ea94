"""Answers as JSON Lines, one object per row. Imports pyarrow."""

import pyarrow as pa

from augurium.batch.json_texts import json_objects
from augurium.batch.text_compression import compressed

# rows whose texts are made at once, so that they stay in the cache of a core
PIECE_ROWS = 8_192


class JsonLines:
    """A file with a line per row; what stands for which value says `json_texts.py`."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, compression: str) -> None:
        self._stream = compressed(stream, compression)

    def write(self, rows: pa.Table) -> None:
        for start in range(0, rows.num_rows, PIECE_ROWS):
            piece = rows.slice(start, PIECE_ROWS).combine_chunks()
            columns = [_whole(column) for column in piece.columns]
            self._stream.write(_content(json_objects(piece.column_names, columns, "}\n")))

    def close(self) -> None:
        self._stream.close()


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _content(lines: pa.Array) -> pa.Buffer:
    """The bytes of all texts, one after the other."""
    _, offsets, content = lines.buffers()
    ends = memoryview(offsets).cast("B").cast("q")
    first, last = ends[lines.offset], ends[lines.offset + len(lines)]
    return content.slice(first, last - first)
