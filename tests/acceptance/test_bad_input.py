"""What bad input gets, over REST and gRPC: the right code, a text that says what was expected.

The `still_serving` fixture asks a good question after each of them.
"""

import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb

from tests.support.node import Node

MEBIBYTE = 1024 * 1024
INFER = "/inference.GRPCInferenceService/ModelInfer"


class Case(NamedTuple):
    """A request that is refused: where it goes, what it holds, and the answer it gets."""

    path: str
    body: Any
    status: int
    text: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    method: str = "POST"


def v2(status: int, text: str, model: str = "simple", **changes: Any) -> Case:
    """A v2 request for two vectors of 16 integers, of which one is changed."""
    first = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
    second = {**first, "name": "INPUT1"}
    changed = {key: value for key, value in {**first, **changes}.items() if value is not ...}
    return Case(f"/v2/models/{model}/infer", {"inputs": [changed, second]}, status, text)


def v1(instances: Any, text: str, model: str = "tabular") -> Case:
    return Case(f"/v1/models/{model}:predict", {"instances": instances}, 400, text)


def raw(body: bytes, status: int, text: str, **headers: str) -> Case:
    fixed = {key.replace("_", "-"): value for key, value in headers.items()}
    return Case("/v2/models/simple/infer", body, status, text, fixed)


def nested(levels: int) -> bytes:
    return b'{"inputs": ' + b"[" * levels + b"]" * levels + b"}"


ROW = {f"f{i}": 0.5 for i in range(10)}
REST_CASES = {
    "empty body": raw(b"", 400, "failed to parse the request JSON"),
    "truncated JSON": raw(b'{"inputs": [{"name"', 400, "failed to parse the request JSON"),
    "not an object": raw(b"[1]", 400, "Unable to parse"),
    "UTF-16": raw('{"inputs": []}'.encode("utf-16"), 400, "failed to parse"),
    "no inputs": raw(b"{}", 400, "missing required field `inputs`"),
    "too few inputs": raw(b'{"inputs": []}', 400, "expected 2 inputs but got 0 inputs"),
    "1000 levels": raw(nested(1000), 400, "nested deeper than 100 levels"),
    "250000 levels": raw(nested(250_000), 400, "nested deeper than 100 levels"),
    "wrong datatype": v2(
        400, "data-type is 'INT64', but model 'simple' expects 'INT32'", datatype="INT64"
    ),
    "unknown datatype": v2(400, "datatype 'FP8' is not known; expected one of", datatype="FP8"),
    "wrong shape": v2(400, "Expected [-1,16], got [2,8]", shape=[2, 8]),
    "wrong rank": v2(400, "Expected [-1,16], got [16]", shape=[16]),
    "overflowing shape": v2(400, "elements; at most", shape=[16, 2**60 + 2]),
    "overflowing empty shape": v2(400, "elements; at most", shape=[0, 2**62], data=[]),
    "negative dimension": v2(400, "negative dimension", shape=[-1, -16]),
    "no rows": v2(400, "differ in rows", shape=[0, 16], data=[]),
    "shape as text": v2(400, "Unable to parse 'shape'", shape="1,16"),
    "fractional dimension": v2(400, "Unable to parse 'shape'", shape=[1.5, 16]),
    "too few values": v2(400, "which is 16 values, but its data has shape [15]", data=[1] * 15),
    "too many values": v2(400, "which is 16 values", data=[1] * 17),
    "out of range": v2(400, "out of the range of INT32", data=[2**40] * 16),
    "text for a number": v2(400, "is not a list of INT32 values", data=["1"] * 16),
    "truth for a number": v2(400, "is not a list of INT32 values", data=[True] * 16),
    "no data": v2(400, "neither 'data' nor 'binary_data_size'", data=...),
    "unknown input": v2(400, "unexpected inference input 'X' for model 'simple'", name="X"),
    "one name twice": v2(400, "input 'INPUT1' is given twice", name="INPUT1"),
    "reserved parameter": raw(
        b'{"inputs": [], "parameters": {"triton_x": 1}}', 400, "parameter 'triton_x' is reserved"
    ),
    "id with a line break": raw(b'{"inputs": [], "id": "a\\r\\nb"}', 400, "request id must be"),
    "unknown model": Case(
        "/v2/models/nobody/infer", {"inputs": []}, 404, "Request for unknown model: 'nobody'"
    ),
    "unknown version": Case(
        "/v2/models/simple/versions/9/infer",
        {"inputs": []},
        404,
        "Request for unknown model: 'simple' version 9",
    ),
    "unknown alias": Case("/v2/models/simple@x/infer", {"inputs": []}, 404, "has no alias 'x'"),
    "version zero": Case("/v2/models/simple/versions/0/infer", {}, 400, "not a positive integer"),
    "unknown path": Case("/v2/models/simple/guess", {}, 404, "Not Found"),
    "encoded traversal": Case("/v2/models/..%2f..%2fetc%2fpasswd/infer", {}, 404, "Not Found"),
    "wrong method": Case("/v2/models/simple/infer", None, 405, "use POST", method="GET"),
    "delete": Case("/v2/models/simple", None, 405, "use GET", method="DELETE"),
    "header length beyond the body": raw(
        b'{"inputs": []}', 400, "in range (0, 14), got: 15", inference_header_content_length="15"
    ),
    "header length as text": raw(
        b'{"inputs": []}', 400, "got: 1e3", inference_header_content_length="1e3"
    ),
    "binary request without JSON": raw(
        b"\0" * 64, 400, "for models with one input", inference_header_content_length="0"
    ),
    "compressed body": raw(b"\x1f\x8b", 400, "ends too early", content_encoding="gzip"),
    "bad timeout": raw(b"{}", 400, "positive number of milliseconds", augurium_timeout_ms="soon"),
    "timeout of zero": raw(b"{}", 400, "positive number of milliseconds", augurium_timeout_ms="0"),
    "65 MiB": raw(b" " * (65 * MEBIBYTE), 413, "larger than 67108864 bytes"),
    "missing feature": v1([{"f0": 1}], "instance 0 misses ['f1'"),
    "unknown feature": v1([{**ROW, "extra": 1}], "has unknown features ['extra']"),
    "text for a feature": v1([{**ROW, "f3": "high"}], "expects FP32"),
    "no instances": v1([], "'instances' is empty"),
    "instances as object": Case("/v1/models/tabular:predict", {"instances": {}}, 400, "instances"),
    "no instances at all": Case("/v1/models/tabular:predict", {}, 400, "found neither"),
    "too narrow a row": v1([[1, 2, 3]], "Expected [-1,10], got [1,3]"),
    "null where it is forbidden": v1([[None, None]], "which its signature forbids", model="text"),
    "NaN where it is forbidden": Case(
        "/v1/models/mixed:predict",
        {"instances": [{"city": "rome", "age": None, "income": None}]},
        400,
        "input 'income' of model 'mixed' has a missing value",
    ),
    "unknown v1 model": Case("/v1/models/nobody:predict", {"instances": [1]}, 404, "unknown model"),
}


@pytest.mark.parametrize("name", REST_CASES)
def test_bad_rest_input_gets_its_code_and_its_text(node: Node, name: str) -> None:
    case = REST_CASES[name]
    answer = node.ask(case.path, case.body, case.headers, case.method)
    assert (answer.status, answer.headers["content-type"]) == (case.status, "application/json")
    assert case.text in answer.json["error"]
    assert answer.headers["x-request-id"]


def test_v2_texts_begin_with_the_requests_id(node: Node) -> None:
    body = {"id": "r7", "inputs": []}
    answer = node.ask("/v2/models/simple/infer", body)
    assert answer.json["error"].startswith("[request id: r7] expected 2 inputs")


def test_a_chunked_body_is_cut_at_the_limit(node: Node) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(66):
            yield b" " * MEBIBYTE

    answer = node.ask("/v2/models/simple/infer", chunks())
    assert answer.status == 413


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\nhello!",
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
    ],
)
def test_what_is_not_http_is_refused_or_closed(node: Node, request_bytes: bytes) -> None:
    host, _, port = node.rest.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_bytes)
        try:
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        except OSError:
            answer = b""
    assert answer == b"" or int(answer.split(b" ")[1]) in (400, 404, 414, 431)


def test_callers_that_hang_up_half_way_do_no_harm(node: Node) -> None:
    host, _, port = node.rest.rpartition(":")
    head = b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
    for _ in range(100):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head)


def message(**changes: Any) -> bytes:
    """A gRPC request as in `v2`."""
    request = pb.ModelInferRequest(model_name=changes.pop("model", "simple"))
    request.model_version = changes.pop("version", "")
    raw_contents: list[bytes] | None = changes.pop("raw", [b"\1\0\0\0" * 16] * 2)
    for name in ("INPUT0", "INPUT1"):
        tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        if name == "INPUT0":
            for key in ("name", "datatype", "shape"):
                if key in changes and key == "shape":
                    tensor.shape[:] = changes["shape"]
                elif key in changes:
                    setattr(tensor, key, changes[key])
            for key in changes.keys() - {"name", "datatype", "shape"}:
                getattr(tensor.contents, key).extend(changes[key])
    request.raw_input_contents.extend(raw_contents or [])
    content: bytes = request.SerializeToString()
    return content


GRPC_CASES = {
    "not a message": (b"\xff\xff\xff", "INVALID_ARGUMENT", "not a valid ModelInferRequest"),
    "empty message": (b"", "NOT_FOUND", "Request for unknown model"),
    "unknown model": (message(model="nobody"), "NOT_FOUND", "Request for unknown model: 'nobody'"),
    "unknown version": (message(version="9"), "NOT_FOUND", "'simple' version 9"),
    "bad version": (message(version="latest"), "INVALID_ARGUMENT", "not a positive integer"),
    "wrong datatype": (message(datatype="FP32"), "INVALID_ARGUMENT", "expects 'INT32'"),
    "unknown datatype": (message(datatype="FP8"), "INVALID_ARGUMENT", "not known"),
    "wrong shape": (message(shape=[16, 1]), "INVALID_ARGUMENT", "Expected [-1,16], got [16,1]"),
    "negative dimension": (message(shape=[-1, 16]), "INVALID_ARGUMENT", "negative dimension"),
    "overflow": (message(shape=[2**62, 2**62]), "INVALID_ARGUMENT", "elements; at most"),
    "empty overflow": (message(shape=[0, 2**62], raw=[b""] * 2), "INVALID_ARGUMENT", "at most"),
    "too few bytes": (message(raw=[b"\0" * 63] * 2), "INVALID_ARGUMENT", "needs 64 bytes, got 63"),
    "one raw entry": (message(raw=[b"\0" * 64]), "INVALID_ARGUMENT", "1 entries for 2 inputs"),
    "raw and typed": (message(int_contents=[1]), "INVALID_ARGUMENT", "send one of them"),
    "wrong field": (
        message(raw=None, fp32_contents=[1.0] * 16),
        "INVALID_ARGUMENT",
        "must fill 'int_contents' alone",
    ),
    "no contents": (message(raw=None), "INVALID_ARGUMENT", "which is 16 values"),
    "unknown input": (message(name="X"), "INVALID_ARGUMENT", "unexpected inference input 'X'"),
}


@pytest.fixture
def call(node: Node) -> Iterator[Callable[..., bytes]]:
    """Sends bytes to a method of the node's gRPC service."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(node.grpc, options=options) as channel:

        def call(content: bytes, path: str = INFER, timeout: float = 30) -> bytes:
            answer: bytes = channel.unary_unary(path)(content, timeout=timeout)
            return answer

        yield call


@pytest.mark.parametrize("name", GRPC_CASES)
def test_bad_grpc_input_gets_its_code_and_its_text(call: Callable[..., bytes], name: str) -> None:
    content, code, text = GRPC_CASES[name]
    with pytest.raises(grpc.RpcError) as caught:
        call(content)
    assert (caught.value.code().name, text in caught.value.details()) == (code, True), caught.value


def test_an_unknown_method_is_unimplemented(call: Callable[..., bytes]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", "/inference.GRPCInferenceService/Guess")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_grpc_message_above_the_limit_is_refused(call: Callable[..., bytes]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\0" * (65 * MEBIBYTE))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_deadline_is_told_in_time_over_rest_and_grpc(
    node: Node, call: Callable[..., bytes]
) -> None:
    rows = 256
    tensor = {"name": "x", "shape": [rows, 1, 1], "datatype": "FP32", "data": [1] * rows}
    body: dict[str, Any] = {"inputs": [tensor]}
    late = node.ask("/v2/models/slow/infer", body, {"augurium-timeout-ms": "5"})
    assert (late.status, late.json["error"]) == (504, "Request timeout expired")
    late = node.ask("/v2/models/slow/infer", {**body, "parameters": {"timeout": 5000}})
    assert late.status == 504
    request = pb.ModelInferRequest(model_name="slow", raw_input_contents=[b"\0" * 4 * rows])
    request.inputs.add(name="x", datatype="FP32", shape=[rows, 1, 1])
    with pytest.raises(grpc.RpcError) as caught:
        call(request.SerializeToString(), timeout=0.005)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    outputs = node.ask("/v2/models/slow/infer", body).json["outputs"]
    assert outputs[0]["shape"] == [rows]


def test_a_model_that_fails_is_named_as_such(node: Node, call: Callable[..., bytes]) -> None:
    answer = node.ask("/v1/models/picky:predict", {"instances": [[99]]})
    assert answer.status == 500
    assert answer.json["error"].startswith("the model failed: ")
    request = pb.ModelInferRequest(model_name="picky", raw_input_contents=[b"\x63" + b"\0" * 7])
    request.inputs.add(name="place", datatype="INT64", shape=[1, 1])
    with pytest.raises(grpc.RpcError) as caught:
        call(request.SerializeToString())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
