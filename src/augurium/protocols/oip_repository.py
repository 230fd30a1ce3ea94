"""The repository extension: which models there are, and to load and unload them.

Source: Triton, "Model Repository Extension".
"""

from collections.abc import Callable, Mapping
from typing import Any

from augurium.access.principal import LOCAL, Principal
from augurium.core.errors import AuguriumError, InvalidArgument, Unimplemented
from augurium.core.identifiers import ModelRef
from augurium.protocols.oip import linked
from augurium.protocols.oip_config import Config, model_config
from augurium.protocols.oip_config_override import config_override
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane
from augurium.serving.questions import Load

READY = "READY"
STATES = {"ready": READY, "loading": "LOADING", "failed": "UNAVAILABLE", "unloaded": "UNAVAILABLE"}
CONFIG = "config"
FILE_PREFIX = "file:"


class OipRepository:
    """The calls of this extension, for REST and gRPC alike. `repository` names one of several, of
    which there is none.
    """

    def __init__(self, plane: DataPlane, control: NodeControl | None) -> None:
        self._plane = plane
        self._control = control

    async def index(
        self,
        ready: bool,
        sees: Callable[[str], bool],
        repository: str = "",
        timeout_s: float | None = None,
    ) -> list[dict[str, str]]:
        """Every deployed version of the models that are seen, and the newest of each if that is
        not deployed; only those that are `ready`, if so asked.
        """
        _check_repository(repository)
        entries = await linked(self._control).index(timeout_s)
        return [
            {
                "name": entry.model,
                "version": str(entry.version),
                "state": STATES[entry.state],
                "reason": entry.reason,
            }
            for entry in entries
            if sees(entry.model) and (not ready or STATES[entry.state] == READY)
        ]

    async def load(
        self,
        model: ModelRef,
        parameters: Mapping[str, Any],
        caller: Principal | None,
        repository: str = "",
        timeout_s: float | None = None,
    ) -> None:
        """Loads the newest version of a model, or the one that is named. Other parameters than the
        extension's own are taken and mean nothing.

        Raises InvalidArgument with the reason when that cannot be, Unimplemented for files.
        """
        _check_repository(repository)
        try:
            order = self._order(model, parameters, caller or LOCAL)
        except AuguriumError as error:
            raise type(error)(f"failed to load '{model.name}', {error}") from error
        await linked(self._control).load(order, timeout_s)

    async def unload(
        self,
        model: ModelRef,
        caller: Principal | None,
        repository: str = "",
        timeout_s: float | None = None,
    ) -> None:
        """Takes every version of a model out of every engine. No model depends on another here, so
        `unload_dependents` changes nothing.
        """
        _check_repository(repository)
        if model.version is not None or model.alias is not None:
            raise InvalidArgument(
                f"failed to unload '{model}', a model is unloaded as a whole; name it without a"
                f" version, or use `augurium undeploy {model.name}@VERSION`"
            )
        await linked(self._control).unload(model.name, (caller or LOCAL).name, timeout_s)

    def _order(self, model: ModelRef, parameters: Mapping[str, Any], caller: Principal) -> Load:
        if model.alias is not None:
            raise InvalidArgument(
                f"'{model}' names an alias, which leads to a version that is loaded already; name"
                " the model, or a version as in name@3"
            )
        config = parameters.get(CONFIG)
        _check_files(parameters, config)
        if config is None:
            return Load(model.name, caller.name, _numbers(model))
        if not isinstance(config, str):
            raise InvalidArgument("parameter 'config' must be a text with a JSON object")
        override = config_override(model.name, config, self._current(model))
        versions = override.versions
        named = _numbers(model)
        if named and versions and named != versions:
            raise InvalidArgument("its config names other versions than the request does")
        return Load(model.name, caller.name, named or versions, override.batching)

    def _current(self, model: ModelRef) -> Config | None:
        try:
            return model_config(self._plane, ModelRef(model.name))
        except AuguriumError:
            return None


def _numbers(model: ModelRef) -> tuple[int, ...]:
    return () if model.version is None else (model.version,)


def _check_repository(name: str) -> None:
    if name:
        raise Unimplemented(
            "'repository_name' specification is not supported: a node has one repository, the"
            " registry; leave the name out"
        )


def _check_files(parameters: Mapping[str, Any], config: object) -> None:
    files = [name for name in parameters if name.startswith(FILE_PREFIX)]
    if not files:
        return
    if config is None:
        raise InvalidArgument(
            f"parameter '{files[0][:64]}' needs the parameter 'config' beside it; and files are not"
            " taken here: register the model with `augurium register`, then load it"
        )
    raise Unimplemented(
        f"files such as '{files[0][:64]}' are not taken with a load: register the model with"
        " `augurium register`, which checks and keeps it, then load it"
    )
