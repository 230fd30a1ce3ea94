"""Columns of Arrow as columns of a training table. Imports pyarrow, so in child processes only."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augurium.core.texts import text_of
from augurium.importing.training_table import Field, Kind
from augurium.statistics.values import Values

TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def kind_of(kind: Any) -> Kind | None:
    """What the values of an Arrow type become; None when they cannot be used."""
    types = pa.types
    if types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if types.is_boolean(kind):
        return Kind.BOOLEAN
    if types.is_integer(kind):
        return Kind.INTEGER
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind) or _is_time(kind):
        return Kind.NUMBER
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Kind.TEXT
    return None


def is_binary(kind: Any) -> bool:
    """Whether the values of an Arrow type are bytes."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_binary(kind.value_type)
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def fields_of(schema: Any, binary: bool = False) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The columns that can be used, with `binary` also those of bytes, and the others with their
    types.
    """
    fields, left_out = [], []
    for column in schema:
        kind = Kind.TEXT if binary and is_binary(column.type) else kind_of(column.type)
        if kind is None or not column.name:
            left_out.append(f"{column.name} ({column.type})")
        else:
            fields.append(Field(column.name, kind))
    return tuple(fields), tuple(left_out)


def values_of(array: Any) -> Values:
    """An array or chunked array of a usable type as values."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_binary(array.type):
        content = np.empty(len(array), np.object_)
        content[:] = [None if one is None else text_of(one) for one in array.to_pylist()]
        return Values(content)
    if kind_of(array.type) is Kind.TEXT:
        return Values(array.to_numpy(zero_copy_only=False).astype(np.object_, copy=False))
    missing = None
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
    numbers = _floats(array)
    if missing is not None:
        numbers = numbers.copy()
        numbers[missing] = np.nan
    return Values(numbers, missing)


def _floats(array: Any) -> Any:
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if _is_time(kind):
        return _seconds(array)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    # not safe: whole numbers beyond 2**53 and decimals are rounded
    return pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _seconds(array: Any) -> Any:
    kind = array.type
    per_second = 1.0 / 86400.0 if pa.types.is_date32(kind) else 1e3
    if not pa.types.is_date(kind):
        per_second = TICKS[kind.unit]
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    ticks = pc.cast(array.view(width), pa.float64(), safe=False)
    return ticks.to_numpy(zero_copy_only=False) / per_second


def _is_time(kind: Any) -> bool:
    # Arrow's is_temporal holds for intervals too, which are no single number
    types = pa.types
    return bool(
        types.is_timestamp(kind)
        or types.is_date(kind)
        or types.is_time(kind)
        or types.is_duration(kind)
    )
