"""The gRPC data plane: Open Inference Protocol and health, as messages in and messages out.

Hosts carry the frames; here a call is a path, the bytes of a message, and what is left of its time.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import structlog
from google.protobuf.message import DecodeError, Message

from augurium.core.errors import (
    AuguriumError,
    Internal,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from augurium.core.identifiers import ModelRef, model_ref, new_id
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip, oip_messages
from augurium.protocols.generated import health_pb2 as health
from augurium.protocols.generated import inference_pb2 as pb
from augurium.serving.plane import DataPlane

INFERENCE_SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"
WATCH_INTERVAL_S = 0.5
_Tensor = pb.ModelMetadataResponse.TensorMetadata
_Status = health.HealthCheckResponse

M = TypeVar("M", bound=Message)
Unary = Callable[[bytes, float | None], Awaitable[bytes]]

log = structlog.get_logger()


class GrpcApi:
    """Answers every gRPC call of the data plane; raises AuguriumError and cancellation, nothing
    else.
    """

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        inference = f"/{INFERENCE_SERVICE}/"
        self._unary: dict[str, Unary] = {
            inference + "ModelInfer": self._infer,
            inference + "ModelMetadata": self._model_metadata,
            inference + "ModelReady": self._model_ready,
            inference + "ServerLive": self._server_live,
            inference + "ServerReady": self._server_ready,
            inference + "ServerMetadata": self._server_metadata,
            f"/{HEALTH_SERVICE}/Check": self._check,
        }
        self.watch_path = f"/{HEALTH_SERVICE}/Watch"

    async def call(self, path: str, message: bytes, timeout_s: float | None = None) -> bytes:
        """Answers one unary call; `timeout_s` is what is left of the caller's deadline."""
        try:
            method = self._unary[path]
        except KeyError:
            raise Unimplemented(f"method {path[:128]} is not implemented") from None
        try:
            return await method(message, timeout_s)
        except AuguriumError:
            raise
        except (
            Exception
        ) as error:  # the edge of the process: a fault of ours must not take the engine down
            reference = new_id()
            log.exception("call failed", request_id=reference, path=path[:128])
            raise Internal(f"internal error; the log has it under {reference}") from error

    async def watch(self, message: bytes) -> AsyncGenerator[bytes, None]:
        """`Health.Watch`: the status now and whenever it changes."""
        service = _parse(health.HealthCheckRequest, message).service
        last: int | None = None
        while True:
            status = self._status(service)
            if status is None:
                status = _Status.SERVICE_UNKNOWN
            if status != last:
                last = status
                yield _Status(status=status).SerializeToString()  # type: ignore[arg-type]
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _infer(self, content: bytes, timeout_s: float | None) -> bytes:
        try:
            message = oip_messages.parse(content)
            parameters = oip_messages.parameters_of(message) if message.parameters else {}
            if timeout_s is None and parameters:
                timeout_s = oip.timeout_s(parameters)
            request = oip_messages.decode(message, parameters, self._plane.deadline(timeout_s))
        except AuguriumError as error:
            self._plane.count_unrouted(error.kind)
            raise
        response = await oip.infer(self._plane, request)
        return oip_messages.encode(response, bool(message.raw_input_contents))

    async def _model_metadata(self, content: bytes, _: float | None) -> bytes:
        request = _parse(pb.ModelMetadataRequest, content)
        found = oip.model_metadata(self._plane, model_ref(request.name, request.version))
        return pb.ModelMetadataResponse(
            name=found.name,
            versions=found.versions,
            platform=found.platform,
            inputs=[_tensor(spec) for spec in found.inputs],
            outputs=[_tensor(spec) for spec in found.outputs],
        ).SerializeToString()

    async def _model_ready(self, content: bytes, _: float | None) -> bytes:
        request = _parse(pb.ModelReadyRequest, content)
        model = model_ref(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._is_ready(model)).SerializeToString()

    async def _server_live(self, _content: bytes, _: float | None) -> bytes:
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, _content: bytes, _: float | None) -> bytes:
        return pb.ServerReadyResponse(ready=self._plane.ready).SerializeToString()

    async def _server_metadata(self, _content: bytes, _: float | None) -> bytes:
        return pb.ServerMetadataResponse(
            name=oip.SERVER_NAME, version=oip.server_version(), extensions=oip.EXTENSIONS
        ).SerializeToString()

    async def _check(self, content: bytes, _: float | None) -> bytes:
        service = _parse(health.HealthCheckRequest, content).service
        status = self._status(service)
        if status is None:
            raise NotFound(
                f"service '{service[:128]}' is not known; expected '' or '{INFERENCE_SERVICE}'"
            )
        return _Status(status=status).SerializeToString()  # type: ignore[arg-type]

    def _status(self, service: str) -> int | None:
        if service not in ("", INFERENCE_SERVICE):
            return None
        return _Status.SERVING if self._plane.ready else _Status.NOT_SERVING

    def _is_ready(self, model: ModelRef) -> bool:
        """False for what cannot answer yet; raises NotFound for unknown models."""
        try:
            self._plane.version(model)
        except NotFound:
            raise
        except AuguriumError:
            return False
        return True


def _parse(kind: type[M], content: bytes) -> M:
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise InvalidArgument(f"the message is not a valid {kind.DESCRIPTOR.name}") from error


def _tensor(spec: TensorSpec) -> _Tensor:
    return _Tensor(name=spec.name, datatype=spec.datatype, shape=spec.shape)
