"""Tensors as callers may also send them, to those of the signature: the columns of a matrix one by
one, times as texts, and other datatypes where a signature takes these for missing values.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.moments import epoch_seconds
from augurium.core.tensors import (
    DATATYPES,
    FLOATS,
    Array,
    TensorSpec,
    is_float,
    missing_values,
)

MOST_NAMES_SHOWN = 8


def gathered(inputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> Mapping[str, Array]:
    """The inputs with every matrix in one piece whose columns came as inputs of their own.

    A column has the shape [rows] or [rows, 1]. Raises InvalidArgument when columns are left out
    that are not optional, or do not fit each other.
    """
    own = {spec.name for spec in specs}
    found = dict(inputs)
    for spec in specs:
        columns = {
            name: found.pop(name)
            for name in spec.features
            if name in found and name not in own and spec.name not in inputs
        }
        if columns:
            found[spec.name] = _matrix(spec, columns)
    return found


def converted(spec: TensorSpec, array: Array) -> Array | None:
    """A tensor of another datatype as one of the spec's; None if the spec does not take it.

    Raises InvalidArgument for texts that are no times.
    """
    if spec.moment and array.dtype == np.object_:
        seconds = [_seconds(spec, value) for value in array.ravel().tolist()]
        return np.array(seconds, spec.dtype).reshape(array.shape)
    if not spec.lenient:
        return None
    if spec.datatype in FLOATS and (array.dtype.kind in "iu" or is_float(array.dtype)):
        with np.errstate(over="ignore"):
            return array.astype(spec.dtype)
    return missing_values(spec, array.shape)


def _matrix(spec: TensorSpec, columns: Mapping[str, Array]) -> Array:
    absent = [name for name in spec.features if name not in columns]
    if absent and not spec.optional:
        hidden = len(absent) - MOST_NAMES_SHOWN
        raise InvalidArgument(
            f"the features {absent[:MOST_NAMES_SHOWN]}{f' and {hidden} more' * (hidden > 0)} of"
            f" input '{spec.name}' are missing; send every feature, or '{spec.name}' as one matrix"
        )
    rows = len(next(iter(columns.values()))) if next(iter(columns.values())).ndim else 0
    nothing = missing_values(spec, (rows,)) if absent else None
    parts = [
        nothing if name not in columns else _column(spec, name, columns[name], rows)
        for name in spec.features
    ]
    return np.column_stack(parts)  # type: ignore[arg-type]


def _column(spec: TensorSpec, name: str, array: Array, rows: int) -> Array:
    if array.shape not in ((rows,), (rows, 1)):
        raise InvalidArgument(
            f"feature '{name}' has the shape {list(array.shape)}; expected [{rows}] or [{rows},1],"
            " the same number of rows for every feature"
        )
    if array.dtype != spec.dtype:
        found = converted(spec, array)
        if found is None:
            raise InvalidArgument(
                f"inference input '{name}' data-type is"
                f" '{DATATYPES.get(array.dtype, array.dtype)}', but the model expects"
                f" '{spec.datatype}'"
            )
        array = found
    return array.reshape(rows)


def _seconds(spec: TensorSpec, value: str | bytes | None) -> float:
    if value is None:
        return float("nan")
    try:
        if isinstance(value, bytes):
            raise InvalidArgument("expected an ISO 8601 text, got bytes that are not UTF-8")
        return epoch_seconds(value)
    except InvalidArgument as error:
        if spec.lenient:
            return float("nan")
        raise InvalidArgument(f"input '{spec.name}': {error}") from error
