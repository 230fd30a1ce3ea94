"""Error kinds as HTTP statuses. The only place that maps one to the other."""

import math

from augurium.access.rate import Quota
from augurium.core.errors import AuguriumError, ErrorKind, MethodNotAllowed

HTTP_STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID_ARGUMENT: 400,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_MEDIA: 415,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.UNPROCESSABLE: 422,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.PERMISSION_DENIED: 403,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.NOT_READY: 503,
    ErrorKind.OVERLOADED: 503,
    ErrorKind.DEADLINE_EXCEEDED: 504,
    ErrorKind.CANCELLED: 499,
    ErrorKind.UNIMPLEMENTED: 501,
    ErrorKind.INSUFFICIENT_STORAGE: 507,
    ErrorKind.MODEL_FAILED: 500,
    ErrorKind.INTERNAL: 500,
}
RETRY_AFTER_S = 1
# several kinds share a status
KIND_HEADER = "augurium-error"
RETRYABLE = frozenset({ErrorKind.NOT_READY, ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED})


def error_headers(kind: ErrorKind, error: Exception | None = None) -> dict[str, str]:
    """What the headers of an error's answer say: its kind, when to try again, how to say who one
    is, and which methods there are.
    """
    told = {KIND_HEADER: kind.value}
    if kind in RETRYABLE:
        told["retry-after"] = str(max(1, math.ceil(retry_after_s(error))))
    elif kind is ErrorKind.UNAUTHENTICATED:
        # RFC 6750, section 3
        told["www-authenticate"] = "Bearer"
    elif isinstance(error, MethodNotAllowed) and error.methods:
        # RFC 9110, section 15.5.6
        told["allow"] = ", ".join(error.methods)
    return told


def retry_after_s(error: Exception | None) -> float:
    """When to try again after an error of a retryable kind."""
    known = error.retry_after_s if isinstance(error, AuguriumError) else None
    return RETRY_AFTER_S if known is None else known


def quota_headers(quota: Quota) -> dict[str, str]:
    """What is left of a caller's rate (draft-ietf-httpapi-ratelimit-headers, version 06)."""
    return {
        "ratelimit-limit": str(quota.limit),
        "ratelimit-remaining": str(quota.remaining),
        "ratelimit-reset": str(math.ceil(quota.reset_s)),
    }
