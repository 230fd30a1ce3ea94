"""Outputs that are always the same: a row's, as plain values by name, turned into tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.values import array_from_values, checked_values, extents_of


def constant_row(signature: Signature, outputs: Mapping[str, Any]) -> list[Array]:
    """One row of every output, in the signature's order; whole outputs for a signature that takes
    no rows. A single value fills a row of fixed shape.

    Raises InvalidArgument for outputs that are missing, unknown, or do not fit.
    """
    names = {spec.name for spec in signature.outputs}
    if names != outputs.keys():
        raise InvalidArgument(
            f"a constant answer must name the outputs {', '.join(sorted(names))}, and names"
            f" {', '.join(sorted(str(name)[:64] for name in outputs)) or 'none'}"
        )
    return [_row(spec, outputs[spec.name], signature.batched) for spec in signature.outputs]


def constant_rows(row: list[Array], rows: int, batched: bool) -> list[Array]:
    """The same for a number of rows."""
    return [np.repeat(array, rows, axis=0) for array in row] if batched else row


def _row(spec: TensorSpec, value: Any, batched: bool) -> Array:
    shape = spec.shape[1:] if batched else spec.shape
    try:
        array = _array(spec, shape, value)
    except InvalidArgument as error:
        raise InvalidArgument(f"constant of output '{spec.name}': {error}") from error
    if array.ndim != len(shape) or any(
        wanted not in (-1, got) for wanted, got in zip(shape, array.shape, strict=True)
    ):
        raise InvalidArgument(
            f"the constant of output '{spec.name}' has the shape {list(array.shape)}, and must have"
            f" {list(shape)}{', that of one row' if batched else ''}"
        )
    return array[np.newaxis] if batched else array


def _array(spec: TensorSpec, shape: tuple[int, ...], value: Any) -> Array:
    if not isinstance(value, list):
        single = checked_values(spec.name, spec.datatype, 1, [value])
        array = array_from_values(spec.name, spec.datatype, (1,), single)
        return array.reshape(()) if -1 in shape else np.full(shape, array[0], array.dtype)
    values = checked_values(spec.name, spec.datatype, max(1, len(shape)), value)
    extents = extents_of(values, max(1, len(shape)))
    return array_from_values(spec.name, spec.datatype, extents, values)
