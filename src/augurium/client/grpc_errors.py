"""What a failed gRPC call becomes: the AuguriumError of the same kind."""

from collections.abc import Mapping

from augurium.client.errors import CLASS_BY_KIND, KIND_HEADER, NoServer, retry_after_s
from augurium.core import errors
from augurium.core.errors import AuguriumError

# a status may stand for several kinds; without one told, what callers can act upon
CLASS_BY_STATUS: dict[str, type[AuguriumError]] = {
    "CANCELLED": errors.Cancelled,
    "INVALID_ARGUMENT": errors.InvalidArgument,
    "OUT_OF_RANGE": errors.InvalidArgument,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.Conflict,
    "ABORTED": errors.Conflict,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "RESOURCE_EXHAUSTED": errors.RateLimited,
    "FAILED_PRECONDITION": errors.Unprocessable,
    "UNIMPLEMENTED": errors.Unimplemented,
    "UNAVAILABLE": errors.NotReady,
}
NO_CONNECTION = ("failed to connect to all addresses", "errors resolving", "DNS resolution failed")
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
PUSHBACK = "grpc-retry-pushback-ms"


def error_of_status(
    status: str, details: str, trailers: Mapping[str, str], place: str
) -> AuguriumError:
    """The error of the kind that the trailers tell, else of a status by its name.

    Sources: gRPC, "Status codes and their use"; gRFC A6 for the pushback.
    """
    if UNTRUSTED in details:
        return errors.InvalidArgument(
            f"the certificate of {place} is not trusted ({details}); name the authority that "
            "signed it by AUGURIUM_CA, or Client(tls=TlsFiles(ca=...))"
        )
    if details.startswith(NO_CONNECTION):
        return NoServer(f"no Augurium server answers at {place}; start one with `augurium serve`")
    kind = CLASS_BY_KIND.get(trailers.get(KIND_HEADER, ""))
    known = kind or CLASS_BY_STATUS.get(status, errors.Internal)
    error = known(details or f"{place} answered {status}")
    error.retry_after_s = _told_s(trailers) or error.retry_after_s
    return error


def _told_s(trailers: Mapping[str, str]) -> float | None:
    pushback_ms = retry_after_s(trailers.get(PUSHBACK))
    if pushback_ms is not None:
        return pushback_ms / 1000
    return retry_after_s(trailers.get("retry-after"))
