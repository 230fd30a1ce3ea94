"""Arrow tables of named features to tensors, and outputs to tables. Imports pyarrow.

The wire is the Arrow IPC streaming format. What a caller sends is checked as far as it can do harm:
its size when decompressed, its offsets, its texts. Source: Apache Arrow, "Columnar Format", section
"IPC Streaming Format".
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc
from typing_extensions import Buffer

from augurium.core.errors import InvalidArgument, TooLarge
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.texts import shown
from augurium.protocols.arrow_messages import size_when_read
from augurium.protocols.arrow_values import chosen, is_binary, is_text, values_of, view, wrong_type

# some runs of a model that is fast
BLOCK_ROWS = 8192
# measured: 100 columns to a matrix at 2.7 M rows/s in pieces of 1024 rows, at 0.7 in one
PIECE_ROWS = 1024
BLOCK_BYTES = 8 * 1024 * 1024
# smaller record batches are joined first
SMALL_BATCH_ROWS = 1024
# the smallest value is a bit
ROWS_PER_BYTE = 8

LISTS = (pa.FixedSizeListArray, pa.ListArray, pa.LargeListArray)
VIEW_WORDS = 4
Part = Callable[[int, int], Array]


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
            parts = _parts(batch, expected)
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
            if _is_dictionary_of_bytes(chunk.type):
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


def _is_dictionary_of_bytes(kind: Any) -> bool:
    if not pa.types.is_dictionary(kind):
        return False
    return is_text(kind.value_type) or is_binary(kind.value_type)


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


def _parts(batch: Any, expected: dict[str, TensorSpec]) -> dict[str, Part]:
    """How rows of each input are taken out of a record batch."""
    columns = {
        name: (spec, batch.column(batch.schema.get_field_index(name)))
        for name, spec in expected.items()
    }
    parts: dict[str, Part] = {}
    for spec in dict.fromkeys(expected.values()):
        own = {name: found for name, (of, found) in columns.items() if of is spec}
        if spec.name in own:
            parts[spec.name] = _whole(spec, own[spec.name])
        elif len(own) == len(spec.features) and not (spec.lenient or spec.moment):
            parts[spec.name] = _matrix(spec, own)
        else:
            # put together where missing features are filled in
            parts.update((name, _flat(spec, name, found)) for name, found in own.items())
    return parts


def _flat(spec: TensorSpec, name: str, array: Any) -> Part:
    """A column of single values."""
    if pa.types.is_nested(array.type):
        raise wrong_type(spec, name, array.type)
    values = view(spec, array)
    if values is not None:
        return lambda start, stop: values[start:stop]
    if _is_dictionary_of_bytes(array.type):
        texts = values_of(spec, name, array.dictionary)
        return lambda start, stop: chosen(texts, array.slice(start, stop - start))
    return lambda start, stop: values_of(spec, name, array.slice(start, stop - start))


def _matrix(spec: TensorSpec, columns: dict[str, Any]) -> Part:
    """A column per feature, put together block by block: the only copy of them."""
    columns_in_order = [_flat(spec, name, columns[name]) for name in spec.features]

    def part(start: int, stop: int) -> Array:
        found = np.empty((stop - start, len(columns_in_order)), spec.dtype)
        for begin in range(start, stop, PIECE_ROWS):
            end = min(begin + PIECE_ROWS, stop)
            piece = found[begin - start : end - start]
            for place, column in enumerate(columns_in_order):
                piece[:, place] = column(begin, end)
        return found

    return part


def _whole(spec: TensorSpec, array: Any) -> Part:
    """A column that is an input by itself: single values, or lists of one length."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not pa.types.is_nested(array.type):
        if any(extent != 1 for extent in spec.shape[1:]):
            expected = "x".join(map(str, spec.shape[1:]))
            raise InvalidArgument(
                f"column '{spec.name}' has the type {array.type}; expected a fixed_size_list of"
                f" {expected} {spec.datatype} values"
            )
        flat = _flat(spec, spec.name, array)
        shape = spec.shape[1:]
        return lambda start, stop: flat(start, stop).reshape(stop - start, *shape)
    return lambda start, stop: _lists(spec, array.slice(start, stop - start))


def _lists(spec: TensorSpec, array: Any) -> Array:
    rows = len(array)
    extents = []
    while pa.types.is_nested(array.type):
        extents.append(_length(spec, array))
        array = array.flatten()
    if pa.types.is_dictionary(array.type):
        raise wrong_type(spec, spec.name, array.type)
    values = view(spec, array)
    if values is None:
        values = values_of(spec, spec.name, array)
    shape = tuple(extents)
    wanted = spec.shape[1:]
    # a row may also come as one flat list
    if len(shape) == 1 and -1 not in wanted and shape[0] == int(np.prod(wanted)):
        shape = wanted
    return values.reshape(rows, *shape)


def _length(spec: TensorSpec, array: Any) -> int:
    """How long every list of an array is. Raises InvalidArgument if they differ or are missing."""
    kind, name = array.type, spec.name
    if array.null_count:
        raise InvalidArgument(f"column '{name}' has a row that is null; expected a list of values")
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise wrong_type(spec, name, kind)
    lengths = np.diff(array.offsets.to_numpy())
    if len(lengths) and (lengths != lengths[0]).any():
        raise InvalidArgument(f"column '{name}' has lists of different lengths; send equal ones")
    return int(lengths[0]) if len(lengths) else 0


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
