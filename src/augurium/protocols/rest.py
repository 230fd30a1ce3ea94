"""The REST data plane: routes, limits, and errors as answers."""

import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from augurium.core.errors import (
    AuguriumError,
    Internal,
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMedia,
)
from augurium.core.identifiers import ModelRef, check_request_id, model_ref
from augurium.core.settings import LimitSettings
from augurium.protocols.http import HttpRequest, HttpResponse, error_response, json_response
from augurium.protocols.oip_rest import OipRest
from augurium.protocols.v1_rest import V1Rest
from augurium.serving.plane import DataPlane

MOST_CACHED_PATHS = 4096
LONGEST_PATH = 2048

log = structlog.get_logger()

Infer = Callable[[HttpRequest, ModelRef, float | None], Awaitable[HttpResponse]]
Look = Callable[[HttpRequest, ModelRef], Awaitable[HttpResponse]]
Plain = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Route(NamedTuple):
    """Where a path leads: exactly one of `infer`, `look` and `plain` is given."""

    method: str
    model: ModelRef = ModelRef("")
    infer: Infer | None = None
    look: Look | None = None
    plain: Plain | None = None


class RestApi:
    """Answers every REST request of the data plane; `handle` raises nothing but cancellation."""

    def __init__(self, plane: DataPlane, limits: LimitSettings) -> None:
        self._max_body_bytes = limits.max_body_bytes
        self._v2 = OipRest(plane, limits.max_json_depth)
        self._v1 = V1Rest(plane, limits.max_json_depth)
        self._fixed = {
            "/": Route("GET", plain=self._alive),
            "/v2": Route("GET", plain=self._v2.server),
            "/v2/health/live": Route("GET", plain=self._v2.live),
            "/v2/health/ready": Route("GET", plain=self._v2.ready),
            "/v2/models": Route("GET", plain=self._v2.models),
            "/v1/models": Route("GET", plain=self._v1.models),
        }
        self._cached: dict[str, Route] = {}
        # unique without a system call per request
        self._id_prefix = secrets.token_hex(8)
        self._id_counter = itertools.count(1)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer, with the request's id in its headers."""
        request_id = (
            request.header("x-request-id") or f"{self._id_prefix}-{next(self._id_counter):x}"
        )
        try:
            response = await self._dispatch(request, request_id)
        except AuguriumError as error:
            response = error_response(error)
        except Exception:  # the edge of the process: a fault of ours must not take the engine down
            log.exception("request failed", request_id=request_id, path=request.path[:256])
            response = error_response(
                Internal(f"internal error; the log has it under {request_id}")
            )
        if len(request_id) <= 256 and request_id.isprintable() and request_id.isascii():
            response.headers.append(("x-request-id", request_id))
        return response

    async def _dispatch(self, request: HttpRequest, request_id: str) -> HttpResponse:
        if request.body is None:
            raise TooLarge(f"the request body is larger than {self._max_body_bytes} bytes")
        route = self._cached.get(request.path) or self._route(request.path)
        if request.method != route.method:
            raise MethodNotAllowed(f"Method Not Allowed: use {route.method} on this path")
        if route.infer is not None:
            check_request_id(request_id)
            encoding = request.header("content-encoding")
            if encoding is not None and encoding != "identity":
                raise UnsupportedMedia(
                    f"content encoding '{encoding[:32]}' is not supported; send identity"
                )
            timeout = request.header("augurium-timeout-ms")
            return await route.infer(request, route.model, _timeout_s(timeout) if timeout else None)
        if route.look is not None:
            return await route.look(request, route.model)
        if route.plain is not None:
            return await route.plain(request)
        raise NotFound("Not Found")

    def _route(self, path: str) -> Route:
        """Finds the route of a path and remembers it; the number remembered is bounded."""
        route = self._fixed.get(path) or self._model_route(path)
        if len(self._cached) >= MOST_CACHED_PATHS:
            self._cached.clear()
        self._cached[path] = route
        return route

    def _model_route(self, path: str) -> Route:
        if len(path) > LONGEST_PATH or not path.startswith(("/v1/models/", "/v2/models/")):
            raise NotFound("Not Found")
        protocol, _, *segments = path[1:].split("/")
        action = ""
        if protocol == "v1":
            segments[-1], _, action = segments[-1].partition(":")
        elif len(segments) in (2, 4):
            action = segments.pop()
        if len(segments) == 3 and segments[1] == "versions":
            model = model_ref(segments[0], segments[2])
        elif len(segments) == 1:
            model = model_ref(segments[0])
        else:
            raise NotFound("Not Found")
        return self._action_route(protocol, action, model)

    def _action_route(self, protocol: str, action: str, model: ModelRef) -> Route:
        routes = {
            ("v2", "infer"): Route("POST", model, infer=self._v2.infer),
            ("v2", ""): Route("GET", model, look=self._v2.metadata),
            ("v2", "ready"): Route("GET", model, look=self._v2.model_ready),
            ("v1", "predict"): Route("POST", model, infer=self._v1.predict),
            ("v1", ""): Route("GET", model, look=self._v1.status),
        }
        try:
            return routes[protocol, action]
        except KeyError:
            raise NotFound("Not Found") from None

    async def _alive(self, _request: HttpRequest) -> HttpResponse:
        return json_response({"status": "alive"})


def _timeout_s(text: str) -> float:
    """The header's milliseconds as seconds; raises InvalidArgument unless they are positive."""
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds < float("inf"):
        raise InvalidArgument(
            f"header augurium-timeout-ms must be a positive number of milliseconds, got"
            f" '{text[:32]}'"
        )
    return milliseconds / 1000
