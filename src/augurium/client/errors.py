"""What a refusal, or silence, of a server becomes: the AuguriumError of the same kind."""

import httpx
import msgspec

from augurium.core import errors
from augurium.core.errors import AuguriumError, ErrorKind

# by the kind's name, as it stands on the wire
CLASS_BY_KIND = {kind.value: found for kind, found in errors.CLASS_BY_KIND.items()}
# bodies of the data plane carry a text only, as its protocols demand; a proxy has no kinds either
KIND_BY_STATUS = {
    400: ErrorKind.INVALID_ARGUMENT,
    401: ErrorKind.UNAUTHENTICATED,
    403: ErrorKind.PERMISSION_DENIED,
    404: ErrorKind.NOT_FOUND,
    405: ErrorKind.METHOD_NOT_ALLOWED,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.UNSUPPORTED_MEDIA,
    422: ErrorKind.UNPROCESSABLE,
    429: ErrorKind.RATE_LIMITED,
    499: ErrorKind.CANCELLED,
    501: ErrorKind.UNIMPLEMENTED,
    503: ErrorKind.NOT_READY,
    504: ErrorKind.DEADLINE_EXCEEDED,
    507: ErrorKind.INSUFFICIENT_STORAGE,
}
KIND_HEADER = "augurium-error"
LONGEST_NUMBER = 10


class NoServer(errors.NotReady):
    """Nothing listens at the server's URL."""


class ClientClosed(errors.Cancelled):
    """The client was closed, before this call or while it waited."""

    def __init__(self) -> None:
        super().__init__("the client is closed; make a new one, or close it later")


class _Refusal(msgspec.Struct, frozen=True):
    error: str
    kind: str = ""


def error_of_kind(kind: str, message: str) -> AuguriumError:
    """The error of a kind's name; a kind this client does not know becomes Internal."""
    return CLASS_BY_KIND.get(kind, errors.Internal)(message)


def error_of_response(response: httpx.Response) -> AuguriumError:
    """The error of an unsuccessful answer: by the kind in its body or its headers, else by its
    status.
    """
    error = _told_error(response)
    error.retry_after_s = retry_after_s(response.headers.get("retry-after")) or error.retry_after_s
    return error


def retry_after_s(text: str | None) -> float | None:
    """The seconds of a Retry-After header; None for none, for a date and for what is neither.

    Source: RFC 9110, section 10.2.3. Dates are left aside, because clocks differ.
    """
    text = (text or "").strip()
    short = text.isascii() and text.isdigit() and len(text) < LONGEST_NUMBER
    return float(text) if short else None


def _told_error(response: httpx.Response) -> AuguriumError:
    kind_of_status = response.headers.get(
        KIND_HEADER, KIND_BY_STATUS.get(response.status_code, ErrorKind.INTERNAL)
    )
    try:
        refusal = msgspec.json.decode(response.content, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        request = response.request
        return error_of_kind(
            kind_of_status,
            f"{request.method} {request.url} was answered {response.status_code} without a reason; "
            "is it an Augurium server? Check AUGURIUM_URL",
        )
    return error_of_kind(refusal.kind or kind_of_status, refusal.error)


def error_of_transport(error: httpx.RequestError, url: str, timeout_s: float) -> AuguriumError:
    """The error that no answer at all stands for."""
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return errors.InvalidArgument(
            f"the certificate of {url} is not trusted ({error}); name the authority that signed it "
            "by AUGURIUM_CA, or Client(tls=TlsFiles(ca=...))"
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return NoServer(f"no Augurium server answers at {url}; start one with `augurium serve`")
    if isinstance(error, httpx.TimeoutException):
        return errors.DeadlineExceeded(
            f"{url} did not answer within {timeout_s:g} s; give it more time or look at its log"
        )
    return errors.NotReady(
        f"the connection to {url} broke off ({error}); the server stopped or restarted, try again"
    )
