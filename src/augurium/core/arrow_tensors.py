"""Rows of Arrow record batches as tensors of a signature. Imports pyarrow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from augurium.core.arrow_values import chosen, is_binary, is_text, values_of, view, wrong_type
from augurium.core.errors import InvalidArgument
from augurium.core.tensors import FLOATS, Array, TensorSpec

# measured: 100 columns to a matrix at 2.7 M rows/s in pieces of 1024 rows, at 0.7 in one
PIECE_ROWS = 1024
# numbers whose columns Arrow itself puts side by side
INTERLEAVED = frozenset({"FP32", "FP64", "INT8", "INT16", "INT32", "INT64"})

# the rows from one number up to another
Part = Callable[[int, int], Array]


def parts_of(batch: Any, expected: dict[str, TensorSpec]) -> dict[str, Part]:
    """How rows of each input are taken out of a record batch."""
    columns = {
        name: (spec, batch.column(batch.schema.get_field_index(name)))
        for name, spec in expected.items()
    }
    parts: dict[str, Part] = {}
    for spec in dict.fromkeys(expected.values()):
        own = {name: found for name, (of, found) in columns.items() if of is spec}
        if spec.name in own:
            parts[spec.name] = whole_part(spec, own[spec.name])
        elif len(own) == len(spec.features) and not (spec.lenient or spec.moment):
            parts[spec.name] = matrix_part(spec, own)
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
    if is_dictionary_of_bytes(array.type):
        texts = values_of(spec, name, array.dictionary)
        return lambda start, stop: chosen(texts, array.slice(start, stop - start))
    return lambda start, stop: values_of(spec, name, array.slice(start, stop - start))


def matrix_part(spec: TensorSpec, columns: dict[str, Any]) -> Part:
    """A column per feature, put together block by block: the only copy of them."""
    in_order = [columns[name] for name in spec.features]
    if all(_is_alike(spec, array) for array in in_order):
        rows = pa.RecordBatch.from_arrays(in_order, names=list(spec.features))
        return _interleaved(rows, spec.datatype in FLOATS)
    return _pieced(spec, [_flat(spec, name, columns[name]) for name in spec.features])


def _is_alike(spec: TensorSpec, array: Any) -> bool:
    """Whether Arrow keeps values as the tensor does, but for those that are missing."""
    if spec.datatype not in INTERLEAVED or array.type != pa.from_numpy_dtype(spec.dtype):
        return False
    return not array.null_count or spec.datatype in FLOATS


def _interleaved(rows: Any, floats: bool) -> Part:
    """By Arrow, all columns at once; measured: 50 columns at 17 M rows/s, in pieces at 10."""

    def part(start: int, stop: int) -> Array:
        # it would make whole numbers floats for a null that might come
        tensor = rows.slice(start, stop - start).to_tensor(null_to_nan=floats, row_major=True)
        found: Array = tensor.to_numpy()
        return found

    return part


def _pieced(spec: TensorSpec, columns: list[Part]) -> Part:
    def part(start: int, stop: int) -> Array:
        found = np.empty((stop - start, len(columns)), spec.dtype)
        for begin in range(start, stop, PIECE_ROWS):
            end = min(begin + PIECE_ROWS, stop)
            piece = found[begin - start : end - start]
            for place, column in enumerate(columns):
                piece[:, place] = column(begin, end)
        return found

    return part


def whole_part(spec: TensorSpec, array: Any) -> Part:
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


def is_dictionary_of_bytes(kind: Any) -> bool:
    """Whether values of a type are references to texts or bytes."""
    if not pa.types.is_dictionary(kind):
        return False
    return is_text(kind.value_type) or is_binary(kind.value_type)
