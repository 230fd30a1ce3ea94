"""The REST data plane: routes, limits, and errors as answers."""

import itertools
import secrets

import structlog

from augurium.access.gateway import Gateway, check_query
from augurium.access.principal import Principal
from augurium.core.errors import (
    AuguriumError,
    Internal,
    InvalidArgument,
    TooLarge,
    Unauthenticated,
)
from augurium.core.identifiers import REQUEST_ID, check_request_id, is_request_id
from augurium.core.priority import HEADER as PRIORITY_HEADER
from augurium.core.priority import Priority, priority_of
from augurium.core.settings import LimitSettings
from augurium.protocols import content_encoding
from augurium.protocols.errors_http import quota_headers
from augurium.protocols.generate_rest import GenerateRest
from augurium.protocols.http import (
    HttpRequest,
    HttpResponse,
    StreamedResponse,
    error_response,
    json_response,
)
from augurium.protocols.mlflow_errors import INVOCATIONS, mlflow_error
from augurium.protocols.mlflow_rest import MlflowRest
from augurium.protocols.oip_extensions_rest import OipExtensionsRest
from augurium.protocols.oip_rest import OipRest
from augurium.protocols.openapi_rest import OpenApiRest
from augurium.protocols.routing import Call, Found, Route, RouteTable
from augurium.protocols.rows_rest import RowsRest
from augurium.protocols.v1_examples import V1Examples
from augurium.protocols.v1_rest import V1Rest
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane
from augurium.serving.router import unknown_model

log = structlog.get_logger()


class RestApi:
    """Answers every REST request of the data plane; `handle` raises nothing but cancellation.

    Without a `gateway` nobody is asked who they are.
    """

    def __init__(
        self,
        plane: DataPlane,
        limits: LimitSettings,
        gateway: Gateway | None = None,
        control: NodeControl | None = None,
        default_model: str = "",
    ) -> None:
        self._gateway = gateway
        self._max_body_bytes = limits.max_body_bytes
        oip = OipRest(plane, limits.max_json_depth)
        rows = RowsRest(plane, limits.max_body_bytes, limits.max_json_depth)
        self._table = RouteTable(
            (
                Route("GET", "/", "live", _alive),
                *oip.routes(),
                *OipExtensionsRest(plane, control, limits.max_json_depth).routes(),
                *V1Rest(plane, limits.max_json_depth, rows).routes(),
                *V1Examples(plane, limits.max_json_depth).routes(),
                *MlflowRest(plane, limits.max_json_depth, oip.infer, default_model).routes(),
                *GenerateRest(plane, limits.max_json_depth).routes(),
                *OpenApiRest(plane, lambda: self.routes, gateway is not None).routes(),
            )
        )
        # unique without a system call per request
        self._id_prefix = secrets.token_hex(8)
        self._id_counter = itertools.count(1)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route there is."""
        return self._table.routes

    async def handle(self, request: HttpRequest) -> HttpResponse | StreamedResponse:
        """The answer, with the request's id in its headers."""
        given = request.header(REQUEST_ID)
        request_id = given or f"{self._id_prefix}-{next(self._id_counter):x}"
        response: HttpResponse | StreamedResponse
        try:
            if self._gateway is None:
                response = await self._answer(request, self._table.find(request.path), request_id)
            else:
                response = await self._admit(self._gateway, request, request_id)
        except AuguriumError as error:
            if self._gateway is not None and isinstance(error, Unauthenticated):
                await self._gateway.patience.wait()
            response = _error(request.path, error)
        except Exception:  # the edge of the process: a fault of ours must not take the engine down
            log.exception("request failed", request_id=request_id, path=request.path[:256])
            response = _error(
                request.path, Internal(f"internal error; the log has it under {request_id}")
            )
        if not given or is_request_id(given):
            response.headers.append((REQUEST_ID, request_id))
        return response

    async def _admit(
        self, gateway: Gateway, request: HttpRequest, request_id: str
    ) -> HttpResponse | StreamedResponse:
        """Answers those who may ask this; a model they may not see is one that is not there."""
        header, names = request.header("authorization"), request.certificate_names
        if request.query:
            check_query(request.query)
        try:
            found = self._table.find(request.path)
        except AuguriumError:
            # a stranger does not even learn which paths there are
            gateway.authenticate(header, names)
            raise
        route = found.routes.get(request.method)
        admission = gateway.admit(header, route.operation if route else found.operation, names)
        if admission is None:
            return await self._answer(request, found, request_id)
        if found.model.name and not admission.caller.sees(found.model.name):
            raise unknown_model(found.model.name)
        response = await self._answer(request, found, request_id, admission.caller)
        if admission.quota is not None:
            response.headers.extend(quota_headers(admission.quota).items())
        return response

    async def _answer(
        self, request: HttpRequest, found: Found, request_id: str, caller: Principal | None = None
    ) -> HttpResponse | StreamedResponse:
        if request.body is None:
            raise TooLarge(f"the request body is larger than {self._max_body_bytes} bytes")
        route = found.route(request.method)
        if request.body and (encodings := request.header("content-encoding")):
            request = await content_encoding.decoded(request, encodings, self._max_body_bytes)
        timeout_s, priority = None, Priority.NORMAL
        if request.method == "POST":
            if request.header(REQUEST_ID):
                check_request_id(request_id)
            timeout = request.header("augurium-timeout-ms")
            timeout_s = None if timeout is None else _timeout_s(timeout)
            said = request.header(PRIORITY_HEADER)
            priority = priority if said is None else priority_of(said)
        call = Call(request, found.model, timeout_s, caller, found.values, priority, request_id)
        response = await route.answer(call)
        if accepted := request.header("accept-encoding"):
            encoding = content_encoding.accepted_encoding(accepted)
            if encoding is not None:
                return await content_encoding.encoded(response, encoding)
        return response


def _error(path: str, error: AuguriumError) -> HttpResponse:
    """In the words of the protocol that was spoken."""
    return mlflow_error(error) if path.endswith(INVOCATIONS) else error_response(error)


async def _alive(_call: Call) -> HttpResponse:
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
