"""Domain errors as the management API answers them."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.protocols.errors_http import HTTP_STATUS, error_headers

KIND_OF_STATUS = {
    404: ErrorKind.NOT_FOUND,
    405: ErrorKind.METHOD_NOT_ALLOWED,
    408: ErrorKind.DEADLINE_EXCEEDED,
    421: ErrorKind.PERMISSION_DENIED,
}


class ErrorBody(msgspec.Struct, frozen=True):
    """What every refusal looks like. `kind` is for programs, `error` for people."""

    error: str
    kind: str


class HttpRefusal(Exception):
    """A refusal that only HTTP knows, such as a wrong Host; `status` is one of KIND_OF_STATUS."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_response(
    kind: ErrorKind, message: str, status: int | None = None, headers: Mapping[str, str] = {}
) -> Response:
    """The answer for one error; `status` overrides the table where HTTP is finer than our kinds."""
    return Response(
        msgspec.json.encode(ErrorBody(message, kind.value)),
        status or HTTP_STATUS[kind],
        headers={**error_headers(kind), **headers},
        media_type="application/json",
    )


def refusal(error: AuguriumError | HttpRefusal) -> Response:
    """The answer for an error whose message may be shown to the caller."""
    if isinstance(error, HttpRefusal):
        return error_response(KIND_OF_STATUS[error.status], str(error), error.status)
    return error_response(error.kind, str(error), headers=error_headers(error.kind, error))


def internal_response(request_id: str) -> Response:
    """The answer for a fault of ours: no detail, only where to find it."""
    return error_response(
        ErrorKind.INTERNAL, f"internal error; see the log under request id {request_id}"
    )
