"""Error kinds as HTTP statuses. The only place that maps one to the other."""

from augurium.core.errors import ErrorKind

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
RETRYABLE = frozenset({ErrorKind.NOT_READY, ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED})
