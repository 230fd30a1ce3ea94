"""The published `tritonclient[grpc]`, sync and aio, as it is, against a running node."""

import asyncio
import queue
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from augurium.protocols.generated import inference_pb2
from tests.support.grpc_models import WIDTH, echo_model, extremes, image_model
from tests.support.node import Node

TYPED = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
DATATYPES = (*TYPED, "FP16")
WAIT_S = 30


@pytest.fixture(scope="module")
def place(node: Node) -> str:
    """The gRPC address of the shared node, with the models of this file."""
    with node.client() as client:
        for name, content in {
            "echo": echo_model(DATATYPES),
            # FP16 has no typed contents
            "typed_echo": echo_model(tuple(TYPED)),
            "large_echo": image_model(),
        }.items():
            client.register(onnx.load_from_string(content), name=name)
            client.deploy(name, 1)
    return node.grpc


@pytest.fixture
def client(place: str, node: Node) -> Iterator[triton.InferenceServerClient]:
    # `node` is asked for in every test, so that it is seen to serve afterwards
    with triton.InferenceServerClient(place) as client:
        yield client


@pytest.fixture
async def aio(place: str, node: Node) -> AsyncIterator[triton_aio.InferenceServerClient]:
    async with triton_aio.InferenceServerClient(place) as client:
        yield client


def tensor(name: str, array: Any, datatype: str) -> triton.InferInput:
    return triton.InferInput(name, array.shape, datatype).set_data_from_numpy(array)


def vectors(start: int = 0, rows: int = 1) -> list[triton.InferInput]:
    """Inputs of `simple`: sums are `start + 1` and on."""
    first = np.tile(np.arange(start, start + 16, dtype=np.int32), (rows, 1))
    return [tensor("INPUT0", first, "INT32"), tensor("INPUT1", np.ones_like(first), "INT32")]


def sums(result: triton.InferResult) -> list[int]:
    found: list[int] = result.as_numpy("OUTPUT0")[0].tolist()
    return found


def slow_rows(rows: int) -> list[triton.InferInput]:
    return [tensor("x", np.ones((rows, 1, 1), np.float32), "FP32")]


# health and metadata


def test_health_and_readiness(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple")
    assert client.is_model_ready("simple", "1")
    for name, version in (("nobody", ""), ("simple", "9")):
        with pytest.raises(InferenceServerException) as caught:
            client.is_model_ready(name, version)
        assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_metadata(client: triton.InferenceServerClient) -> None:
    server = client.get_server_metadata(as_json=True)
    assert server["name"] == "augurium"
    assert server["version"]
    model = client.get_model_metadata("simple", as_json=True)
    assert (model["name"], model["versions"], model["platform"]) == (
        "simple", ["1"], "onnxruntime_onnx",
    )  # fmt: skip
    assert model["inputs"][1] == {"name": "INPUT1", "datatype": "INT32", "shape": ["-1", "16"]}
    with pytest.raises(InferenceServerException, match="Request for unknown model"):
        client.get_model_metadata("nobody")


def test_the_definition_is_the_published_one() -> None:
    """Every field and method that is declared has the published name, number and type."""
    published = {
        name: found
        for module in (service_pb2, model_config_pb2)
        for name, found in module.DESCRIPTOR.message_types_by_name.items()
    }
    # KServe's, on answers that are empty otherwise
    ours_alone = {"RepositoryModelLoadResponse", "RepositoryModelUnloadResponse"}
    for name, message in inference_pb2.DESCRIPTOR.message_types_by_name.items():
        if name not in ours_alone:
            _check_fields(message, published[name])
    methods = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    own = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for name, method in methods.items():
        assert own[name].input_type.name == method.input_type.name
        assert own[name].output_type.name == method.output_type.name
        assert own[name].server_streaming == method.server_streaming
        assert own[name].client_streaming == method.client_streaming
    assert set(own) == set(methods)
    types = model_config_pb2.DESCRIPTOR.enum_types_by_name["DataType"].values_by_name
    for name, value in inference_pb2.DataType.items():
        assert types[name].number == value


def _check_fields(ours: Descriptor, published: Descriptor) -> None:
    for field in ours.fields:
        other = published.fields_by_name[field.name]
        assert _described(field) == _described(other), field.full_name
    for nested in ours.nested_types:
        _check_fields(nested, published.nested_types_by_name[nested.name])


def _described(field: FieldDescriptor) -> tuple[Any, ...]:
    of = field.message_type or field.enum_type
    return field.number, field.type, field.is_repeated, of.name if of else None


# tensors


def test_every_datatype_comes_back_raw(client: triton.InferenceServerClient) -> None:
    sent = {kind: extremes(kind) for kind in DATATYPES}
    result = client.infer("echo", [tensor(kind, sent[kind], kind) for kind in DATATYPES])
    for kind in DATATYPES:
        found = result.as_numpy(f"same_{kind}")
        assert (found.dtype, found.shape) == (sent[kind].dtype, (2, WIDTH))
        assert found.tolist() == sent[kind].tolist(), kind
        described = result.get_output(f"same_{kind}")
        assert (described.datatype, list(described.shape)) == (kind, [2, WIDTH])


def _typed_request() -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name="typed_echo", id="typed")
    for kind, field in TYPED.items():
        added = request.inputs.add(name=kind, datatype=kind, shape=[2, WIDTH])
        getattr(added.contents, field).extend(extremes(kind).ravel().tolist())
    return request


@pytest.fixture
def stub(place: str, node: Node) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    with grpc.insecure_channel(place) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_every_datatype_comes_back_typed(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    answer = stub.ModelInfer(_typed_request())
    assert (answer.id, answer.model_version) == ("typed", "1")
    assert not answer.raw_output_contents
    for output in answer.outputs:
        kind = output.datatype
        filled = [field.name for field, _ in output.contents.ListFields()]
        assert filled == [TYPED[kind]]
        found = list(getattr(output.contents, TYPED[kind]))
        assert found == extremes(kind).ravel().tolist(), kind


@pytest.mark.parametrize("kind", TYPED)
def test_values_in_a_field_of_another_datatype_are_refused(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, kind: str
) -> None:
    for field in sorted(set(TYPED.values()) - {TYPED[kind]}):
        request = _typed_request()
        added = next(found for found in request.inputs if found.name == kind)
        added.contents.Clear()
        values: list[Any] = [b"1"] if field == "bytes_contents" else [1]
        getattr(added.contents, field).extend(values * 2 * WIDTH)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"must fill '{TYPED[kind]}' alone, got {field}" in caught.value.details()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("INT8", 128), ("INT8", -129), ("INT16", 2**15), ("UINT8", 256), ("UINT16", 2**16)],
)
def test_values_beyond_a_datatype_are_refused_not_wrapped(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, kind: str, value: int
) -> None:
    request = _typed_request()
    added = next(found for found in request.inputs if found.name == kind)
    getattr(added.contents, TYPED[kind])[0] = value
    with pytest.raises(grpc.RpcError, match=f"out of the range of {kind}") as caught:
        stub.ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_fp16_has_no_typed_contents(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    request = service_pb2.ModelInferRequest(model_name="echo")
    request.inputs.add(name="FP16", datatype="FP16", shape=[1, 3]).contents.fp32_contents.extend(
        [1, 2, 3]
    )
    with pytest.raises(grpc.RpcError, match="FP16 has no typed contents") as caught:
        stub.ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_strings_of_any_length_and_language(client: triton.InferenceServerClient) -> None:
    words = np.array([["", "zwölf"], ["数" * 1000, "a\0b"]], np.object_)
    found = client.infer("text", [tensor("text", words, "BYTES")]).as_numpy("same")
    assert [[value.decode() for value in row] for row in found] == words.tolist()


def test_outputs_are_those_asked_for_in_their_order(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput(f"OUTPUT{i}") for i in (1, 0)]
    result = client.infer("simple", vectors(), outputs=wanted)
    assert [output.name for output in result.get_response().outputs] == ["OUTPUT1", "OUTPUT0"]
    assert sums(result) == list(range(1, 17))
    only = client.infer("simple", vectors(), outputs=wanted[:1])
    assert only.as_numpy("OUTPUT0") is None
    assert only.as_numpy("OUTPUT1")[0].tolist() == list(range(-1, 15))


def test_an_output_may_be_wanted_as_its_best_classes(
    client: triton.InferenceServerClient,
) -> None:
    wanted = [triton.InferRequestedOutput("OUTPUT0", class_count=2)]
    expected = [[b"16:15", b"15:14"]]
    result = client.infer("simple", vectors(), outputs=wanted)
    assert result.as_numpy("OUTPUT0").tolist() == expected
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("simple", vectors(), outputs=wanted)
    result, error = answers.get(timeout=WAIT_S)
    client.stop_stream()
    assert error is None
    assert result.as_numpy("OUTPUT0").tolist() == expected


def test_large_tensors_come_back(client: triton.InferenceServerClient) -> None:
    images = np.random.default_rng(0).normal(size=(64, 3, 224, 224)).astype(np.float32)
    found = client.infer("large_echo", [tensor("x", images, "FP32")]).as_numpy("y")
    assert np.array_equal(found, images)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [1, 200])
def test_compressed_messages(
    client: triton.InferenceServerClient, encoding: str, rows: int
) -> None:
    words = np.array([["a" * 500, "b" * 500]] * rows, np.object_)
    result = client.infer("simple", vectors(5), compression_algorithm=encoding)
    assert sums(result) == list(range(6, 22))
    found = client.infer("text", [tensor("text", words, "BYTES")], compression_algorithm=encoding)
    assert found.as_numpy("same").tolist() == [[b"a" * 500, b"b" * 500]] * len(words)


def test_errors_are_told_over_a_compressed_call(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody'"):
        client.infer("nobody", vectors(), compression_algorithm="gzip")


# options of the client


def test_keepalive_and_channel_options(place: str, node: Node) -> None:
    keepalive = triton.KeepAliveOptions(
        keepalive_time_ms=100, keepalive_timeout_ms=1000, http2_max_pings_without_data=0
    )
    channel = [
        ("grpc.lb_policy_name", "pick_first"),
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    for options in ({"keepalive_options": keepalive}, {"channel_args": channel}):
        with triton.InferenceServerClient(place, **options) as client:
            for _ in range(3):
                assert sums(client.infer("simple", vectors())) == list(range(1, 17))
                time.sleep(0.3)  # pings go back and forth


def test_metadata_and_parameters_of_any_kind_are_accepted(
    client: triton.InferenceServerClient,
) -> None:
    result = client.infer(
        "simple",
        vectors(),
        request_id="r-1",
        sequence_id=42,
        sequence_start=True,
        priority=1,
        headers={"x-anything": "goes", "test": "1"},
        parameters={"text": "t", "number": 5, "truth": True},
    )
    assert result.get_response().id == "r-1"


def test_a_deadline_that_passes_ends_the_call(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer("slow", slow_rows(256), client_timeout=0.005)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    # the parameter is in microseconds, and the shorter of the two counts
    for limits in ({"timeout": 5000}, {"timeout": 5000, "client_timeout": 20.0}):
        with pytest.raises(InferenceServerException, match="Request timeout expired") as caught:
            client.infer("slow", slow_rows(256), **limits)
        assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_async_calls_answer_by_callback_and_can_be_cancelled(
    client: triton.InferenceServerClient,
) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def callback(result: Any, error: Any) -> None:
        answers.put((result, error))

    client.async_infer("simple", vectors(3), callback)
    result, error = answers.get(timeout=WAIT_S)
    assert error is None
    assert sums(result) == list(range(4, 20))
    call = client.async_infer("slow", slow_rows(256), callback)
    call.cancel()
    result, error = answers.get(timeout=WAIT_S)
    assert result is None
    assert "CANCELLED" in str(error.status())


def test_errors_have_their_status_and_their_text(client: triton.InferenceServerClient) -> None:
    first, second = vectors()
    cases: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: client.infer("nobody", vectors()), "NOT_FOUND", "Request for unknown model"),
        (
            lambda: client.infer("simple", [first], request_id="7"),
            "INVALID_ARGUMENT",
            "[request id: 7] expected 2 inputs but got 1 inputs for model 'simple'.",
        ),
        (
            lambda: client.infer(
                "simple", [first, second], outputs=[triton.InferRequestedOutput("OUTPUT9")]
            ),
            "INVALID_ARGUMENT",
            "unexpected inference output 'OUTPUT9' for model 'simple'",
        ),
    ]
    for call, status, text in cases:
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == f"StatusCode.{status}"
        assert text in caught.value.message()


def test_kserves_definition_of_a_load_is_understood(place: str, node: Node) -> None:
    """Which has the model in field 1, and fields in its answer."""
    with grpc.insecure_channel(place) as channel:
        load = channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")
        assert load(b"\x0a\x06simple") == b"\x0a\x06simple\x10\x01"
        with pytest.raises(grpc.RpcError, match="nobody"):
            load(b"\x0a\x06nobody")


# extensions that are not here


def test_shared_memory_is_refused_and_nothing_is_registered(
    client: triton.InferenceServerClient,
) -> None:
    # what Triton's examples begin with
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    assert not client.get_system_shared_memory_status().regions
    assert not client.get_cuda_shared_memory_status().regions
    with pytest.raises(InferenceServerException, match="no shared memory region 'mine'"):
        client.get_system_shared_memory_status("mine")
    registering: list[Callable[[], Any]] = [
        lambda: client.register_system_shared_memory("mine", "/mine", 64),
        lambda: client.register_cuda_shared_memory("mine", b"", 0, 64),
    ]
    for register in registering:
        with pytest.raises(InferenceServerException, match="uses no shared memory") as caught:
            register()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_tensors_in_shared_memory_are_refused_both_ways(
    client: triton.InferenceServerClient,
) -> None:
    first, second = vectors()
    first.set_shared_memory("mine", 64)
    output = triton.InferRequestedOutput("OUTPUT0")
    output.set_shared_memory("mine", 64)
    for inputs, outputs in (([first, second], None), (vectors(), [output])):
        with pytest.raises(InferenceServerException, match="is in shared memory") as caught:
            client.infer("simple", inputs, outputs=outputs)
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_traces_are_not_kept(client: triton.InferenceServerClient) -> None:
    for ask in (client.get_trace_settings, lambda: client.update_trace_settings(settings={})):
        with pytest.raises(InferenceServerException, match="no traces of requests") as caught:
            ask()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


# aio


async def test_the_aio_client_gets_the_same(aio: triton_aio.InferenceServerClient) -> None:
    assert await aio.is_server_live()
    assert await aio.is_server_ready()
    assert await aio.is_model_ready("simple", "1")
    assert (await aio.get_model_metadata("simple")).versions == ["1"]
    results = await asyncio.gather(*(aio.infer("simple", vectors(i)) for i in range(50)))
    assert [sums(result)[0] for result in results] == list(range(1, 51))
    packed = await aio.infer("simple", vectors(), compression_algorithm="deflate")
    assert sums(packed)[0] == 1


async def test_the_aio_client_is_told_of_errors(aio: triton_aio.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody'"):
        await aio.infer("nobody", vectors())
    with pytest.raises(InferenceServerException) as caught:
        await aio.infer("slow", slow_rows(256), client_timeout=0.005)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"


async def test_a_cancelled_aio_call_ends(aio: triton_aio.InferenceServerClient) -> None:
    asked = asyncio.ensure_future(aio.infer("slow", slow_rows(256)))
    await asyncio.sleep(0.02)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert sums(await aio.infer("simple", vectors()))[0] == 1
