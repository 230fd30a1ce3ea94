"""ONNX files become servable as they are, once they have shown what they do."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto, numpy_helper

from augurium.core.errors import Unprocessable
from augurium.core.tensors import BFLOAT16, TensorSpec
from augurium.importing.result import ImportResult

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

FLOAT = TensorProto.FLOAT


def model(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: tuple[Any, ...] = ()
) -> bytes:
    graph = oh.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [oh.make_opsetid(domain, version) for domain, version in (("", 17), ("acme", 1))]
    content: bytes = oh.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def tensor(name: str, kind: int = FLOAT, shape: tuple[Any, ...] = ("n", 3)) -> Any:
    return oh.make_tensor_value_info(name, kind, shape)


def identity(kind: int = FLOAT, shape: tuple[Any, ...] = ("n", 3)) -> bytes:
    node = oh.make_node("Identity", ["x"], ["y"])
    return model([node], [tensor("x", kind, shape)], [tensor("y", kind, shape)])


def test_a_file_is_served_unchanged_with_the_names_of_its_graph(
    import_content: Import, ask: Ask
) -> None:
    result = import_content(identity(), "model.onnx", framework="onnx")
    assert result.servable.read_bytes() == identity()
    assert (result.framework, result.framework_version) == ("onnx", "opset 17")
    assert result.signature.inputs == (TensorSpec("x", "FP32", (-1, 3)),)
    assert result.signature.outputs == (TensorSpec("y", "FP32", (-1, 3)),)
    assert result.signature.batched
    rows = np.ones((7, 3), np.float32)
    np.testing.assert_array_equal(ask(result, {"x": rows})["y"], rows)


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.INT64, TensorProto.BOOL])
def test_other_datatypes_are_served(import_content: Import, kind: int) -> None:
    assert import_content(identity(kind)).signature.batched


def test_bfloat16_goes_through_what_onnx_runtime_has_operators_for(
    import_content: Import, ask: Ask
) -> None:
    nodes = [
        oh.make_node("Cast", ["x"], ["wide"], to=FLOAT),
        oh.make_node("Add", ["wide", "f"], ["sum"]),
        oh.make_node("Cast", ["sum"], ["y"], to=TensorProto.BFLOAT16),
        oh.make_node("Cast", ["f"], ["said"], to=TensorProto.STRING),
    ]
    content = model(
        nodes,
        [tensor("x", TensorProto.BFLOAT16), tensor("f")],
        [tensor("y", TensorProto.BFLOAT16), tensor("said", TensorProto.STRING)],
    )
    result = import_content(content)
    assert [spec.datatype for spec in result.signature.inputs] == ["BF16", "FP32"]
    assert result.signature.batched
    rows = np.array([[1.5, -2.0, 3e38], [np.inf, 0.0, 1.0]], BFLOAT16)
    ones = np.ones((2, 3), np.float32)
    found = ask(result, {"x": rows, "f": ones})
    assert found["y"].dtype == BFLOAT16
    expected = (rows.astype(np.float32) + ones).astype(BFLOAT16)
    np.testing.assert_array_equal(found["y"].view(np.uint16), expected.view(np.uint16))
    assert found["said"].tolist() == [["1"] * 3] * 2


def test_the_memory_of_a_model_is_measured(import_content: Import) -> None:
    weight = numpy_helper.from_array(np.ones((5_000_000, 3), np.float32), "w")
    node = oh.make_node("Gather", ["w", "x"], ["y"])
    content = model([node], [tensor("x", TensorProto.INT64, ("n",))], [tensor("y")], (weight,))
    assert import_content(content).report["sizes"]["memory_bytes"] > 60_000_000


def test_a_fixed_first_dimension_is_not_a_batch(import_content: Import) -> None:
    result = import_content(identity(shape=(1, 3)))
    assert result.signature.inputs[0].shape == (1, 3)
    assert not result.signature.batched


def test_rows_that_depend_on_their_neighbours_are_not_batched(import_content: Import) -> None:
    nodes = [
        oh.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        oh.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    result = import_content(model(nodes, [tensor("x")], [tensor("y")]))
    assert not result.signature.batched
    assert not result.report["parity"]["row_independent"]


def test_more_rows_out_than_in_are_not_a_batch(import_content: Import) -> None:
    node = oh.make_node("Concat", ["x", "x"], ["y"], axis=0)
    result = import_content(model([node], [tensor("x")], [tensor("y", shape=("m", 3))]))
    assert not result.signature.batched


def test_floats_may_be_missing_where_the_graph_makes_numbers_of_them(
    import_content: Import,
) -> None:
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nodes = [
        oh.make_node("IsNaN", ["x"], ["hole"]),
        oh.make_node("Where", ["hole", "zero", "x"], ["y"]),
    ]
    result = import_content(model(nodes, [tensor("x")], [tensor("y")], (zero,)))
    assert result.signature.inputs[0].nullable


def test_columns_of_a_table_name_the_features_of_a_matrix(import_content: Import) -> None:
    columns = [{"name": name, "values": [1.0, 2.0]} for name in "abc"]
    table = json.dumps({"columns": columns}).encode()
    assert import_content(identity(), table=table).signature.inputs[0].features == ("a", "b", "c")


def external() -> bytes:
    weight = numpy_helper.from_array(np.ones((1, 3), np.float32), "w")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    node = oh.make_node("Add", ["x", "w"], ["y"])
    return model([node], [tensor("x")], [tensor("y")], (weight,))


def hidden_in_a_branch() -> bytes:
    inner = oh.make_graph(
        [oh.make_node("Magic", ["x"], ["z"], domain="acme")], "b", [], [tensor("z")]
    )
    plain = oh.make_graph([oh.make_node("Identity", ["x"], ["z"])], "p", [], [tensor("z")])
    yes = numpy_helper.from_array(np.array(True), "yes")
    node = oh.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=plain)
    return model([node], [tensor("x")], [tensor("y")], (yes,))


def lying() -> bytes:
    shape = numpy_helper.from_array(np.array([-1, 1]), "s")
    node = oh.make_node("Reshape", ["x", "s"], ["y"])
    return model([node], [tensor("x")], [tensor("y")], (shape,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (external(), "lie in other files"),
        (
            model(
                [oh.make_node("Magic", ["x"], ["y"], domain="acme")], [tensor("x")], [tensor("y")]
            ),
            "Magic of domain 'acme' is a custom operator",
        ),
        (hidden_in_a_branch(), "Magic of domain 'acme' is a custom operator"),
        (identity(TensorProto.FLOAT8E4M3FN), "'x' has elements of type FLOAT8E4M3FN; cast it"),
        (
            model(
                [oh.make_node("Add", ["x", "x"], ["y"])],
                [tensor("x", TensorProto.BFLOAT16)],
                [tensor("y", TensorProto.BFLOAT16)],
            ),
            "Could not find an implementation for Add",
        ),
        (
            model(
                [oh.make_node("Identity", ["x"], ["y"]), oh.make_node("Identity", ["t"], ["u"])],
                [tensor("x", TensorProto.BFLOAT16), tensor("t", TensorProto.STRING)],
                [tensor("y", TensorProto.BFLOAT16), tensor("u", TensorProto.STRING)],
            ),
            "cannot be given texts where a graph takes or gives BFLOAT16",
        ),
        (lying(), "the graph declares what it does not do"),
        (
            model([oh.make_node("Nonsense", ["x"], ["y"])], [tensor("x")], [tensor("y")]),
            "breaks the rules of the format: No Op registered for Nonsense",
        ),
        (
            model([oh.make_node("Add", ["x", "w"], ["y"])], [tensor("x")], [tensor("y")]),
            "breaks the",
        ),
    ],
)
def test_files_that_cannot_be_served_are_refused_with_the_reason(
    import_content: Import, content: bytes, says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        import_content(content, "model.onnx")


def test_a_model_that_fails_on_every_row_is_refused(import_content: Import) -> None:
    table = numpy_helper.from_array(np.ones((0, 3), np.float32), "w")
    node = oh.make_node("Gather", ["w", "x"], ["y"])
    content = model([node], [tensor("x", TensorProto.INT64, ("n",))], [tensor("y")], (table,))
    with pytest.raises(Unprocessable, match="the model failed"):
        import_content(content)
