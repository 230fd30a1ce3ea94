"""Server reflection: tells clients such as grpcurl which services there are and what their messages
look like.

Source: gRPC Server Reflection Protocol, grpc.reflection.v1 and v1alpha.
"""

from collections.abc import AsyncGenerator, Iterator

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
)

from augurium.protocols.errors_grpc import GrpcStatus
from augurium.protocols.generated import health_pb2, inference_pb2
from augurium.protocols.generated import reflection_pb2 as pb
from augurium.protocols.grpc_methods import StreamCall, Streaming, parsed

METHOD = "ServerReflection/ServerReflectionInfo"
# our file, its package, and the file and package under which callers know it
PUBLISHED: tuple[tuple[FileDescriptor, str, str], ...] = (
    (inference_pb2.DESCRIPTOR, "inference.proto", "inference"),
    (health_pb2.DESCRIPTOR, "grpc/health/v1/health.proto", "grpc.health.v1"),
    (pb.DESCRIPTOR, "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"),
    (pb.DESCRIPTOR, "grpc/reflection/v1alpha/reflection.proto", "grpc.reflection.v1alpha"),
)


class Reflection:
    """Answers what is asked about the services of this server."""

    def __init__(self) -> None:
        self._by_name: dict[str, bytes] = {}
        self._by_symbol: dict[str, bytes] = {}
        self._messages: set[str] = set()
        self._services: list[str] = []
        for descriptor, name, package in PUBLISHED:
            file = _published(descriptor, name, package)
            content = file.SerializeToString()
            self._by_name[name] = content
            self._services += [f"{package}.{service.name}" for service in file.service]
            for symbol in _symbols(file):
                self._by_symbol[symbol] = content
            for message in file.message_type:
                self._messages |= set(_messages(package, message))

    def methods(self) -> tuple[Streaming, ...]:
        """The methods of both versions of the service, which are the same on the wire."""
        return tuple(
            Streaming(f"/grpc.reflection.{version}.{METHOD}", "server", self._answers)
            for version in ("v1", "v1alpha")
        )

    async def _answers(self, call: StreamCall) -> AsyncGenerator[bytes, None]:
        async for content in call.messages:
            request = parsed(pb.ServerReflectionRequest, content)
            answer = self._answer(request)
            answer.valid_host = request.host
            answer.original_request.CopyFrom(request)
            yield answer.SerializeToString()

    def _answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            services = [pb.ServiceResponse(name=name) for name in self._services]
            return pb.ServerReflectionResponse(
                list_services_response=pb.ListServiceResponse(service=services)
            )
        if kind == "all_extension_numbers_of_type":
            return self._extensions(request.all_extension_numbers_of_type)
        found = None
        if kind == "file_by_filename":
            found = self._by_name.get(request.file_by_filename)
        elif kind == "file_containing_symbol":
            found = self._by_symbol.get(request.file_containing_symbol)
        elif kind is None:
            return _refusal(GrpcStatus.INVALID_ARGUMENT, "the request asks for nothing")
        if found is None:
            return _refusal(GrpcStatus.NOT_FOUND, "there is no such file or symbol here")
        return pb.ServerReflectionResponse(
            file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=[found])
        )

    def _extensions(self, message: str) -> pb.ServerReflectionResponse:
        """No message is extended."""
        if message not in self._messages:
            return _refusal(GrpcStatus.NOT_FOUND, "there is no such message here")
        return pb.ServerReflectionResponse(
            all_extension_numbers_response=pb.ExtensionNumberResponse(base_type_name=message)
        )


def _refusal(status: GrpcStatus, text: str) -> pb.ServerReflectionResponse:
    return pb.ServerReflectionResponse(
        error_response=pb.ErrorResponse(error_code=status, error_message=text)
    )


def _published(descriptor: FileDescriptor, name: str, package: str) -> FileDescriptorProto:
    """The file under its published name and package."""
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    own = f".{file.package}."
    file.name, file.package = name, package

    def rename(message: DescriptorProto) -> None:
        for field in message.field:
            # a field of a plain type must have no name of a type, not even an empty one
            if field.type_name:
                field.type_name = field.type_name.replace(own, f".{package}.", 1)
        for nested in message.nested_type:
            rename(nested)

    for message in file.message_type:
        rename(message)
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(own, f".{package}.", 1)
            method.output_type = method.output_type.replace(own, f".{package}.", 1)
    return file


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    """The full names of what a file declares: services, methods, messages and their fields,
    enumerations and their values.
    """
    package = file.package
    for service in file.service:
        yield f"{package}.{service.name}"
        for method in service.method:
            yield f"{package}.{service.name}.{method.name}"
    for message in file.message_type:
        yield from _message_symbols(package, message)
    for enumeration in file.enum_type:
        yield from _enumeration_symbols(package, enumeration)


def _message_symbols(scope: str, message: DescriptorProto) -> Iterator[str]:
    name = f"{scope}.{message.name}"
    yield name
    for field in message.field:
        yield f"{name}.{field.name}"
    for choice in message.oneof_decl:
        yield f"{name}.{choice.name}"
    for nested in message.nested_type:
        yield from _message_symbols(name, nested)
    for enumeration in message.enum_type:
        yield from _enumeration_symbols(name, enumeration)


def _enumeration_symbols(scope: str, enumeration: EnumDescriptorProto) -> Iterator[str]:
    yield f"{scope}.{enumeration.name}"
    # a value is a sibling of its enumeration
    for value in enumeration.value:
        yield f"{scope}.{value.name}"


def _messages(scope: str, message: DescriptorProto) -> Iterator[str]:
    name = f"{scope}.{message.name}"
    yield name
    for nested in message.nested_type:
        yield from _messages(name, nested)
