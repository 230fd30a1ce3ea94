"""Domain errors: one root, one transport-neutral kind per class.

Nothing here knows HTTP or gRPC; `protocols/errors_http.py` and `protocols/errors_grpc.py` map each
kind to a code.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What went wrong, in words every transport can translate."""

    INVALID_ARGUMENT = "invalid_argument"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA = "unsupported_media"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    RATE_LIMITED = "rate_limited"
    NOT_READY = "not_ready"
    OVERLOADED = "overloaded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    UNIMPLEMENTED = "unimplemented"
    INSUFFICIENT_STORAGE = "insufficient_storage"
    MODEL_FAILED = "model_failed"
    INTERNAL = "internal"


# what counts against the version that was asked; the other kinds are its caller's doing
FAULTS = frozenset(
    {
        ErrorKind.NOT_READY,
        ErrorKind.OVERLOADED,
        ErrorKind.DEADLINE_EXCEEDED,
        ErrorKind.INSUFFICIENT_STORAGE,
        ErrorKind.MODEL_FAILED,
        ErrorKind.INTERNAL,
    }
)


class AuguriumError(Exception):
    """Root of every error Augurium raises on purpose.

    The message says what was wrong, what was expected and what to do; it is shown to the caller as
    it is. `retry_after_s` is when to try again, where that is known.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL
    retry_after_s: float | None = None


class InvalidArgument(AuguriumError):
    """The caller sent something that can never be answered."""

    kind = ErrorKind.INVALID_ARGUMENT


class TooLarge(AuguriumError):
    """A body, a message or a count is above its limit."""

    kind = ErrorKind.TOO_LARGE


class UnsupportedMedia(AuguriumError):
    """A content type or content encoding that is not spoken here."""

    kind = ErrorKind.UNSUPPORTED_MEDIA


class MethodNotAllowed(AuguriumError):
    """The path exists, the method does not."""

    kind = ErrorKind.METHOD_NOT_ALLOWED

    def __init__(self, message: str = "", methods: Sequence[str] = ()) -> None:
        super().__init__(message)
        # those that the path has, where that is known
        self.methods = tuple(methods)


class NotFound(AuguriumError):
    """An unknown model, version, alias or route."""

    kind = ErrorKind.NOT_FOUND


class Conflict(AuguriumError):
    """The request contradicts what exists already."""

    kind = ErrorKind.CONFLICT


class Unprocessable(AuguriumError):
    """A well-formed upload whose content is refused: an unsafe format, a failed parity check."""

    kind = ErrorKind.UNPROCESSABLE


class Unauthenticated(AuguriumError):
    """No credential, or one that is not valid."""

    kind = ErrorKind.UNAUTHENTICATED


class PermissionDenied(AuguriumError):
    """A valid credential without the right to do this."""

    kind = ErrorKind.PERMISSION_DENIED


class RateLimited(AuguriumError):
    """A caller is above its own limit; `retry_after_s` says when it will not be."""

    kind = ErrorKind.RATE_LIMITED
    retry_after_s: float

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(AuguriumError):
    """Known, but not able to answer now."""

    kind = ErrorKind.NOT_READY


class Overloaded(AuguriumError):
    """More is asked than can be answered in time; try again later.

    `reason` is the word under which the refusal is counted.
    """

    kind = ErrorKind.OVERLOADED

    def __init__(
        self, message: str = "", retry_after_s: float | None = None, reason: str = "queue_full"
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class DeadlineExceeded(AuguriumError):
    """The caller's deadline passed before there was an answer."""

    kind = ErrorKind.DEADLINE_EXCEEDED


class Cancelled(AuguriumError):
    """The caller left."""

    kind = ErrorKind.CANCELLED


class Unimplemented(AuguriumError):
    """A part of a protocol that is not implemented."""

    kind = ErrorKind.UNIMPLEMENTED


class InsufficientStorage(AuguriumError):
    """The disk or the memory has no room for this."""

    kind = ErrorKind.INSUFFICIENT_STORAGE


class ModelFailed(AuguriumError):
    """The model itself raised while it ran."""

    kind = ErrorKind.MODEL_FAILED


class Internal(AuguriumError):
    """A fault of ours. Carries no detail: the log has it, under the request id."""

    kind = ErrorKind.INTERNAL


CLASS_BY_KIND: dict[ErrorKind, type[AuguriumError]] = {
    found.kind: found for found in AuguriumError.__subclasses__()
}


def error_of(kind: ErrorKind, message: str) -> AuguriumError:
    """The error of a kind, for what another process raised."""
    return CLASS_BY_KIND[kind](message)


def reworded(error: AuguriumError, message: str) -> AuguriumError:
    """The same error with another message."""
    told = type(error)(message)
    told.__dict__.update(error.__dict__)
    return told
