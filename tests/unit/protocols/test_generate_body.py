"""Bodies of generate requests: plain values to rows and tensors, everything else to parameters."""

from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.generate_body import GenerateBody, decode

PROMPT = TensorSpec("prompt", "BYTES", (-1,))
TOP = TensorSpec("top", "INT64", (-1, 1))
VECTOR = TensorSpec("vector", "FP32", (-1, 3))
TABLE = TensorSpec("table", "FP32", (-1, 2), features=("age", "income"))
ANSWER = (TensorSpec("text", "BYTES", (-1,)),)


def read(content: Any, *inputs: TensorSpec, batched: bool = True) -> GenerateBody:
    encoded = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return decode(encoded, Signature(inputs, ANSWER, batched=batched), 10)


def rows(content: Any, *inputs: TensorSpec) -> list[Any]:
    found = read(content, *inputs).inputs
    assert isinstance(found, Instances)
    return found.rows


def test_bare_values_are_one_row() -> None:
    assert rows({"prompt": "hi", "top": 3}, PROMPT, TOP) == [{"prompt": "hi", "top": 3}]


def test_lists_are_rows_where_they_are_nested_as_deep_as_the_tensor() -> None:
    assert rows({"prompt": ["a", "b"]}, PROMPT) == [{"prompt": "a"}, {"prompt": "b"}]
    assert rows({"vector": [1, 2, 3]}, VECTOR) == [{"vector": [1, 2, 3]}]
    assert rows({"vector": [[1, 2, 3], [4, 5, 6]]}, VECTOR) == [
        {"vector": [1, 2, 3]},
        {"vector": [4, 5, 6]},
    ]
    assert rows({"prompt": ["a"], "top": 3}, PROMPT, TOP) == [{"prompt": "a", "top": 3}]


def test_a_matrix_beside_its_own_features_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="as a whole and by its features"):
        rows({"table": [1, 2], "age": 3}, TABLE)


def test_a_matrix_comes_whole_or_by_feature() -> None:
    expected = [{"age": 1, "income": 2}]
    assert rows({"table": [1, 2]}, TABLE) == expected
    assert rows({"table": [[1, 2]]}, TABLE) == expected
    assert rows({"age": 1, "income": 2}, TABLE) == expected
    assert rows({"age": [1, 3], "income": [2, 4]}, TABLE) == [*expected, {"age": 3, "income": 4}]


def test_what_is_no_input_is_a_parameter() -> None:
    body = read({"prompt": "hi", "heat": 0.5, "id": "7", "parameters": {"top": 3}}, PROMPT)
    assert (body.id, body.parameters) == ("7", {"heat": 0.5, "top": 3})


def test_an_input_named_like_a_field_of_the_body_is_an_input() -> None:
    body = read({"id": "7", "parameters": "x"}, *map(_text, ("id", "parameters")))
    assert body.inputs == Instances([{"id": "7", "parameters": "x"}])
    assert (body.id, body.parameters) == ("", {})


def test_without_a_batch_dimension_a_value_is_the_whole_tensor() -> None:
    body = read({"prompt": "hi", "vector": [[1, 2, 3], [4, 5, 6]]}, PROMPT, VECTOR, batched=False)
    assert isinstance(body.inputs, dict)
    assert {name: array.tolist() for name, array in body.inputs.items()} == {
        "prompt": ["hi"],
        "vector": [[1, 2, 3], [4, 5, 6]],
    }
    empty = read({"prompt": []}, PROMPT, batched=False).inputs
    assert isinstance(empty, dict)
    assert empty["prompt"].shape == (0,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "failed to parse the request JSON"),
        (b"[1]", "expected an object of inputs by name"),
        (b'{"prompt": "\xff"}', "failed to parse"),
        (b"[" * 50, "nested"),
        ({"prompt": "a", "id": 7}, "'id' must be a string"),
        ({"prompt": "a", "parameters": [1]}, "'parameters' must be an object"),
        ({"prompt": "a", "odd": None}, "'odd' is no input of this model, and as a parameter"),
        ({"prompt": "a", "odd": {"a": 1}}, "must be a string, a number or a boolean"),
        ({"prompt": "a", "x": 1, "parameters": {"x": 2}}, "parameter 'x' is given twice"),
        ({"prompt": "a", "triton_x": 1}, "'triton_x' is reserved"),
        ({"prompt": ["a", "b"], "top": [[1]]}, r"differ in rows: \[1, 2\]"),
    ],
)
def test_what_is_wrong_is_said(content: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        read(content, PROMPT, TOP)


def test_a_row_of_a_matrix_has_its_width() -> None:
    with pytest.raises(InvalidArgument, match="a row of input 'table' must be a list of 2 values"):
        read({"table": [[1, 2, 3]]}, TABLE)


@pytest.mark.parametrize("value", ["x", [["x"]], [[1, 2], [3]], 1e40])
def test_a_tensor_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="vector"):
        read({"vector": value}, VECTOR, batched=False)


def _text(name: str) -> TensorSpec:
    return TensorSpec(name, "BYTES", (-1,))
