"""The values of Arrow columns as arrays: exact as those of JSON, or refused. Imports pyarrow.

Numbers may come in any type of numbers that holds them: what is out of the range of the signature's
datatype is refused, never wrapped or rounded to infinity. Null means missing.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import FLOATS, Array, TensorSpec, missing_values
from augurium.core.texts import text_of

EXPECTED = {
    "BYTES": "strings (string, large_string, string_view, or a dictionary of them), or binary",
    "BOOL": "bool",
}
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
DAY_S = 86_400.0

_types = pa.types


def is_text(kind: Any) -> bool:
    """Whether values of a type are strings."""
    return bool(
        _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind)
    )


def is_binary(kind: Any) -> bool:
    """Whether values of a type are bytes of any kind."""
    return bool(
        _types.is_binary(kind)
        or _types.is_large_binary(kind)
        or _types.is_fixed_size_binary(kind)
        or _types.is_binary_view(kind)
    )


def view(spec: TensorSpec, array: Any) -> Array | None:
    """The values without a copy, where Arrow and NumPy keep them alike; None elsewhere."""
    if array.null_count or not _types.is_primitive(array.type) or _types.is_boolean(array.type):
        return None
    if _types.is_temporal(array.type) or array.type.to_pandas_dtype() != spec.dtype.type:
        return None
    values: Array = array.to_numpy(zero_copy_only=True)
    return values


def values_of(spec: TensorSpec, name: str, array: Any) -> Array:
    """One value per entry, in the datatype of the signature; times stay texts for `moment` inputs.

    Raises InvalidArgument for a type that the input does not take, and for values out of range.
    """
    kind = array.type
    if _types.is_dictionary(kind) and not is_text(kind.value_type):
        array, kind = array.dictionary_decode(), kind.value_type
    if _types.is_null(kind):
        if spec.datatype == "BYTES" or spec.datatype in FLOATS:
            return missing_values(spec, (len(array),))
        raise _missing(spec, name)
    if spec.datatype == "BYTES":
        return _texts(spec, name, array)
    if spec.datatype in FLOATS:
        return _floats(spec, name, array)
    if array.null_count:
        raise _missing(spec, name)
    if spec.datatype == "BOOL":
        if not _types.is_boolean(kind):
            raise wrong_type(spec, name, kind)
        return _numpy(array)
    return _integers(spec, name, array)


def chosen(values: Array, array: Any) -> Array:
    """The entries of a dictionary array whose dictionary has these values, by reference: a long
    text that stands in many rows is there once.
    """
    if not array.null_count:
        found: Array = values[_numpy(array.indices)]
        return found
    found = np.full(len(array), None if values.dtype == np.object_ else np.nan, values.dtype)
    found[_numpy(array.is_valid())] = values[_numpy(array.indices.drop_null())]
    return found


def wrong_type(spec: TensorSpec, name: str, kind: Any) -> InvalidArgument:
    """What is said of a column of another type."""
    numbers = "numbers" if spec.datatype in FLOATS else "whole numbers"
    expected = EXPECTED.get(spec.datatype, f"{numbers} for {spec.datatype}")
    if spec.moment:
        expected = "a timestamp, a date, ISO 8601 texts, or seconds since 1970"
    return InvalidArgument(f"column '{name}' has the type {kind}; expected {expected}")


def _texts(spec: TensorSpec, name: str, array: Any) -> Array:
    if is_text(array.type):
        return _numpy(array.cast(pa.large_string()) if _is_view(array) else array)
    if is_binary(array.type):
        found = np.empty(len(array), np.object_)
        found[:] = [None if one is None else text_of(one) for one in array.to_pylist()]
        return found
    if spec.lenient:
        return missing_values(spec, (len(array),))
    raise wrong_type(spec, name, array.type)


def _floats(spec: TensorSpec, name: str, array: Any) -> Array:
    kind = array.type
    if _types.is_decimal(kind):
        array = pc.cast(array, pa.float64(), safe=False)
    elif _types.is_timestamp(kind) or _types.is_date(kind):
        if not spec.moment:
            return _other(spec, name, array)
        return _seconds(array).astype(spec.dtype, copy=False)
    elif is_text(kind) and spec.moment:
        return _numpy(array.cast(pa.large_string()) if _is_view(array) else array)
    elif not (_types.is_floating(kind) or _types.is_integer(kind)):
        return _other(spec, name, array)
    values = _numpy(array)
    if values.dtype == spec.dtype:
        return values
    with np.errstate(over="ignore"):
        found: Array = values.astype(spec.dtype)
    if np.isinf(found).sum() != np.isinf(values).sum():
        raise InvalidArgument(f"column '{name}' has a value out of the range of {spec.datatype}")
    return found


def _other(spec: TensorSpec, name: str, array: Any) -> Array:
    if spec.lenient:
        return missing_values(spec, (len(array),))
    raise wrong_type(spec, name, array.type)


def _integers(spec: TensorSpec, name: str, array: Any) -> Array:
    if not _types.is_integer(array.type):
        raise wrong_type(spec, name, array.type)
    try:
        return _numpy(pc.cast(array, pa.from_numpy_dtype(spec.dtype)))
    except pa.ArrowInvalid as error:
        raise InvalidArgument(
            f"column '{name}' has a value out of the range of {spec.datatype}: {error}"
        ) from error


def _seconds(array: Any) -> Array:
    """Seconds since 1970; exact where they fit a double."""
    kind = array.type
    ticks_per_s: float = TICKS["ms"] if _types.is_date64(kind) else 1 / DAY_S
    if _types.is_timestamp(kind):
        ticks_per_s = TICKS[kind.unit]
    ticks = array.view(pa.int32() if _types.is_date32(kind) else pa.int64())
    found: Array = _numpy(pc.cast(ticks, pa.float64(), safe=False)) / ticks_per_s
    return found


def _missing(spec: TensorSpec, name: str) -> InvalidArgument:
    return InvalidArgument(
        f"column '{name}' has a missing value (null), which {spec.datatype} does not know; fill it"
        " in"
    )


def _is_view(array: Any) -> bool:
    return bool(_types.is_string_view(array.type))


def _numpy(array: Any) -> Array:
    found: Array = array.to_numpy(zero_copy_only=False)
    return found
