"""The v2 wire of the client: what is encoded, and what comes back from an answer."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from augurium.client.tensor_codec import HEAD_LENGTH, decode_answer, encode_request
from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.tensors import BFLOAT16, DATATYPES, Array

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def answer_of(request: bytes, headers: dict[str, str]) -> tuple[bytes, str]:
    """The request's own tensors as an answer: an identity model that speaks binary."""
    length = int(headers[HEAD_LENGTH])
    head = json.loads(request[:length])
    encoded = json.dumps({"model_name": "echo", "outputs": head["inputs"]}).encode()
    return encoded + request[length:], str(len(encoded))


@given(
    st.sampled_from([dtype for dtype in DATATYPES if dtype != np.dtype(object)]).flatmap(
        # hypothesis knows no bfloat16: any bits are one
        lambda dtype: arrays.arrays(np.uint16 if dtype == BFLOAT16 else dtype, shapes).map(
            lambda array: array.view(dtype)
        )
    )
)
def test_numbers_come_back_from_binary_as_they_were(values: Array) -> None:
    body, headers = encode_request({"x": values}, None, binary=True)

    found = decode_answer(*answer_of(body, headers))["x"]

    assert found.dtype == values.dtype
    # NaN is itself by its bits
    assert found.tobytes() == values.tobytes()


@given(arrays.arrays(np.object_, shapes, elements=st.one_of(texts, st.just(b"\xff\xd8"))))
def test_texts_and_bytes_come_back_from_binary_as_they_were(values: Array) -> None:
    body, headers = encode_request({"x": values}, None, binary=True)

    found = decode_answer(*answer_of(body, headers))["x"]

    assert found.shape == values.shape
    assert found.tolist() == values.tolist()


def test_binary_inputs_lie_behind_the_head_in_their_order() -> None:
    inputs = {"a": np.array([1, 2], np.int32), "b": np.array(["hé", ""], object)}

    body, headers = encode_request(inputs, ["y"], binary=True)

    head = json.loads(body[: int(headers[HEAD_LENGTH])])
    assert head["inputs"] == [
        {"name": "a", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "b", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11}},
    ]
    assert head["outputs"] == [{"name": "y"}]
    assert head["parameters"] == {"binary_data_output": True}
    blobs = body[int(headers[HEAD_LENGTH]) :]
    assert blobs == b"\1\0\0\0\2\0\0\0" + b"\3\0\0\0h\xc3\xa9" + b"\0\0\0\0"


@pytest.mark.parametrize(
    "values",
    [np.array([[1, 2], [3, 4]], ">i4"), np.array([[1, 3], [2, 4]], "<i4").T],
    ids=["big-endian", "column-major"],
)
def test_memory_order_does_not_reach_the_wire(values: Array) -> None:
    body, headers = encode_request({"x": values}, None, binary=True)

    assert body[int(headers[HEAD_LENGTH]) :] == np.array([1, 2, 3, 4], "<i4").tobytes()


def test_json_inputs_are_flat_and_carry_no_binary_header() -> None:
    inputs = {"x": np.array([[1.5, 2.0]], np.float32), "s": np.array([b"a"], object)}

    body, headers = encode_request(inputs, None, binary=False)

    assert HEAD_LENGTH not in headers
    assert json.loads(body)["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]},
        {"name": "s", "datatype": "BYTES", "shape": [1], "data": ["a"]},
    ]


def test_json_and_binary_outputs_may_stand_in_one_answer() -> None:
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["yes", "no"]},
        {"name": "p", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "missing", "datatype": "FP64", "shape": [1, 2], "data": [[None, 1.0]]},
    ]
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()

    found = decode_answer(head + np.array([0.5, 0.25], "<f4").tobytes(), str(len(head)))

    assert found["label"].tolist() == ["yes", "no"]
    assert found["p"].tolist() == [0.5, 0.25]
    assert np.isnan(found["missing"][0, 0])


def test_outputs_may_be_written_to() -> None:
    body, headers = encode_request({"x": np.zeros(2)}, None, binary=True)

    found = decode_answer(*answer_of(body, headers))["x"]
    found[0] = 7.0

    assert found.tolist() == [7.0, 0.0]


def binary_answer(datatype: str, announced_bytes: int, blob: bytes) -> tuple[bytes, str]:
    """An answer with one binary output of one element."""
    output = {"name": "x", "datatype": datatype, "shape": [1]}
    parameters = {"binary_data_size": announced_bytes}
    head = json.dumps({"outputs": [output | {"parameters": parameters}]}).encode()
    return head + blob, str(len(head))


@pytest.mark.parametrize(
    "answer",
    [
        (b"<html>", None),
        (b'{"outputs": []}', "twelve"),
        (b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [3], "data": [1]}]}', None),
        binary_answer("FP32", 4, b"\0\0"),
        binary_answer("FP32", -4, b"\0\0\0\0"),
        binary_answer("FP32", 8, b"\0" * 8),
        binary_answer("BYTES", 5, b"\7\0\0\0a"),
        binary_answer("BYTES", 3, b"\7\0\0"),
    ],
    ids=[
        "no-json",
        "bad-head-length",
        "too-few-values",
        "cut-short",
        "negative-size",
        "too-many-values",
        "text-longer-than-its-blob",
        "half-a-text-length",
    ],
)
def test_a_damaged_answer_is_an_error(answer: tuple[bytes, str | None]) -> None:
    with pytest.raises(AuguriumError, match="inference answer cannot be read"):
        decode_answer(*answer)


def test_a_dtype_the_protocol_lacks_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="complex128"):
        encode_request({"x": np.array([1j])}, None, binary=True)


def test_a_missing_value_among_texts_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="missing_value"):
        encode_request({"x": np.array(["a", None], object)}, None, binary=True)


def test_nan_is_refused_in_json() -> None:
    with pytest.raises(InvalidArgument, match="binary=True"):
        encode_request({"x": np.array([np.nan])}, None, binary=False)
