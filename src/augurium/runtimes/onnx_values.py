"""Runs of ONNX Runtime with bfloat16, which its arrays do not know: by values of its own.

Source: ONNX Runtime, Python API, `OrtValue`.
"""

import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from augurium.core.tensors import BFLOAT16, Array

OF_BFLOAT16 = "tensor(bfloat16)"
# onnx.TensorProto.BFLOAT16, without an import of onnx
_ELEMENT_TYPE = 16


def run_with_values(
    session: Any, outputs: Sequence[str], inputs: Mapping[str, Array]
) -> list[Array]:
    """The named outputs, in that order. Raises what ONNX Runtime does."""
    # the values are views: the arrays must outlive the run
    arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    values = {name: value_of(array) for name, array in arrays.items()}
    return [array_of(value) for value in session.run_with_ort_values(outputs, values)]


def value_of(array: Array) -> Any:
    """A value that is a view of the array, which must outlive it."""
    if array.dtype != BFLOAT16:
        return ort.OrtValue.ortvalue_from_numpy(array)
    bits = array.view(np.uint16)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, _ELEMENT_TYPE)


def array_of(value: Any) -> Array:
    """The array of a value in host memory."""
    if value.data_type() != OF_BFLOAT16:
        found: Array = value.numpy()
        return found
    shape = tuple(value.shape())
    size = math.prod(shape) * BFLOAT16.itemsize
    content = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(content, BFLOAT16).reshape(shape)
