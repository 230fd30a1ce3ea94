"""Models for tests: small ONNX graphs, and fitted models with rows to ask about."""

from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper
import pandas as pd
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

FEATURES = 10


def graph(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: tuple[Any, ...] = ()
) -> bytes:
    """A small ONNX model."""
    content = oh.make_graph(nodes, "g", inputs, outputs, list(constants))
    model = oh.make_model(content, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def simple_model() -> bytes:
    """Triton's `simple`: sum and difference of two INT32 vectors of 16."""
    kind, shape = onnx.TensorProto.INT32, ["batch", 16]
    return graph(
        [
            oh.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
            oh.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
        ],
        [oh.make_tensor_value_info(f"INPUT{i}", kind, shape) for i in range(2)],
        [oh.make_tensor_value_info(f"OUTPUT{i}", kind, shape) for i in range(2)],
    )


def text_model() -> bytes:
    """Gives strings back."""
    kind, shape = onnx.TensorProto.STRING, ["batch", 2]
    return graph(
        [oh.make_node("Identity", ["text"], ["same"])],
        [oh.make_tensor_value_info("text", kind, shape)],
        [oh.make_tensor_value_info("same", kind, shape)],
    )


def table_model(value: int, size_bytes: int) -> bytes:
    """Looks its answer up in a large table that holds nothing but `value`."""
    table = np.full(size_bytes // 4, value, np.float32)
    return graph(
        [oh.make_node("Gather", ["table", "place"], ["found"])],
        [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["rows", 1])],
        [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["rows", 1])],
        (onnx.numpy_helper.from_array(table, "table"),),
    )


def picky_model() -> bytes:
    """Looks its input up in a table of ten: a row beyond it makes the run fail."""
    table = oh.make_tensor(
        "table", onnx.TensorProto.FLOAT, [10], [float(i) * 10 for i in range(10)]
    )
    return graph(
        [oh.make_node("Gather", ["table", "place"], ["found"])],
        [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["batch", 1])],
        [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["batch", 1])],
        (table,),
    )


def slow_model() -> bytes:
    """Multiplies by a big matrix: a millisecond or two per row, some hundred for 256 rows."""
    size = 1024
    rng = np.random.default_rng(0)
    matrix = onnx.numpy_helper.from_array(
        rng.normal(size=(size, size)).astype(np.float32) / 32, "matrix"
    )
    nodes = [oh.make_node("Expand", ["x", "wide"], ["h0"])]
    nodes += [oh.make_node("MatMul", [f"h{i}", "matrix"], [f"h{i + 1}"]) for i in range(4)]
    nodes.append(oh.make_node("ReduceMean", ["h4"], ["y"], axes=[1, 2], keepdims=0))
    return graph(
        nodes,
        [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 1, 1])],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch"])],
        (matrix, oh.make_tensor("wide", onnx.TensorProto.INT64, [3], [1, 8, size])),
    )


class Tabular(NamedTuple):
    """An XGBoost classifier and rows with missing values."""

    model: XGBClassifier
    rows: np.ndarray[Any, np.dtype[np.float32]]

    @property
    def probabilities(self) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.model.predict_proba(self.rows)
        return found


class Mixed(NamedTuple):
    """A scikit-learn pipeline over text and numbers, and rows with missing and unseen values."""

    model: Pipeline
    table: pd.DataFrame
    rows: pd.DataFrame

    @property
    def instances(self) -> list[dict[str, Any]]:
        plain = self.rows.astype(object).where(self.rows.notna(), None)
        records: list[dict[str, Any]] = plain.to_dict("records")
        return records
