"""Outputs of a model as Arrow fields and columns. Imports pyarrow.

A row that has one value is that value, others are lists: of a fixed size where the signature says
it, of any size elsewhere. BF16 and FP16 become FP32, which every reader knows.
"""

import math

import msgspec
import numpy as np
import pyarrow as pa

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array, TensorSpec

LABELS = b"labels"
_SHORT_FLOATS = ("FP16", "BF16")


def field_of(spec: TensorSpec) -> pa.Field:
    """The column of an output whose first dimension counts rows."""
    kind = _value_type(spec)
    if any(extent < 0 for extent in spec.shape[1:]) or math.prod(spec.shape[1:]) != 1:
        for extent in reversed(spec.shape[1:]):
            kind = pa.list_(kind, extent) if extent > 0 else pa.list_(kind)
    labels = {LABELS: msgspec.json.encode(spec.labels)} if spec.labels else None
    return pa.field(spec.name, kind, metadata=labels)


def is_binary(kind: pa.DataType) -> bool:
    """Whether values are bytes, of any length or a fixed one."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def labels_of(field: pa.Field) -> tuple[str, ...]:
    """The names of the classes that a vector has scores of; empty where they have none."""
    content = (field.metadata or {}).get(LABELS)
    if content is None or not pa.types.is_fixed_size_list(field.type):
        return ()
    labels = msgspec.json.decode(content, type=tuple[str, ...])
    return labels if len(labels) == field.type.list_size else ()


def column_of(field: pa.Field, array: Array) -> pa.Array:
    """An output as a column; the first dimension of `array` counts rows.

    Raises ModelFailed when it is not what the signature says.
    """
    try:
        return _listed(field.type, array)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise ModelFailed(
            f"output '{field.name}' has the shape {list(array.shape)} and type {array.dtype}, "
            f"which is not the {field.type} per row that its signature says"
        ) from error


def _listed(kind: pa.DataType, array: Array) -> pa.Array:
    if not pa.types.is_fixed_size_list(kind) and not pa.types.is_list(kind):
        return pa.array(_plain(array.reshape(len(array))), kind)
    extent = array.shape[1]
    values = _listed(kind.value_type, array.reshape(len(array) * extent, *array.shape[2:]))
    if pa.types.is_fixed_size_list(kind):
        if extent != kind.list_size:
            raise ValueError("another number of values per row")
        return pa.FixedSizeListArray.from_arrays(values, type=kind)
    offsets = np.arange(len(array) + 1, dtype=np.int32) * np.int32(extent)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def _plain(array: Array) -> Array:
    # Arrow has no bfloat16
    return array.astype(np.float32) if array.dtype.itemsize == 2 and _is_float(array) else array


def _is_float(array: Array) -> bool:
    return array.dtype.kind not in "iub"


def _value_type(spec: TensorSpec) -> pa.DataType:
    if spec.datatype == "BYTES":
        return pa.string()
    if spec.datatype in _SHORT_FLOATS:
        return pa.float32()
    return pa.from_numpy_dtype(spec.dtype)
