"""From plain values, as JSON and typed protobuf fields carry them, to arrays: exact, or refused.

A number out of its datatype's range is refused, never wrapped or rounded to infinity. Null means
missing: NaN in a float tensor, None in a BYTES tensor; other datatypes have no missing value.
"""

import re
import struct
from collections.abc import Callable
from functools import lru_cache
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import FLOATS, MAX_RANK, Array, numpy_dtype

_FEW = (
    4096  # up to here packing a list is faster than np.array (measured: 1.0 against 1.9 us for 100)
)
_PACK_CODES = {"FP32": "f", "FP64": "d"}
_leading_brackets = re.compile(rb"[\s\[]*")
_elements: dict[str, Any] = {"FLOAT": float | None, "INT": int, "BOOL": bool, "BYTES": str | None}


def _nested_types(element: Any) -> list[Any]:
    types = [element]
    for _ in range(MAX_RANK):
        types.append(GenericAlias(list, (types[-1],)))
    return types


_types = {kind: _nested_types(element) for kind, element in _elements.items()}
_decoders: dict[tuple[str, int], msgspec.json.Decoder[Any]] = {
    (kind, rank): msgspec.json.Decoder(types[rank])
    for kind, types in _types.items()
    for rank in range(1, 4)
}
_floats = msgspec.json.Decoder(list[float])


@lru_cache(256)
def _packer(datatype: str, count: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{count}{_PACK_CODES[datatype]}").pack


def array_from_json(
    name: str, datatype: str, shape: tuple[int, ...], count: int, raw: Any
) -> Array:
    """The array of an input's JSON `data`: flat, or nested like `shape`, which has `count`
    elements.

    Raises InvalidArgument naming the input and what was expected.
    """
    dtype = numpy_dtype(datatype)
    rank = _leading_brackets.match(raw).group().count(b"[")  # type: ignore[union-attr]
    if rank == 1 and datatype in _PACK_CODES and count <= _FEW:
        try:
            values = _floats.decode(raw)
            if len(values) == count:
                return np.ndarray(shape, dtype, _packer(datatype, count)(*values))
        except (msgspec.MsgspecError, OverflowError):
            pass  # nulls, wrong types and numbers out of range are told apart below
    kind = _kind(datatype)
    try:
        values = _decoder(kind, min(max(rank, 1), MAX_RANK)).decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(
            f"data of input '{name}' is not a list of {datatype} values: {error}"
        ) from error
    return array_from_values(name, datatype, shape, values, dtype=dtype)


def array_from_values(
    name: str,
    datatype: str,
    shape: tuple[int, ...],
    values: Any,
    dtype: np.dtype[Any] | None = None,
) -> Array:
    """The array of values whose types were checked already, flat or nested like `shape`."""
    dtype = dtype or numpy_dtype(datatype)
    try:
        array = _to_array(values, datatype, dtype)
    except OverflowError as error:
        raise InvalidArgument(
            f"input '{name}' has a value out of the range of {datatype}"
        ) from error
    except ValueError as error:
        raise InvalidArgument(
            f"data of input '{name}' is nested unevenly; expected shape {list(shape)}"
        ) from error
    if array.shape == shape:
        return array
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if array.dtype.hasobject and list in set(map(type, array.ravel().tolist())):
        # only NumPy's arrays of objects take lists for values
        raise InvalidArgument(
            f"data of input '{name}' is nested unevenly; expected shape {list(shape)}"
        )
    if array.ndim > 1 or array.size != count:
        raise InvalidArgument(
            f"input '{name}' has shape {list(shape)}, which is {count} values,"
            f" but its data has shape {list(array.shape)}, which is {array.size} values"
        )
    return array.reshape(shape)


def checked_values(name: str, datatype: str, rank: int, values: Any) -> Any:
    """Values of unknown types as lists nested `rank` levels deep; raises InvalidArgument."""
    try:
        return msgspec.convert(values, _types[_kind(datatype)][rank])
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"input '{name}' expects {datatype} values: {error}") from error


def checked_texts(name: str, rank: int, values: Any) -> Any:
    """As `checked_values` for BYTES, where a value may also be `bytes`."""
    checked_values(name, "BYTES", rank, _without_bytes(values))
    return values


def _without_bytes(values: Any) -> Any:
    if isinstance(values, list):
        return [_without_bytes(value) for value in values]
    return "" if isinstance(values, bytes) else values


def extents_of(values: Any, rank: int) -> tuple[int, ...]:
    """The shape of checked values, by the first of each level."""
    extents = []
    for _ in range(rank):
        extents.append(len(values))
        if not values:
            break
        values = values[0]
    return tuple(extents)


def _to_array(values: Any, datatype: str, dtype: np.dtype[Any]) -> Array:
    if datatype not in FLOATS:
        return np.array(values, dtype)
    wide = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        array = wide.astype(dtype)
    # an infinity that was given as such is a value like others
    if np.isinf(array).any() and not np.isinf(wide[np.isinf(array)]).all():
        raise OverflowError
    return array


def _kind(datatype: str) -> str:
    if datatype in FLOATS:
        return "FLOAT"
    return datatype if datatype in ("BOOL", "BYTES") else "INT"


def _decoder(kind: str, rank: int) -> msgspec.json.Decoder[Any]:
    return _decoders.get((kind, rank)) or msgspec.json.Decoder(_types[kind][rank])
