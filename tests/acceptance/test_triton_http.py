"""The published `tritonclient[http]`, sync and aio, as it is, against a running node."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.support.grpc_models import WIDTH, echo_model, extremes
from tests.support.node import Node

DATATYPES = (
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16",
    "FP32", "FP64", "BYTES",
)  # fmt: skip
FIRST, SECOND = np.arange(16, dtype=np.int32)[None], np.ones((1, 16), np.int32)
# each row is one packet or so; the answer is large enough to be compressed
ROWS = 64


@pytest.fixture(scope="module")
def address(node: Node) -> str:
    """The REST address of the shared node, with the models of this file."""
    with node.client() as client:
        client.register(onnx.load_from_string(echo_model(DATATYPES)), name="rest_echo")
        client.register(onnx.load_from_string(echo_model(("FP32",))), name="rest_image")
        for name in ("rest_echo", "rest_image"):
            client.deploy(name, 1)
    return node.rest.removeprefix("http://")


@pytest.fixture
def client(address: str, node: Node) -> Iterator[triton.InferenceServerClient]:
    # `node` is asked for in every test, so that it is seen to serve afterwards
    client = triton.InferenceServerClient(address, concurrency=4)
    yield client
    client.close()


def two(binary: bool = True, rows: int = 1, other: Any = triton) -> list[Any]:
    """The inputs of `simple`, the second always as JSON beside a binary first one."""
    inputs = [other.InferInput(f"INPUT{i}", [rows, 16], "INT32") for i in range(2)]
    inputs[0].set_data_from_numpy(np.repeat(FIRST, rows, 0), binary_data=binary)
    inputs[1].set_data_from_numpy(np.repeat(SECOND, rows, 0), binary_data=False)
    return inputs


def check_two(result: Any, rows: int = 1) -> None:
    assert (result.as_numpy("OUTPUT0") == np.repeat(FIRST + SECOND, rows, 0)).all()
    assert (result.as_numpy("OUTPUT1") == np.repeat(FIRST - SECOND, rows, 0)).all()


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple")
    assert not client.is_model_ready("nobody")
    assert client.get_model_metadata("simple")["inputs"][0] == {
        "name": "INPUT0",
        "datatype": "INT32",
        "shape": [-1, 16],
    }
    extensions = client.get_server_metadata()["extensions"]
    assert {"classification", "binary_tensor_data", "parameters"} <= set(extensions)


@pytest.mark.parametrize("binary", [True, False])
def test_without_outputs_everything_comes_back(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    check_two(client.infer("simple", two(binary), request_id="r1"))


@pytest.mark.parametrize("binary", [True, False])
def test_a_wanted_output_comes_alone_and_as_it_was_wanted(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput("OUTPUT1", binary_data=binary)]
    result = client.infer("simple", two(), outputs=wanted)

    (output,) = result.get_response()["outputs"]
    assert ("binary_data_size" in output.get("parameters", {})) is binary
    assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_comes_back_exactly(
    client: triton.InferenceServerClient, datatype: str, binary: bool
) -> None:
    inputs = []
    for each in DATATYPES:
        tensor = triton.InferInput(each, [2, WIDTH], each)
        # JSON has no half-precision in this client
        as_binary = binary or each == "FP16"
        tensor.set_data_from_numpy(extremes(each), binary_data=as_binary)
        inputs.append(tensor)
    wanted = [triton.InferRequestedOutput(f"same_{datatype}", binary_data=binary)]
    found = client.infer("rest_echo", inputs, outputs=wanted).as_numpy(f"same_{datatype}")

    expected = extremes(datatype)
    if datatype == "BYTES":
        texts = [v.decode() if isinstance(v, bytes) else v for v in found.ravel().tolist()]
        assert texts == [
            v.decode() if isinstance(v, bytes) else v for v in expected.ravel().tolist()
        ]
    else:
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize("request_encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("answer_encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_bodies_are_compressed_both_ways(
    client: triton.InferenceServerClient,
    request_encoding: str | None,
    answer_encoding: str | None,
    binary: bool,
) -> None:
    wanted = [triton.InferRequestedOutput(f"OUTPUT{i}", binary_data=binary) for i in range(2)]
    result = client.infer(
        "simple",
        two(binary, ROWS),
        outputs=wanted,
        request_compression_algorithm=request_encoding,
        response_compression_algorithm=answer_encoding,
    )
    check_two(result, ROWS)


def test_an_answer_is_compressed_only_when_that_is_asked_for(node: Node) -> None:
    tensor = {"shape": [ROWS, 16], "datatype": "INT32", "data": np.repeat(FIRST, ROWS, 0).tolist()}
    body = {"inputs": [{"name": "INPUT0", **tensor}, {"name": "INPUT1", **tensor}]}
    answers = {
        encoding: node.ask("/v2/models/simple/infer", body, {"accept-encoding": encoding})
        for encoding in ("identity", "gzip", "deflate")
    }
    plain = answers["identity"].json

    assert "content-encoding" not in answers["identity"].headers
    for encoding, window in (("gzip", 31), ("deflate", 15)):
        found = answers[encoding]
        assert found.headers["content-encoding"] == encoding
        content = found.body
        # the library of the test may have decompressed it already
        if not content.startswith(b"{"):
            content = zlib.decompress(content, window)
        assert json.loads(content)["outputs"] == plain["outputs"]


def test_several_requests_are_under_way_at_once(client: triton.InferenceServerClient) -> None:
    waiting = [client.async_infer("simple", two()) for _ in range(50)]
    for one in waiting:
        check_two(one.get_result(timeout=30))


async def test_the_client_for_asyncio_gets_the_same(address: str, node: Node) -> None:
    async with triton_aio.InferenceServerClient(address) as client:
        assert await client.is_server_ready()
        check_two(await client.infer("simple", two(other=triton_aio)))
        compressed = await client.infer(
            "simple",
            two(True, ROWS, triton_aio),
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
        )
        check_two(compressed, ROWS)
        with pytest.raises(InferenceServerException, match="Request for unknown model"):
            await client.infer("nobody", two(other=triton_aio))


def test_errors_carry_the_servers_text(client: triton.InferenceServerClient) -> None:
    for model, inputs, text in (
        ("nobody", two(), "Request for unknown model: 'nobody'"),
        ("simple", two()[:1], "expected 2 inputs but got 1 inputs for model 'simple'"),
        ("simple", two(rows=300), "batch-size must be <= 256"),
    ):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, inputs)
        assert text in caught.value.message()


def test_parameters_of_the_caller_are_taken_and_reserved_ones_refused(
    client: triton.InferenceServerClient,
) -> None:
    given = {"threshold": 0.5, "mode": "fast", "deep": True, "rank": 3}
    check_two(client.infer("simple", two(), parameters=given, priority=1, timeout=5_000_000))
    check_two(client.infer("simple", two(), sequence_id=7, sequence_start=True))


@pytest.mark.parametrize("binary", [True, False])
def test_the_best_classes_of_an_output(client: triton.InferenceServerClient, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput("OUTPUT0", binary_data=binary, class_count=3)]
    found = client.infer("simple", two(rows=2), outputs=wanted).as_numpy("OUTPUT0")

    texts = [v.decode() if isinstance(v, bytes) else v for v in found.ravel().tolist()]
    assert found.shape == (2, 3)
    assert texts == ["16:15", "15:14", "14:13"] * 2


def test_classes_of_texts_are_refused(client: triton.InferenceServerClient) -> None:
    text = triton.InferInput("text", [1, 2], "BYTES")
    text.set_data_from_numpy(np.array([["a", "b"]], np.object_))
    wanted = [triton.InferRequestedOutput("same", class_count=1)]
    with pytest.raises(InferenceServerException, match="has texts"):
        client.infer("text", [text], outputs=wanted)


def test_a_body_may_be_the_only_input(node: Node, address: str) -> None:
    values = np.arange(WIDTH, dtype=np.float32)
    headers = {"inference-header-content-length": "0"}
    answer = node.ask("/v2/models/rest_image/infer", values.tobytes(), headers)

    assert answer.status == 200, answer.body
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == values.nbytes
    assert np.frombuffer(answer.body[length:], np.float32).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b" " * (65 * 1024 * 1024)), "gzip", 413),
        (b"not gzip", "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["too large", "not gzip", "unknown"],
)
def test_compressed_bodies_that_cannot_be_used_are_refused(
    node: Node, body: bytes, encoding: str, status: int
) -> None:
    answer = node.ask("/v2/models/simple/infer", body, {"content-encoding": encoding})

    assert answer.status == status
    assert answer.json["error"]
