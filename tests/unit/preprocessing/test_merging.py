"""A model and its preprocessing as one graph."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array
from augurium.preprocessing import (
    Cross,
    FittedPreprocessing,
    Impute,
    OneHot,
    Preprocessing,
    Standardize,
)
from augurium.preprocessing import fitted as f
from augurium.preprocessing.graph_inputs import graph_inputs
from augurium.preprocessing.merging import merged
from tests.support.preprocessing import run, texts

MODES = ("BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE")
RNG = np.random.default_rng(0)


def stumps(width: int, splits: list[tuple[int, str, float]]) -> onnx.ModelProto:
    """A tree of one split for each (feature, mode, threshold); each answers 1 or 0."""
    count = len(splits)
    values = [value for _, _, threshold in splits for value in (threshold, 0.0, 0.0)]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=count,
        nodes_treeids=np.repeat(np.arange(count), 3).tolist(),
        nodes_nodeids=[0, 1, 2] * count,
        nodes_featureids=[i for feature, _, _ in splits for i in (feature, 0, 0)],
        nodes_modes=[m for _, mode, _ in splits for m in (mode, "LEAF", "LEAF")],
        nodes_values=values,
        nodes_truenodeids=[1, 0, 0] * count,
        nodes_falsenodeids=[2, 0, 0] * count,
        nodes_missing_value_tracks_true=[1, 0, 0] * count,
        target_treeids=np.repeat(np.arange(count), 2).tolist(),
        target_nodeids=[1, 2] * count,
        target_ids=np.repeat(np.arange(count), 2).tolist(),
        target_weights=[1.0, 0.0] * count,
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, count])],
    )
    opset = helper.make_opsetid("ai.onnx.ml", 1)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def assert_same_answers(model: onnx.ModelProto, fitted: FittedPreprocessing, table: Any) -> None:
    (alone,) = run(model, {"x": fitted.transform(table)[0]})
    (together,) = run(merged(model, "x", fitted), graph_inputs(fitted, table))
    np.testing.assert_array_equal(together, alone)


def around(values: Array) -> Array:
    """Numbers, and their neighbours among the float32 numbers."""
    narrow = values.astype(np.float32)
    infinity = np.float32(np.inf)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38, -3.4e38, 1e-45], np.float32)
    below, above = np.nextafter(narrow, -infinity), np.nextafter(narrow, infinity)
    return np.concatenate([narrow, below, above, special])


finite = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(MODES), finite), min_size=1, max_size=6),
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e6),
)
def test_trees_answer_scaled_numbers_exactly_as_before_for_every_threshold(
    splits: list[tuple[str, float]], subtract: float, divide: float
) -> None:
    fitted = f.FittedPreprocessing(
        inputs=(f.RawColumn("a", "number", nullable=True),),
        steps=(f.Scale("a", subtract, divide),),
        outputs=("a",),
    ).sealed()
    thresholds = np.array([threshold for _, threshold in splits], np.float32)
    model = stumps(1, [(0, mode, threshold) for mode, threshold in splits])
    raw = around(thresholds.astype(np.float64) * divide + subtract)

    assert_same_answers(model, fitted, {"a": raw})


def test_scaling_in_front_of_trees_leaves_no_operator() -> None:
    table = {"a": RNG.normal(5, 2, 50), "b": RNG.normal(0, 1, 50)}
    fitted = Preprocessing((Standardize(("a", "b")),)).fit(table)
    model = stumps(2, [(0, "BRANCH_LT", 0.5), (1, "BRANCH_LEQ", -0.25)])

    assert [node.op_type for node in merged(model, "x", fitted).graph.node] == [
        "TreeEnsembleRegressor"
    ]
    assert_same_answers(model, fitted, table)


def test_trees_read_columns_in_whatever_order_they_are_made() -> None:
    table = {"s": texts(*"abcab"), "a": RNG.normal(size=5), "t": texts(*"xyxyx")}
    declared = Preprocessing((OneHot("s"), Impute("a"), Standardize("a"), OneHot("t")))
    fitted = declared.fit(table)
    model = stumps(6, [(i, "BRANCH_LT", 0.5) for i in range(6)])

    assert_same_answers(model, fitted, table)


def test_another_model_gets_the_columns_in_the_order_of_the_preprocessing() -> None:
    table = {"s": texts(*"abcab"), "a": RNG.normal(size=5)}
    fitted = Preprocessing((OneHot("s"), Standardize("a"))).fit(table)

    assert_same_answers(matmul(4), fitted, table)


def test_the_opset_is_raised_where_the_preprocessing_needs_it() -> None:
    table = {"s": texts(*"abcab"), "t": texts(*"xyxyx")}
    fitted = Preprocessing((Cross(("s", "t"), "u"), OneHot(("s", "t", "u")))).fit(table)
    model = matmul(len(fitted.outputs), opset=11)

    found = {e.domain: e.version for e in merged(model, "x", fitted).opset_import}

    assert found[""] == 20
    assert_same_answers(model, fitted, table)


def test_a_label_encoder_of_the_first_version_is_rewritten() -> None:
    table = {"a": np.arange(3.0), "s": texts(*"abc")}
    fitted = Preprocessing((OneHot("s"),), ("a",)).fit(table)
    nodes = [
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder",
            ["names"],
            ["numbers"],
            domain="ai.onnx.ml",
            classes_strings=["p", "q"],
            default_int64=7,
        ),
        helper.make_node("Add", ["best", "numbers"], ["y"]),
    ]
    names = helper.make_tensor("names", TensorProto.STRING, [1], [b"q"])
    model = one_input(nodes, len(fitted.outputs), TensorProto.INT64, [None], [names], opset=13)

    (found,) = run(merged(model, "x", fitted), graph_inputs(fitted, table))
    np.testing.assert_array_equal(found, fitted.transform(table)[0].argmax(1) + 1)


def test_names_of_the_model_never_meet_those_of_the_preprocessing() -> None:
    table = {"w": RNG.normal(size=5), "x": texts(*"abcab"), "preprocessing_t0": np.arange(5.0)}
    declared = Preprocessing((Standardize("w"), OneHot("x")), ("preprocessing_t0",))
    fitted = declared.fit(table)

    assert_same_answers(matmul(5), fitted, table)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: matmul(5), r"takes FLOAT \[0, 5\].*makes FLOAT \[0, 1\]"),
        (lambda: matmul(1, element=TensorProto.DOUBLE), "takes DOUBLE"),
        (lambda: two_inputs(), r"takes the inputs \['x', 'z'\]"),
        (lambda: matmul(1, output="a"), "output is called like the raw column 'a'"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(model: Any, said: str) -> None:
    fitted = Preprocessing((Standardize("a"),), ("a",)).fit({"a": [1.0, 2.0]})
    by_itself = beside_a_moment(fitted)

    with pytest.raises(Unprocessable, match=said):
        merged(model(), "x", by_itself)


def beside_a_moment(fitted: FittedPreprocessing) -> FittedPreprocessing:
    """The same with a column for itself, not a matrix."""
    datetime = f.RawColumn("d", "datetime")
    steps = (*fitted.steps, f.Dropped("d"))
    return f.FittedPreprocessing(
        inputs=(*fitted.inputs, datetime), steps=steps, outputs=fitted.outputs
    ).sealed()


def one_input(
    nodes: Any,
    width: int,
    output_element: int,
    output_shape: Any,
    weights: Any,
    *,
    element: int = TensorProto.FLOAT,
    output: str = "y",
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, [None, width])],
        [helper.make_tensor_value_info(output, output_element, output_shape)],
        weights,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def matmul(
    width: int, *, element: int = TensorProto.FLOAT, output: str = "y", opset: int = 17
) -> onnx.ModelProto:
    weights = helper.make_tensor("w", element, [width, 1], np.arange(1.0, width + 1))
    node = helper.make_node("MatMul", ["x", "w"], [output])
    return one_input(
        [node], width, element, [None, 1], [weights], element=element, output=output, opset=opset
    )


def two_inputs() -> onnx.ModelProto:
    model = matmul(1)
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1]))
    return model
