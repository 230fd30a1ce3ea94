"""Error kinds as MLflow's error codes, and the answer that carries one.

Source: MLflow 3, `mlflow/exceptions.py` and `mlflow/pyfunc/scoring_server`.
"""

import msgspec

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.protocols.errors_http import HTTP_STATUS, error_headers
from augurium.protocols.http import JSON_TYPE, HttpResponse

# paths that end so speak MLflow, also when they fail
INVOCATIONS = "/invocations"
TEXT_TYPE = ("content-type", "text/plain; charset=utf-8")

ERROR_CODES: dict[ErrorKind, str] = {
    ErrorKind.INVALID_ARGUMENT: "BAD_REQUEST",
    ErrorKind.TOO_LARGE: "BAD_REQUEST",
    ErrorKind.UNSUPPORTED_MEDIA: "BAD_REQUEST",
    ErrorKind.METHOD_NOT_ALLOWED: "BAD_REQUEST",
    ErrorKind.UNPROCESSABLE: "BAD_REQUEST",
    ErrorKind.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    ErrorKind.CONFLICT: "RESOURCE_CONFLICT",
    ErrorKind.UNAUTHENTICATED: "UNAUTHENTICATED",
    ErrorKind.PERMISSION_DENIED: "PERMISSION_DENIED",
    ErrorKind.RATE_LIMITED: "REQUEST_LIMIT_EXCEEDED",
    ErrorKind.NOT_READY: "TEMPORARILY_UNAVAILABLE",
    ErrorKind.OVERLOADED: "TEMPORARILY_UNAVAILABLE",
    ErrorKind.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    ErrorKind.CANCELLED: "CANCELLED",
    ErrorKind.UNIMPLEMENTED: "NOT_IMPLEMENTED",
    ErrorKind.INSUFFICIENT_STORAGE: "RESOURCE_EXHAUSTED",
    ErrorKind.MODEL_FAILED: "INTERNAL_ERROR",
    ErrorKind.INTERNAL: "INTERNAL_ERROR",
}


def mlflow_error(error: AuguriumError) -> HttpResponse:
    """`{"error_code", "message"}`; a content type that is not spoken is told as plain text."""
    told = list(error_headers(error.kind, error).items())
    if error.kind is ErrorKind.UNSUPPORTED_MEDIA:
        return HttpResponse(HTTP_STATUS[error.kind], [TEXT_TYPE, *told], str(error).encode())
    content = {"error_code": ERROR_CODES[error.kind], "message": str(error)}
    return HttpResponse(HTTP_STATUS[error.kind], [JSON_TYPE, *told], msgspec.json.encode(content))
