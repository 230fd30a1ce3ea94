"""`{"b64": ...}`: which objects are wrapped texts, and what is refused."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.wrapped_bytes import bytes_wrapped, unwrapped, wrapped

TEXT = TensorSpec("text", "BYTES", (-1,))
PAIR = TensorSpec("pair", "BYTES", (-1, 2))
AGE = TensorSpec("age", "FP32", (-1,))
ANSWER = (TensorSpec("y", "FP32", (-1,)),)


def b64(text: str) -> dict[str, str]:
    return {"b64": base64.b64encode(text.encode()).decode()}


def tensor(rows: list[Any], *inputs: TensorSpec) -> list[Any]:
    found = tensors_from_instances(Instances(rows), Signature(inputs, ANSWER))
    values: list[Any] = found[inputs[0].name].tolist()
    return values


texts = st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(texts)
def test_what_is_wrapped_comes_out_again(values: Any) -> None:
    assert unwrapped(wrapped(values)) == values


def test_the_padding_may_be_left_out() -> None:
    assert unwrapped({"b64": "aGVsbG8"}) == "hello"


@pytest.mark.parametrize("content", ["@@", "a", "aGVsbG8=="])
def test_what_is_not_base64_is_refused(content: str) -> None:
    with pytest.raises(InvalidArgument, match="not Base64"):
        unwrapped({"b64": content})


def test_bytes_that_are_no_text_stay_bytes() -> None:
    assert unwrapped(wrapped([b"\xff\xd8", "a"])) == [b"\xff\xd8", "a"]
    assert bytes_wrapped([b"\xff\xd8", "a", [1, None]]) == [{"b64": "/9g="}, "a", [1, None]]


def test_a_column_may_hold_texts_and_bytes() -> None:
    assert tensor([wrapped(b"\xff"), "b", b64("c")], TEXT) == [b"\xff", "b", "c"]
    assert tensor([{"pair": ["a", wrapped(b"\xff")]}], PAIR) == [["a", b"\xff"]]
    with pytest.raises(InvalidArgument, match="expects BYTES values"):
        tensor([wrapped(b"\xff"), 1], TEXT)
    lenient = TensorSpec("text", "BYTES", (-1,), nullable=True, lenient=True)
    assert tensor([wrapped(b"\xff"), 1], lenient) == [b"\xff", None]


def test_a_row_is_a_wrapped_value_or_has_some() -> None:
    assert tensor([b64("grüß"), "b"], TEXT) == ["grüß", "b"]
    assert tensor([{"text": b64("a")}], TEXT) == ["a"]
    assert tensor([{"text": b64("a"), "age": 1}], TEXT, AGE) == ["a"]
    assert tensor([[b64("a"), "b"]], PAIR) == [["a", "b"]]


def test_a_feature_called_b64_is_a_feature() -> None:
    assert tensor([{"b64": "aGVsbG8="}], TensorSpec("b64", "BYTES", (-1,))) == ["aGVsbG8="]


def test_only_texts_may_be_wrapped() -> None:
    with pytest.raises(InvalidArgument, match="expects FP32 values"):
        tensor([b64("1.0")], AGE)
    with pytest.raises(InvalidArgument, match="expects BYTES values"):
        tensor([[{"b64": "YQ==", "x": 1}, "b"]], PAIR)


def test_an_infinity_is_a_value_and_a_number_out_of_range_is_not() -> None:
    assert tensor([float("inf"), -np.inf], AGE) == [np.inf, -np.inf]
    with pytest.raises(InvalidArgument, match="out of the range of FP32"):
        tensor([1e300, np.inf], AGE)
