"""HTTP as the protocols see it: a request and a response, whatever host carries them."""

from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

import msgspec

from augurium.core.errors import AuguriumError
from augurium.protocols.errors_http import HTTP_STATUS, error_headers

Headers = list[tuple[str, str]]
JSON_TYPE = ("content-type", "application/json")
OCTET_TYPE = ("content-type", "application/octet-stream")

_encoder = msgspec.json.Encoder()


class HttpRequest(NamedTuple):
    """`body` is None when it was above the limit and was thrown away. `path` is percent-decoded by
    the host, once; `header` looks a header up by its lower-case name. `certificate_names` are those
    of the caller's certificate, if it showed one that is trusted; `query` follows the `?`.
    """

    method: str
    path: str
    header: Callable[[str], str | None]
    body: bytes | None
    certificate_names: tuple[str, ...] = ()
    query: str = ""


class HttpResponse(NamedTuple):
    """Status, headers and the whole body."""

    status: int
    headers: Headers
    body: bytes


class StreamedResponse(NamedTuple):
    """An answer whose body comes piece by piece; each piece is sent at once.

    What carries it closes `chunks` when the caller leaves. Whoever makes them turns errors into
    pieces: once the status is sent, nothing but the end of the connection can say that more was
    expected.
    """

    status: int
    headers: Headers
    chunks: AsyncGenerator[bytes, None]


def json_response(content: object, status: int = 200) -> HttpResponse:
    """`content` as JSON; NaN becomes null, because JSON has no NaN."""
    return HttpResponse(status, [JSON_TYPE], _encoder.encode(content))


def error_response(error: AuguriumError) -> HttpResponse:
    """`{"error": text}`; its content type has no charset: clients compare it for equality."""
    headers = [JSON_TYPE, *error_headers(error.kind, error).items()]
    return HttpResponse(HTTP_STATUS[error.kind], headers, _encoder.encode({"error": str(error)}))
