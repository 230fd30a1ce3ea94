"""The edge of the management API: what happens to every request before and after its route."""

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from augurium.access.rate import Quota
from augurium.control.access_keeper import AccessKeeper
from augurium.control.authorization import Authorization
from augurium.control.errors import HttpRefusal, internal_response, refusal
from augurium.control.origin import check_origin
from augurium.core.errors import AuguriumError, ErrorKind, InvalidArgument
from augurium.core.identifiers import check_request_id, new_id
from augurium.protocols.errors_http import quota_headers

REQUEST_ID = "x-request-id"
# where the host puts the names of the caller's certificate
CERTIFICATE_NAMES = "certificate_names"
log = structlog.get_logger()


class Edge:
    """ASGI middleware: gives each request an id, refuses strangers, answers every error.

    Routes find who asks in `request.state.caller`.
    """

    def __init__(self, app: ASGIApp, access: AccessKeeper) -> None:
        self._app = app
        self._access = access
        self._authorization = Authorization(access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(send, _request_id(scope))
        state = scope.setdefault("state", {})
        state["request_id"] = reply.request_id
        try:
            _check_framing(scope["headers"])
            check_origin(scope["method"], scope["headers"], self._access.hosts)
            caller = await self._authorization.caller(
                scope["method"],
                scope["path"],
                scope["query_string"].decode("latin-1"),
                scope["headers"],
                state.get(CERTIFICATE_NAMES, ()),
            )
            state["caller"] = caller.principal
            reply.quota = caller.quota
            await self._app(scope, receive, reply.send)
        except ClientDisconnect:
            log.debug("the caller left", request_id=reply.request_id, path=scope["path"])
        except Exception as error:  # the edge of a request: nothing may pass
            await reply.finish(_answer_to(error, reply.request_id, scope["path"]), scope, receive)


def _check_framing(headers: list[tuple[bytes, bytes]]) -> None:
    names = {name for name, _ in headers}
    # two lengths are how a request is smuggled past a proxy (RFC 9112, section 6.1)
    if {b"content-length", b"transfer-encoding"} <= names:
        raise InvalidArgument("Content-Length and Transfer-Encoding together; send one of them")


def _answer_to(error: Exception, request_id: str, path: str) -> Response:
    if isinstance(error, HttpRefusal):
        return refusal(error)
    if isinstance(error, AuguriumError) and error.kind is not ErrorKind.INTERNAL:
        return refusal(error)
    log.error("request failed", request_id=request_id, path=path, exc_info=error)
    return internal_response(request_id)


class _Reply:
    """The answer to one request: knows its id and whether it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._begun = False
        self.request_id = request_id
        self.quota: Quota | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            headers = MutableHeaders(raw=message["headers"])
            headers[REQUEST_ID] = self.request_id
            headers["x-content-type-options"] = "nosniff"
            if self.quota is not None:
                headers.update(quota_headers(self.quota))
        await self._send(message)

    async def finish(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Answers with `response` unless another answer has begun; the connection is cut then."""
        if not self._begun:
            await response(scope, receive, self.send)


def _request_id(scope: Scope) -> str:
    for key, value in scope["headers"]:
        if key == REQUEST_ID.encode():
            try:
                return check_request_id(value.decode("latin-1")) or new_id()
            except InvalidArgument:
                break
    return new_id()
