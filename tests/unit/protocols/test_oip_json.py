import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip_json
from augurium.protocols.json_depth import check_depth


def decode(content: Any, header_length: str | None = None) -> oip_json.WireRequest:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return oip_json.decode(body, header_length, 100)


def tensor(**changes: Any) -> dict[str, Any]:
    whole = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def test_json_inputs_become_tensors() -> None:
    wire = decode(
        {"id": "r1", "inputs": [tensor(), tensor(name="s", datatype="BYTES", data=["a", "b"])]}
    )
    assert wire.body.id == "r1"
    assert wire.inputs["x"].tolist() == [[1, 2]]
    assert wire.inputs["s"].tolist() == [["a", "b"]]


@pytest.mark.parametrize("value", [1, "true", [], None])
def test_whether_an_answer_is_binary_is_true_or_false(value: Any) -> None:
    outputs = [{"name": "y", "parameters": {"binary_data": value}}]
    with pytest.raises(InvalidArgument, match="Unable to parse 'binary_data'"):
        decode({"inputs": [tensor()], "outputs": outputs})
    with pytest.raises(InvalidArgument, match="Unable to parse 'binary_data_output'"):
        decode({"inputs": [tensor()], "parameters": {"binary_data_output": value}})


def test_json_and_binary_inputs_may_be_mixed() -> None:
    blob = np.array([3, 4], np.float32).tobytes()
    strings = b"\x01\x00\x00\x00a\x02\x00\x00\x00bc"
    head = json.dumps(
        {
            "inputs": [
                tensor(data=..., parameters={"binary_data_size": 8}),
                tensor(name="y"),
                tensor(name="s", datatype="BYTES", data=..., parameters={"binary_data_size": 11}),
            ]
        }
    ).encode()
    wire = decode(head + blob + strings, str(len(head)))
    assert [wire.inputs[name].tolist() for name in "xys"] == [[[3, 4]], [[1, 2]], [["a", "bc"]]]


def with_binary(size: object, blob: bytes = b"\x00" * 8, **changes: Any) -> tuple[bytes, str]:
    head = json.dumps(
        {"inputs": [tensor(**{"data": ..., "parameters": {"binary_data_size": size}, **changes})]}
    ).encode()
    return head + blob, str(len(head))


BAD_BINARY = {
    "size beyond the body": with_binary(16),
    "size below the shape": with_binary(4, b"\0" * 4),
    "negative size": with_binary(-8),
    "size as text": with_binary("8"),
    "size as truth": with_binary(True, b"\0"),
    "data and size": with_binary(8, data=[1, 2]),
    "bytes left over": with_binary(8, b"\0" * 9),
    "length inside an element": with_binary(3, b"\0" * 3, datatype="BYTES"),
    "element beyond the end": with_binary(8, b"\xff\0\0\0abcd", datatype="BYTES"),
    "too few elements": with_binary(4, b"\0" * 4, datatype="BYTES"),
}


@pytest.mark.parametrize("case", BAD_BINARY)
def test_binary_inputs_that_do_not_fit_are_refused(case: str) -> None:
    with pytest.raises(InvalidArgument):
        decode(*BAD_BINARY[case])


@pytest.mark.parametrize(
    "length", ["-1", "+5", "0x10", "1e3", " 5", "", "5,5", "99999999999", "9" * 30]
)
def test_a_bad_header_length_is_refused(length: str) -> None:
    with pytest.raises(InvalidArgument, match=r"inference header size should be in range \(0, "):
        decode({"inputs": [tensor()]}, length)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"inputs": [',
        b'\xef\xbb\xbf{"inputs": []}',
        '{"inputs": []}'.encode("utf-16"),
        b'{"inputs": [{"name": "\xff"}]}',
        {"inputs": {}},
        {"inputs": [tensor(shape="x")]},
        {"inputs": [tensor(shape=[1.5, 2])]},
        {"inputs": [tensor(shape=[True, 2])]},
        {"inputs": [tensor(shape=None)]},
        {"inputs": [tensor(shape=[-1, 2])]},
        {"inputs": [tensor(shape=[16, 2**60 + 2])]},
        {"inputs": [tensor(shape=[2**64])]},
        {"inputs": [tensor(name=1)]},
        {"inputs": [tensor(datatype=...)]},
        {"inputs": [tensor(data=...)]},
        {"inputs": [tensor(), tensor()]},
        {"inputs": [tensor()], "id": "x" * 300},
        {"inputs": [tensor()], "id": "a\r\nb"},
        {"inputs": [tensor()], "outputs": [{"name": "y"}, {"name": "y"}]},
        {"inputs": [tensor()], "parameters": {"triton_x": 1}},
        {"inputs": [tensor(data=[1, "2"])]},
    ],
)
def test_bodies_that_are_not_requests_are_refused(body: Any) -> None:
    with pytest.raises(InvalidArgument):
        decode(body)


@given(st.binary(max_size=300), st.none() | st.text(max_size=5))
def test_no_bytes_break_the_decoder(body: bytes, header_length: str | None) -> None:
    with contextlib.suppress(AuguriumError):
        oip_json.decode(body, header_length, 100)


def test_unknown_fields_are_ignored() -> None:
    assert decode({"inputs": [tensor(extra=1)], "later": {"a": [1]}}).inputs["x"].shape == (1, 2)


def response() -> InferenceResponse:
    arrays = [np.array([1, 0]), np.array([[0.5, 0.5], [np.nan, 1]], np.float32)]
    specs = (TensorSpec("label", "INT64", (-1,)), TensorSpec("p", "FP32", (-1, 2)))
    return InferenceResponse("m", 3, "r1", specs, range(2), Answer(BatchOutputs(arrays)))


def test_answers_are_json_and_nan_is_null() -> None:
    found = oip_json.encode(response(), frozenset())
    assert json.loads(found.body) == {
        "model_name": "m",
        "model_version": "3",
        "id": "r1",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
            {"name": "p", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.5, None, 1]},
        ],
    }


def test_binary_outputs_follow_the_json() -> None:
    found = oip_json.encode(response(), frozenset({"p"}))
    length = int(dict(found.headers)["inference-header-content-length"])
    head = json.loads(found.body[:length])
    assert head["outputs"][1]["parameters"] == {"binary_data_size": 16}
    assert "data" not in head["outputs"][1]
    np.testing.assert_array_equal(
        np.frombuffer(found.body[length:], np.float32), [0.5, 0.5, np.nan, 1]
    )


@pytest.mark.parametrize(
    ("parameters", "outputs", "binary"),
    [
        ({}, [], set()),
        ({"binary_data_output": True}, [], {"label", "p"}),
        ({}, [{"name": "p", "parameters": {"binary_data": True}}], {"p"}),
        (
            {"binary_data_output": True},
            [{"name": "p", "parameters": {"binary_data": False}}],
            {"label"},
        ),
    ],
)
def test_an_outputs_own_wish_for_binary_wins_over_the_requests(
    parameters: dict[str, Any], outputs: list[Any], binary: set[str]
) -> None:
    wire = decode({"inputs": [tensor()], "parameters": parameters, "outputs": outputs})
    assert wire.binary_outputs(response()) == binary


@pytest.mark.parametrize("levels", [101, 1000, 250_000])
def test_deep_json_is_refused(levels: int) -> None:
    with pytest.raises(InvalidArgument, match="nested deeper than 100"):
        check_depth(b"[" * levels + b"]" * levels, 100)


def test_brackets_inside_strings_and_beside_each_other_are_not_depth() -> None:
    check_depth(json.dumps(["[" * 500, '"[' * 500, *([[]] * 500)]).encode(), 100)
