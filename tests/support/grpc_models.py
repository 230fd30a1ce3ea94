"""Models for tests of the wire: what is sent comes back."""

from typing import Any

import numpy as np
import onnx
import onnx.helper as oh

from augurium.core.tensors import NUMPY_DTYPES
from tests.support.models import graph

WIDTH = 3
_TYPES = {
    "BOOL": onnx.TensorProto.BOOL,
    "UINT8": onnx.TensorProto.UINT8,
    "UINT16": onnx.TensorProto.UINT16,
    "UINT32": onnx.TensorProto.UINT32,
    "UINT64": onnx.TensorProto.UINT64,
    "INT8": onnx.TensorProto.INT8,
    "INT16": onnx.TensorProto.INT16,
    "INT32": onnx.TensorProto.INT32,
    "INT64": onnx.TensorProto.INT64,
    "FP16": onnx.TensorProto.FLOAT16,
    "FP32": onnx.TensorProto.FLOAT,
    "FP64": onnx.TensorProto.DOUBLE,
    "BYTES": onnx.TensorProto.STRING,
}


def echo_model(datatypes: tuple[str, ...] = tuple(_TYPES)) -> bytes:
    """Gives tensors of three columns back: input `FP32` as output `same_FP32`, and so on."""
    shape = ["batch", WIDTH]
    return graph(
        [oh.make_node("Identity", [kind], [f"same_{kind}"]) for kind in datatypes],
        [oh.make_tensor_value_info(kind, _TYPES[kind], shape) for kind in datatypes],
        [oh.make_tensor_value_info(f"same_{kind}", _TYPES[kind], shape) for kind in datatypes],
    )


def image_model() -> bytes:
    """Gives images of 3 x 224 x 224 back."""
    kind, shape = onnx.TensorProto.FLOAT, ["batch", 3, 224, 224]
    return graph(
        [oh.make_node("Identity", ["x"], ["y"])],
        [oh.make_tensor_value_info("x", kind, shape)],
        [oh.make_tensor_value_info("y", kind, shape)],
    )


def extremes(datatype: str, rows: int = 2) -> np.ndarray[Any, Any]:
    """Rows for `echo_model`: the smallest and the largest values of a datatype."""
    dtype = NUMPY_DTYPES[datatype]
    if datatype == "BYTES":
        values: list[Any] = [b"", "zwölf".encode(), b"\0\n"]
    elif datatype == "BOOL":
        values = [True, False, True]
    elif np.issubdtype(dtype, np.integer):
        values = [np.iinfo(dtype).min, 1, np.iinfo(dtype).max]
    else:
        values = [np.finfo(dtype).min, 0.1, np.finfo(dtype).max]
    return np.array([values] * rows, dtype)
