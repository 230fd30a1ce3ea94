"""Arrow tables of named features to tensors, and outputs to tables. Imports pyarrow.

The wire is the Arrow IPC streaming format. What a caller sends is checked as far as it can do harm:
its size when decompressed, its offsets, its texts. Source: Apache Arrow, "Columnar Format", section
"IPC Streaming Format".
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc
from typing_extensions import Buffer

from augurium.core.arrow_tensors import is_dictionary_of_bytes, parts_of
from augurium.core.errors import InvalidArgument, TooLarge
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.texts import shown
from augurium.protocols.arrow_messages import size_when_read

# some runs of a model that is fast
BLOCK_ROWS = 8192
BLOCK_BYTES = 8 * 1024 * 1024
# smaller record batches are joined first
SMALL_BATCH_ROWS = 1024
# the smallest value is a bit
ROWS_PER_BYTE = 8

LISTS = (pa.FixedSizeListArray, pa.ListArray, pa.LargeListArray)
VIEW_WORDS = 4


class ArrowRows:
    """The rows of an Arrow stream, of at most `limit` bytes when it is decompressed."""

    def __init__(self, content: Buffer, limit: int) -> None:
        self._content = content
        self._limit = limit

    def blocks(self, signature: Signature, batch_rows: int) -> Iterator[dict[str, Array]]:
        """Tensors by input, some batches of `batch_rows` at a time; columns are views where Arrow
        and NumPy keep them alike.

        Raises InvalidArgument for a table that does not fit the signature, saying what would.
        """
        table = _table(self._content, self._limit)
        expected = _expected_columns(table.schema, signature)
        if not table.num_rows:
            raise InvalidArgument("the Arrow stream has no rows; send at least one")
        _check_texts(table, self._limit)
        if table.num_rows < SMALL_BATCH_ROWS * len(table.column(0).chunks):
            table = table.combine_chunks()
        rows_at_once = _block_rows(signature, batch_rows)
        for batch in table.to_batches():
            parts = parts_of(batch, expected)
            for start in range(0, batch.num_rows, rows_at_once):
                stop = min(start + rows_at_once, batch.num_rows)
                yield {name: part(start, stop) for name, part in parts.items()}


def _table(content: Buffer, limit: int) -> Any:
    """The table of a stream, over the caller's bytes. Raises InvalidArgument and TooLarge."""
    buffer = pa.py_buffer(content)
    try:
        size = max(buffer.size, size_when_read(buffer, limit))
        with ipc.open_stream(buffer, options=ipc.IpcReadOptions(use_threads=False)) as reader:
            table = reader.read_all()
        if table.num_rows > ROWS_PER_BYTE * size:
            raise InvalidArgument(
                f"the Arrow stream says it has {table.num_rows} rows, which do not fit its"
                f" {size} bytes"
            )
        # offsets that lead out of their buffers would be followed
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            f"the body is not an Arrow IPC stream of record batches: {_first_line(error)}"
        ) from error
    return table


def _check_texts(table: Any, limit: int) -> None:
    """Raises TooLarge for texts that are far more than their bytes on the wire, because many rows
    mean the same one.
    """
    for column in table.columns:
        for listed in column.chunks:
            chunk = listed
            # not isinstance: a map is a list of another kind
            while type(chunk) in LISTS:
                chunk = chunk.flatten()
            if is_dictionary_of_bytes(chunk.type):
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            elif pa.types.is_string_view(chunk.type) or pa.types.is_binary_view(chunk.type):
                lengths = _view_lengths(chunk)
            else:
                continue
            size = pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
            limit -= size
            if limit < 0:
                raise TooLarge(
                    "the texts of the Arrow stream are larger than a body may be when every row has"
                    " its own; send fewer rows at a time"
                )


def _view_lengths(array: Any) -> Any:
    """How long each value of an array of string or binary views is; Arrow has no function for it.

    Source: Apache Arrow, "Columnar Format", "Variable-size Binary View Layout": 16 bytes a value,
    of which the first 4 are its length.
    """
    if not len(array):
        return pa.array([], pa.int32())
    views = np.frombuffer(array.buffers()[1], np.int32)
    start, stop = VIEW_WORDS * array.offset, VIEW_WORDS * (array.offset + len(array))
    # what a missing value says of itself was not validated
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return pa.array(np.where(missing, 0, views[start:stop:VIEW_WORDS]))


def _expected_columns(schema: Any, signature: Signature) -> dict[str, TensorSpec]:
    """Which input every column belongs to. Raises InvalidArgument for columns that are missing,
    unknown or given twice.
    """
    names = list(schema.names)
    given = set(names)
    if len(given) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgument(f"column '{twice[:64]}' is given twice")
    found: dict[str, TensorSpec] = {}
    missing: list[str] = []
    for spec in signature.inputs:
        wanted = (spec.name,) if spec.name in given or not spec.features else spec.features
        found.update((name, spec) for name in wanted if name in given)
        if not spec.optional:
            missing += [name for name in wanted if name not in given]
    unknown = [name for name in names if name not in found]
    if missing or unknown:
        parts = [f"misses the columns {shown(missing)}"] if missing else []
        parts += [f"has unknown columns {shown(unknown)}"] if unknown else []
        expected = shown(signature.expected_names)
        raise InvalidArgument(f"the table {' and '.join(parts)}; expected {expected}")
    return found


def _block_rows(signature: Signature, batch_rows: int) -> int:
    row_bytes = sum(
        int(np.prod([max(extent, 1) for extent in spec.shape[1:]])) * spec.dtype.itemsize
        for spec in signature.inputs
    )
    rows = min(BLOCK_ROWS, BLOCK_BYTES // max(row_bytes, 1))
    return batch_rows * max(1, rows // batch_rows)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
