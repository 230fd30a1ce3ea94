"""Open Inference Protocol v2 over gRPC: inference, metadata and readiness."""

from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.errors import AuguriumError, NotFound
from augurium.core.identifiers import ModelRef, model_ref
from augurium.core.tensors import TensorSpec
from augurium.protocols import oip, oip_messages
from augurium.protocols.classification import classified
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_frames import Message
from augurium.protocols.grpc_methods import NO_WISHES, Unary, Wishes, check_seen, parsed
from augurium.serving.plane import DataPlane

_Tensor = pb.ModelMetadataResponse.TensorMetadata


class OipGrpc:
    """The unary methods of `inference.GRPCInferenceService` that a client needs to predict."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def methods(self) -> tuple[Unary, ...]:
        """The methods of this service."""
        path = f"/{oip.GRPC_SERVICE}/"
        return (
            Unary(f"{path}ModelInfer", "infer", self._infer, self._infer),
            Unary(f"{path}ModelMetadata", "metadata", self._model_metadata),
            Unary(f"{path}ModelReady", "model_ready", self._model_ready),
            Unary(f"{path}ServerLive", "live", self._server_live),
            Unary(f"{path}ServerReady", "ready", self._server_ready),
            Unary(f"{path}ServerMetadata", "server", self._server_metadata),
        )

    async def _infer(
        self,
        content: Buffer,
        timeout_s: float | None,
        caller: Principal | None,
        wishes: Wishes = NO_WISHES,
    ) -> Message:
        priority = wishes.priority
        try:
            wire = oip_messages.parse(content)
            message = wire.message
            if caller is not None:
                check_seen(caller, message.model_name)
            parameters = oip_messages.parameters_of(message) if message.parameters else {}
            if parameters:
                parameters.pop(oip_messages.EMPTY_FINAL_RESPONSE, None)
                timeout_s = _shorter(timeout_s, oip.timeout_s(parameters))
                priority = oip.priority_in(parameters, priority)
            deadline = self._plane.deadline(timeout_s)
            if priority is not wishes.priority:
                wishes = wishes._replace(priority=priority)
            request = oip_messages.decode(wire, parameters, deadline, wishes)
            counts = oip_messages.class_counts(message) if message.outputs else {}
            oip.check_classes(self._plane, request.model, counts)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, oip_messages.model_in(content))
            raise
        response = await oip.infer(self._plane, request)
        if counts:
            response = classified(response, counts)
        return oip_messages.encode(response, bool(wire.raw))

    async def _model_metadata(
        self, content: Buffer, _: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.ModelMetadataRequest, content)
        check_seen(caller, request.name)
        found = oip.model_metadata(self._plane, model_ref(request.name, request.version))
        return pb.ModelMetadataResponse(
            name=found.name,
            versions=found.versions,
            platform=found.platform,
            inputs=[_tensor(spec) for spec in found.inputs],
            outputs=[_tensor(spec) for spec in found.outputs],
        ).SerializeToString()

    async def _model_ready(
        self, content: Buffer, _: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.ModelReadyRequest, content)
        check_seen(caller, request.name)
        model = model_ref(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._is_ready(model)).SerializeToString()

    async def _server_live(self, _content: Buffer, _: float | None, __: Principal | None) -> bytes:
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, _content: Buffer, _: float | None, __: Principal | None) -> bytes:
        return pb.ServerReadyResponse(ready=self._plane.ready).SerializeToString()

    async def _server_metadata(
        self, _content: Buffer, _: float | None, __: Principal | None
    ) -> bytes:
        return pb.ServerMetadataResponse(
            name=oip.SERVER_NAME, version=oip.server_version(), extensions=oip.EXTENSIONS
        ).SerializeToString()

    def _is_ready(self, model: ModelRef) -> bool:
        """False for what cannot answer yet; raises NotFound for unknown models."""
        try:
            self._plane.version(model)
        except NotFound:
            raise
        except AuguriumError:
            return False
        return True


def _shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two limits, of which either may be missing."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _tensor(spec: TensorSpec) -> _Tensor:
    return _Tensor(name=spec.name, datatype=spec.datatype, shape=spec.shape)
