"""Error kinds as gRPC status codes (numbers of the gRPC specification). The only place that maps
one to the other.
"""

from enum import IntEnum

from augurium.core.errors import ErrorKind


class GrpcStatus(IntEnum):
    """The canonical gRPC codes that are used here."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


GRPC_STATUS: dict[ErrorKind, GrpcStatus] = {
    ErrorKind.INVALID_ARGUMENT: GrpcStatus.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: GrpcStatus.RESOURCE_EXHAUSTED,
    ErrorKind.UNSUPPORTED_MEDIA: GrpcStatus.UNIMPLEMENTED,
    ErrorKind.METHOD_NOT_ALLOWED: GrpcStatus.UNIMPLEMENTED,
    ErrorKind.NOT_FOUND: GrpcStatus.NOT_FOUND,
    ErrorKind.CONFLICT: GrpcStatus.ALREADY_EXISTS,
    ErrorKind.UNPROCESSABLE: GrpcStatus.FAILED_PRECONDITION,
    ErrorKind.UNAUTHENTICATED: GrpcStatus.UNAUTHENTICATED,
    ErrorKind.PERMISSION_DENIED: GrpcStatus.PERMISSION_DENIED,
    ErrorKind.RATE_LIMITED: GrpcStatus.RESOURCE_EXHAUSTED,
    ErrorKind.NOT_READY: GrpcStatus.UNAVAILABLE,
    ErrorKind.OVERLOADED: GrpcStatus.UNAVAILABLE,
    ErrorKind.DEADLINE_EXCEEDED: GrpcStatus.DEADLINE_EXCEEDED,
    ErrorKind.CANCELLED: GrpcStatus.CANCELLED,
    ErrorKind.UNIMPLEMENTED: GrpcStatus.UNIMPLEMENTED,
    ErrorKind.INSUFFICIENT_STORAGE: GrpcStatus.RESOURCE_EXHAUSTED,
    ErrorKind.MODEL_FAILED: GrpcStatus.INTERNAL,
    ErrorKind.INTERNAL: GrpcStatus.INTERNAL,
}
