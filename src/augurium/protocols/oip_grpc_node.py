"""The extensions of Open Inference v2 that are not inference, over gRPC."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from typing_extensions import Buffer

from augurium.access.principal import Principal
from augurium.core.identifiers import model_ref
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_methods import Unary, check_seen, parsed
from augurium.protocols.oip import GRPC_SERVICE
from augurium.protocols.oip_config import model_config
from augurium.protocols.oip_log_settings import log_settings
from augurium.protocols.oip_repository import OipRepository
from augurium.protocols.oip_statistics import ALL_MODELS, model_statistics
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane


class OipGrpcNode:
    """The methods of configuration, statistics, repository and logging. `control` is None where
    nobody can be asked about the node.
    """

    def __init__(self, plane: DataPlane, control: NodeControl | None) -> None:
        self._plane = plane
        self._control = control
        self._repository = OipRepository(plane, control)

    def methods(self) -> tuple[Unary, ...]:
        """The methods of these extensions."""
        path = f"/{GRPC_SERVICE}/"
        return (
            Unary(f"{path}ModelConfig", "config", self._config),
            Unary(f"{path}ModelStatistics", "statistics", self._statistics),
            Unary(f"{path}RepositoryIndex", "index", self._index),
            Unary(f"{path}RepositoryModelLoad", "load", self._load),
            Unary(f"{path}RepositoryModelUnload", "unload", self._unload),
            Unary(f"{path}LogSettings", "logging", self._log_settings),
        )

    async def _config(self, content: Buffer, _: float | None, caller: Principal | None) -> bytes:
        request = parsed(pb.ModelConfigRequest, content)
        check_seen(caller, request.name)
        config = model_config(self._plane, model_ref(request.name, request.version))
        return ParseDict({"config": config}, pb.ModelConfigResponse()).SerializeToString()

    async def _statistics(
        self, content: Buffer, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.ModelStatisticsRequest, content)
        model = ALL_MODELS
        if request.name:
            check_seen(caller, request.name)
            model = model_ref(request.name, request.version)
        found = await model_statistics(
            self._plane, self._control, model, lambda name: _sees(caller, name), timeout_s
        )
        return ParseDict({"model_stats": found}, pb.ModelStatisticsResponse()).SerializeToString()

    async def _index(
        self, content: Buffer, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.RepositoryIndexRequest, content)
        found = await self._repository.index(
            request.ready, lambda name: _sees(caller, name), request.repository_name, timeout_s
        )
        return ParseDict({"models": found}, pb.RepositoryIndexResponse()).SerializeToString()

    async def _load(
        self, content: Buffer, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.RepositoryModelLoadRequest, content)
        name, repository = _named(request)
        check_seen(caller, name)
        model = model_ref(name)
        await self._repository.load(
            model, _values(request.parameters), caller, repository, timeout_s
        )
        return pb.RepositoryModelLoadResponse(
            model_name=model.name, isLoaded=True
        ).SerializeToString()

    async def _unload(
        self, content: Buffer, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        request = parsed(pb.RepositoryModelUnloadRequest, content)
        name, repository = _named(request)
        check_seen(caller, name)
        model = model_ref(name)
        await self._repository.unload(model, caller, repository, timeout_s)
        return pb.RepositoryModelUnloadResponse(
            model_name=model.name, isUnloaded=True
        ).SerializeToString()

    async def _log_settings(
        self, content: Buffer, timeout_s: float | None, caller: Principal | None
    ) -> bytes:
        changes = _values(parsed(pb.LogSettingsRequest, content).settings)
        settings = await log_settings(self._control, changes, caller, timeout_s)
        answer = pb.LogSettingsResponse()
        for key, value in settings.items():
            setattr(answer.settings[key], _choice_for(value), value)
        return answer.SerializeToString()


def _named(
    request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest,
) -> tuple[str, str]:
    """The model and the repository. KServe's definition, which knows no repositories, has the model
    where Triton's has the repository.
    """
    if request.model_name:
        return request.model_name, request.repository_name
    return request.repository_name, ""


def _sees(caller: Principal | None, model: str) -> bool:
    return caller is None or caller.sees(model)


def _values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as plain values; None for one that has none."""
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {
        name: getattr(parameters[name], choice) if choice else None
        for name, choice in chosen.items()
    }


def _choice_for(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "bool_param"
    return "uint32_param" if isinstance(value, int) else "string_param"
