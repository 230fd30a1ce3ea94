"""The REST data plane: routes, limits, and errors as answers."""

import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from augurium.access.gateway import Gateway, check_query
from augurium.core.errors import (
    AuguriumError,
    Internal,
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from augurium.core.identifiers import ModelRef, check_request_id, model_ref
from augurium.core.settings import LimitSettings
from augurium.protocols.errors_http import quota_headers
from augurium.protocols.http import HttpRequest, HttpResponse, error_response, json_response
from augurium.protocols.oip_rest import OipRest
from augurium.protocols.v1_rest import V1Rest
from augurium.serving.plane import DataPlane
from augurium.serving.router import unknown_model

MOST_CACHED_PATHS = 4096
LONGEST_PATH = 2048

log = structlog.get_logger()

Infer = Callable[[HttpRequest, ModelRef, float | None], Awaitable[HttpResponse]]
Look = Callable[[HttpRequest, ModelRef], Awaitable[HttpResponse]]
Plain = Callable[[HttpRequest], Awaitable[HttpResponse]]
Sees = Callable[[str], bool]
Listing = Callable[[HttpRequest, Sees], Awaitable[HttpResponse]]


class Route(NamedTuple):
    """Where a path leads: exactly one of `infer`, `look`, `plain` and `listing` is given.

    `operation` is what `access/rights.py` calls it.
    """

    method: str
    operation: str
    model: ModelRef = ModelRef("")
    infer: Infer | None = None
    look: Look | None = None
    plain: Plain | None = None
    listing: Listing | None = None


def _everything(_model: str) -> bool:
    return True


class RestApi:
    """Answers every REST request of the data plane; `handle` raises nothing but cancellation.

    Without a `gateway` nobody is asked who they are.
    """

    def __init__(
        self, plane: DataPlane, limits: LimitSettings, gateway: Gateway | None = None
    ) -> None:
        self._gateway = gateway
        self._max_body_bytes = limits.max_body_bytes
        self._v2 = OipRest(plane, limits.max_json_depth)
        self._v1 = V1Rest(plane, limits.max_json_depth)
        self._fixed = {
            "/": Route("GET", "live", plain=self._alive),
            "/v2": Route("GET", "server", plain=self._v2.server),
            "/v2/health/live": Route("GET", "live", plain=self._v2.live),
            "/v2/health/ready": Route("GET", "ready", plain=self._v2.ready),
            "/v2/models": Route("GET", "models", listing=self._v2.models),
            "/v1/models": Route("GET", "models", listing=self._v1.models),
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
            if self._gateway is None:
                response = await self._dispatch(request, request_id)
            else:
                response = await self._admit(self._gateway, request, request_id)
        except AuguriumError as error:
            if self._gateway is not None and isinstance(error, Unauthenticated):
                await self._gateway.patience.wait()
            response = error_response(error)
        except Exception:  # the edge of the process: a fault of ours must not take the engine down
            log.exception("request failed", request_id=request_id, path=request.path[:256])
            response = error_response(
                Internal(f"internal error; the log has it under {request_id}")
            )
        if len(request_id) <= 256 and request_id.isprintable() and request_id.isascii():
            response.headers.append(("x-request-id", request_id))
        return response

    async def _admit(self, gateway: Gateway, request: HttpRequest, request_id: str) -> HttpResponse:
        """Answers those who may ask this; a model they may not see is one that is not there."""
        header, names = request.header("authorization"), request.certificate_names
        if request.query:
            check_query(request.query)
        try:
            route = self._cached.get(request.path) or self._route(request.path)
        except AuguriumError:
            # a stranger does not even learn which paths there are
            gateway.authenticate(header, names)
            raise
        admission = gateway.admit(header, route.operation, names)
        if admission is None:
            return await self._dispatch(request, request_id)
        if route.model.name and not admission.caller.sees(route.model.name):
            raise unknown_model(route.model.name)
        response = await self._dispatch(request, request_id, admission.caller.sees)
        if admission.quota is not None:
            response.headers.extend(quota_headers(admission.quota).items())
        return response

    async def _dispatch(
        self, request: HttpRequest, request_id: str, sees: Sees = _everything
    ) -> HttpResponse:
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
        if route.listing is not None:
            return await route.listing(request, sees)
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

    def routes(self, model: str) -> dict[str, Route]:
        """Every path there is, with where it leads; `model` stands for any model."""
        found = dict(self._fixed)
        for (protocol, action), route in self._actions(model_ref(model)).items():
            end = (":" if protocol == "v1" else "/") + action if action else ""
            for version in ("", "/versions/1"):
                found[f"/{protocol}/models/{model}{version}{end}"] = route
        return found

    def _action_route(self, protocol: str, action: str, model: ModelRef) -> Route:
        try:
            return self._actions(model)[protocol, action]
        except KeyError:
            raise NotFound("Not Found") from None

    def _actions(self, model: ModelRef) -> dict[tuple[str, str], Route]:
        return {
            ("v2", "infer"): Route("POST", "infer", model, infer=self._v2.infer),
            ("v2", ""): Route("GET", "metadata", model, look=self._v2.metadata),
            ("v2", "ready"): Route("GET", "model_ready", model, look=self._v2.model_ready),
            ("v1", "predict"): Route("POST", "infer", model, infer=self._v1.predict),
            ("v1", ""): Route("GET", "metadata", model, look=self._v1.status),
        }

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
