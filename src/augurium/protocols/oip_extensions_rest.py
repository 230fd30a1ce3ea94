"""The extensions of Open Inference v2 that are not inference, over REST."""

from typing import Any, TypeVar

import msgspec

from augurium.core.errors import InvalidArgument, NotFound, Unimplemented
from augurium.protocols.http import HttpResponse, json_response
from augurium.protocols.json_depth import UNREADABLE, check_depth
from augurium.protocols.oip_absent import NO_SHARED_MEMORY, NO_TRACES, no_region
from augurium.protocols.oip_config import model_config
from augurium.protocols.oip_log_settings import log_settings
from augurium.protocols.oip_repository import OipRepository
from augurium.protocols.oip_statistics import ALL_MODELS, model_statistics
from augurium.protocols.routing import Call, Route
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane

T = TypeVar("T")


class IndexBody(msgspec.Struct):
    """What is asked of the index."""

    ready: bool = False


class LoadBody(msgspec.Struct):
    """What comes with a load or an unload."""

    parameters: dict[str, Any] = {}


class OipExtensionsRest:
    """The handlers of configuration, statistics, repository and logging, and what is said of the
    extensions that are not here. `control` is None where nobody can be asked about the node.
    """

    def __init__(self, plane: DataPlane, control: NodeControl | None, max_json_depth: int) -> None:
        self._plane = plane
        self._control = control
        self._max_json_depth = max_json_depth
        self._repository = OipRepository(plane, control)

    def routes(self) -> tuple[Route, ...]:
        """The paths of these extensions."""
        model = "/v2/models/{model}"
        return (
            Route("GET", "/v2/models/stats", "statistics", self.statistics),
            Route("GET", f"{model}/stats", "statistics", self.statistics),
            Route("GET", f"{model}/config", "config", self.config),
            *self._repository_routes("/v2/repository"),
            *self._repository_routes("/v2/repository/{repository}"),
            Route("GET", "/v2/logging", "logging", self.logging),
            Route("POST", "/v2/logging", "logging", self.logging),
            *_trace_routes("/v2/trace/setting"),
            *_trace_routes(f"{model}/trace/setting"),
            *_memory_routes("/v2/systemsharedmemory"),
            *_memory_routes("/v2/cudasharedmemory"),
        )

    def _repository_routes(self, repository: str) -> tuple[Route, ...]:
        name = f"{repository}/models/{{name}}"
        return (
            Route("POST", f"{repository}/index", "index", self.index),
            Route("POST", f"{name}/load", "load", self.load),
            Route("POST", f"{name}/unload", "unload", self.unload),
        )

    async def config(self, call: Call) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]/config`."""
        return json_response(model_config(self._plane, call.model))

    async def statistics(self, call: Call) -> HttpResponse:
        """`GET /v2/models/M[/versions/V]/stats` and `GET /v2/models/stats`."""
        model = call.model if call.model.name else ALL_MODELS
        found = await model_statistics(self._plane, self._control, model, call.sees, call.timeout_s)
        return json_response({"model_stats": found})

    async def index(self, call: Call) -> HttpResponse:
        """`POST /v2/repository/index`."""
        body = self._body(call, IndexBody)
        repository = call.values.get("repository", "")
        return json_response(
            await self._repository.index(body.ready, call.sees, repository, call.timeout_s)
        )

    async def load(self, call: Call) -> HttpResponse:
        """`POST /v2/repository/models/M/load`."""
        body = self._body(call, LoadBody)
        repository = call.values.get("repository", "")
        await self._repository.load(
            call.model, body.parameters, call.caller, repository, call.timeout_s
        )
        return json_response({"name": call.model.name, "load": True})

    async def unload(self, call: Call) -> HttpResponse:
        """`POST /v2/repository/models/M/unload`."""
        self._body(call, LoadBody)
        repository = call.values.get("repository", "")
        await self._repository.unload(call.model, call.caller, repository, call.timeout_s)
        return json_response({"name": call.model.name, "unload": True})

    async def logging(self, call: Call) -> HttpResponse:
        """`GET` and `POST /v2/logging`."""
        changes = self._body(call, dict[str, Any]) if call.request.method == "POST" else {}
        return json_response(
            await log_settings(self._control, changes, call.caller, call.timeout_s)
        )

    def _body(self, call: Call, kind: type[T]) -> T:
        """The JSON of a request; an empty body is as an empty object."""
        content = call.request.content
        check_depth(content, self._max_json_depth)
        try:
            return msgspec.json.decode(content or b"{}", type=kind)
        except UNREADABLE as error:
            raise InvalidArgument(f"the request body cannot be read: {error}") from error


def _trace_routes(path: str) -> tuple[Route, ...]:
    return tuple(Route(method, path, "server", _no_traces) for method in ("GET", "POST"))


def _memory_routes(path: str) -> tuple[Route, ...]:
    region = f"{path}/region/{{region}}"
    return (
        Route("GET", f"{path}/status", "server", _no_regions),
        Route("GET", f"{region}/status", "server", _no_region),
        Route("POST", f"{region}/register", "server", _no_memory),
        Route("POST", f"{path}/unregister", "server", _unregistered),
        Route("POST", f"{region}/unregister", "server", _unregistered),
    )


async def _no_traces(_call: Call) -> HttpResponse:
    raise Unimplemented(NO_TRACES)


async def _no_memory(_call: Call) -> HttpResponse:
    raise Unimplemented(NO_SHARED_MEMORY)


async def _no_regions(_call: Call) -> HttpResponse:
    return json_response([])


async def _no_region(call: Call) -> HttpResponse:
    raise NotFound(no_region(call.values["region"]))


async def _unregistered(_call: Call) -> HttpResponse:
    """No region of any name is there afterwards; clients begin with this."""
    return json_response({})
