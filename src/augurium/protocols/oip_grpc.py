"""The gRPC data plane: Open Inference Protocol and health, as messages in and messages out.

Hosts carry the frames; here a call is a path, the bytes of a message, and what is left of its time.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

import structlog
from google.protobuf.message import DecodeError, Message

from augurium.access.gateway import Gateway
from augurium.access.principal import Principal
from augurium.core.errors import (
    AuguriumError,
    Internal,
    InvalidArgument,
    NotFound,
    Unauthenticated,
    Unimplemented,
)
from augurium.core.identifiers import ModelRef, model_ref, new_id
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip, oip_messages
from augurium.protocols.generated import health_pb2 as health
from augurium.protocols.generated import inference_pb2 as pb
from augurium.serving.plane import DataPlane
from augurium.serving.router import unknown_model

INFERENCE_SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"
WATCH_INTERVAL_S = 0.5
_Tensor = pb.ModelMetadataResponse.TensorMetadata
_Status = health.HealthCheckResponse

M = TypeVar("M", bound=Message)
Unary = Callable[[bytes, float | None, Principal | None], Awaitable[bytes]]


class Method(NamedTuple):
    """A unary method; `operation` is what `access/rights.py` calls it."""

    operation: str
    answer: Unary


log = structlog.get_logger()


class GrpcApi:
    """Answers every gRPC call of the data plane; raises AuguriumError and cancellation, nothing
    else.

    Without a `gateway` nobody is asked who they are.
    """

    def __init__(self, plane: DataPlane, gateway: Gateway | None = None) -> None:
        self._plane = plane
        self._gateway = gateway
        inference = f"/{INFERENCE_SERVICE}/"
        self._unary: dict[str, Method] = {
            inference + "ModelInfer": Method("infer", self._infer),
            inference + "ModelMetadata": Method("metadata", self._model_metadata),
            inference + "ModelReady": Method("model_ready", self._model_ready),
            inference + "ServerLive": Method("live", self._server_live),
            inference + "ServerReady": Method("ready", self._server_ready),
            inference + "ServerMetadata": Method("server", self._server_metadata),
            f"/{HEALTH_SERVICE}/Check": Method("ready", self._check),
        }
        self.watch_path = f"/{HEALTH_SERVICE}/Watch"

    @property
    def asks_who_calls(self) -> bool:
        """Whether credentials matter; a host need not look for them otherwise."""
        return self._gateway is not None

    @property
    def methods(self) -> Mapping[str, str]:
        """Every method by its path, with its operation; `Health.Watch` is open as `Check` is."""
        found = {path: method.operation for path, method in self._unary.items()}
        return found | {self.watch_path: "ready"}

    async def check_known(self, authorization: str | None, names: tuple[str, ...]) -> None:
        """Raises Unauthenticated for strangers, before what they send is gathered."""
        if self._gateway is None or self._gateway.knows(authorization, names):
            return
        await self._gateway.patience.wait()
        self._gateway.authenticate(authorization, names)

    async def call(
        self,
        path: str,
        message: bytes,
        timeout_s: float | None = None,
        authorization: str | None = None,
        certificate_names: tuple[str, ...] = (),
    ) -> bytes:
        """Answers one unary call; `timeout_s` is what is left of the caller's deadline.

        `authorization` is the header of that name.
        """
        method = self._unary.get(path)
        caller = None
        if self._gateway is not None:
            caller = await self._admitted(self._gateway, method, authorization, certificate_names)
        if method is None:
            raise Unimplemented(f"method {path[:128]} is not implemented")
        try:
            return await method.answer(message, timeout_s, caller)
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

    async def _admitted(
        self,
        gateway: Gateway,
        method: Method | None,
        authorization: str | None,
        names: tuple[str, ...],
    ) -> Principal | None:
        try:
            if method is None:
                return gateway.authenticate(authorization, names)
            admission = gateway.admit(authorization, method.operation, names)
        except Unauthenticated:
            await gateway.patience.wait()
            raise
        return None if admission is None else admission.caller

    async def _infer(
        self, content: bytes, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        try:
            message = oip_messages.parse(content)
            if caller is not None:
                _check_seen(caller, message.model_name)
            parameters = oip_messages.parameters_of(message) if message.parameters else {}
            if timeout_s is None and parameters:
                timeout_s = oip.timeout_s(parameters)
            request = oip_messages.decode(message, parameters, self._plane.deadline(timeout_s))
        except AuguriumError as error:
            self._plane.count_unrouted(error.kind)
            raise
        response = await oip.infer(self._plane, request)
        return oip_messages.encode(response, bool(message.raw_input_contents))

    async def _model_metadata(
        self, content: bytes, _: float | None, caller: Principal | None
    ) -> bytes:
        request = _parse(pb.ModelMetadataRequest, content)
        _check_seen(caller, request.name)
        found = oip.model_metadata(self._plane, model_ref(request.name, request.version))
        return pb.ModelMetadataResponse(
            name=found.name,
            versions=found.versions,
            platform=found.platform,
            inputs=[_tensor(spec) for spec in found.inputs],
            outputs=[_tensor(spec) for spec in found.outputs],
        ).SerializeToString()

    async def _model_ready(
        self, content: bytes, _: float | None, caller: Principal | None
    ) -> bytes:
        request = _parse(pb.ModelReadyRequest, content)
        _check_seen(caller, request.name)
        model = model_ref(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._is_ready(model)).SerializeToString()

    async def _server_live(self, _content: bytes, _: float | None, __: Principal | None) -> bytes:
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, _content: bytes, _: float | None, __: Principal | None) -> bytes:
        return pb.ServerReadyResponse(ready=self._plane.ready).SerializeToString()

    async def _server_metadata(
        self, _content: bytes, _: float | None, __: Principal | None
    ) -> bytes:
        return pb.ServerMetadataResponse(
            name=oip.SERVER_NAME, version=oip.server_version(), extensions=oip.EXTENSIONS
        ).SerializeToString()

    async def _check(self, content: bytes, _: float | None, __: Principal | None) -> bytes:
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


def _check_seen(caller: Principal | None, model: str) -> None:
    """A model the caller may not see is one that is not there."""
    name = model.partition("@")[0]
    if caller is not None and not caller.sees(name):
        raise unknown_model(name)


def _parse(kind: type[M], content: bytes) -> M:
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise InvalidArgument(f"the message is not a valid {kind.DESCRIPTOR.name}") from error


def _tensor(spec: TensorSpec) -> _Tensor:
    return _Tensor(name=spec.name, datatype=spec.datatype, shape=spec.shape)
