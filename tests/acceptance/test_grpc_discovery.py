"""Health checks and reflection, as probes and tools such as grpcurl use them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.support.node import Node

SERVICES = {
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
Request, Response = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
# of HealthCheckResponse and HealthCheckRequest
SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
OUR_SERVICE = b"\x0a\x1einference.GRPCInferenceService"


@pytest.fixture
def channel(node: Node) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(node.grpc) as channel:
        yield channel


@pytest.mark.parametrize("service", [b"", OUR_SERVICE])
def test_health_says_that_the_server_serves(channel: grpc.Channel, service: bytes) -> None:
    assert channel.unary_unary(f"{HEALTH}/Check")(service) == SERVING


def test_health_of_a_service_that_is_not_there(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError, match="service 'x' is not known") as caught:
        channel.unary_unary(f"{HEALTH}/Check")(b"\x0a\x01x")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    # of Watch, it may come yet
    call = channel.unary_stream(f"{HEALTH}/Watch")(b"\x0a\x01x")
    assert next(call) == SERVICE_UNKNOWN
    call.cancel()


def test_all_services_are_listed_with_their_health(channel: grpc.Channel) -> None:
    found = channel.unary_unary(f"{HEALTH}/List")(b"")
    assert found.count(SERVING) == 2
    assert OUR_SERVICE in found


def test_health_is_told_while_it_is_watched(start: Callable[..., Node]) -> None:
    node = start(None, "--engines", "1")
    with grpc.insecure_channel(node.grpc) as channel:
        call = channel.unary_stream(f"{HEALTH}/Watch")(b"")
        assert next(call) == SERVING
        stopping = threading.Thread(target=node.stop)
        stopping.start()
        assert next(call) == NOT_SERVING
        with pytest.raises(grpc.RpcError, match="the server is stopping") as caught:
            next(call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        # open streams do not hold up the end
        stopping.join(25)
    assert node.process.poll() == 0


def test_the_published_client_finds_everything_by_reflection(channel: grpc.Channel) -> None:
    """And what it finds is enough to ask a model."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == SERVICES
    pool = DescriptorPool(database)
    for name in SERVICES:
        service = pool.FindServiceByName(name)
        for method in service.methods:
            assert method.input_type.full_name.startswith(service.file.package)
    service = pool.FindServiceByName("inference.GRPCInferenceService")
    assert len(service.methods) == 20
    method = service.FindMethodByName("ModelInfer")
    request: Any = GetMessageClass(method.input_type)(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        added = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        added.contents.int_contents.extend(range(16))
    content = channel.unary_unary(f"/{service.full_name}/ModelInfer")(request.SerializeToString())
    answer: Any = GetMessageClass(method.output_type).FromString(content)
    assert list(answer.outputs[0].contents.int_contents) == list(range(0, 32, 2))
    kind = pool.FindEnumTypeByName("inference.DataType")
    assert kind.values_by_name["TYPE_FP32"].number == 11
    assert not database.FindAllExtensionNumbers("inference.ModelConfig")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_answer_question_after_question(
    channel: grpc.Channel, version: str
) -> None:
    asked = [
        Request(host="h", list_services="*"),
        Request(file_containing_symbol="inference.GRPCInferenceService.ModelInfer"),
        Request(file_containing_symbol="inference.ModelInferRequest.InferInputTensor.shape"),
        Request(file_by_filename="inference.proto"),
        Request(file_containing_symbol="inference.Nothing"),
        Request(file_by_filename="../../etc/passwd"),
        Request(all_extension_numbers_of_type="inference.ModelConfig"),
        Request(all_extension_numbers_of_type="nothing"),
        Request(file_containing_extension={"containing_type": "x", "extension_number": 1}),
        Request(),
    ]
    call = channel.stream_stream(
        REFLECTION.format(version),
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    found = list(call(iter(asked)))
    assert [answer.original_request for answer in found] == asked
    assert {service.name for service in found[0].list_services_response.service} == SERVICES
    files = [answer.file_descriptor_response.file_descriptor_proto for answer in found[1:4]]
    assert files[0] == files[1] == files[2]
    assert len(files[0]) == 1
    numbers = found[6].all_extension_numbers_response
    assert (numbers.base_type_name, list(numbers.extension_number)) == ("inference.ModelConfig", [])
    codes = [found[place].error_response.error_code for place in (4, 5, 7, 8, 9)]
    assert codes == [5, 5, 5, 5, 3]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_a_question_that_is_none_ends_reflection(channel: grpc.Channel, version: str) -> None:
    call = channel.stream_stream(REFLECTION.format(version))
    with pytest.raises(grpc.RpcError, match="not a valid ServerReflectionRequest") as caught:
        list(call(iter([b"\xff\xff"])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
