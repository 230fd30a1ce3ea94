"""HTTP as the protocols see it: a request and a response, whatever host carries them."""

from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from augurium.core.errors import AuguriumError
from augurium.protocols.errors_http import HTTP_STATUS, error_headers

Headers = list[tuple[str, str]]
JSON_TYPE = ("content-type", "application/json")
# 1 to 20 ms; to hand it over costs 0.1
MOST_READ_INLINE_BYTES = 256 * 1024
OCTET_TYPE = ("content-type", "application/octet-stream")

_encoder = msgspec.json.Encoder()


# structs of C, because each request makes them: a third of the time that named tuples take
class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """`body` is None when it was above the limit and was thrown away; a large one of bytes is a
    view of the buffer it was received into. `path` is percent-decoded by the host, once; `header`
    looks a header up by its lower-case name. `certificate_names` are those of the caller's
    certificate, if it showed one that is trusted; `query` follows the `?`.
    """

    method: str
    path: str
    header: Callable[[str], str | None]
    body: bytes | memoryview | None
    certificate_names: tuple[str, ...] = ()
    query: str = ""

    @property
    def is_large(self) -> bool:
        """Whether reading the body takes so long that it is done on a thread: others are answered
        meanwhile, all but for the one call in which the JSON decoder keeps the interpreter to
        itself. Measured: 58 MiB of CSV take 4.8 s, JSON 1.7 s and more.
        """
        return self.body is not None and len(self.body) > MOST_READ_INLINE_BYTES

    @property
    def content(self) -> bytes:
        """The body as bytes, for those who read it as text: a copy where it is a view."""
        body = self.body
        return body if isinstance(body, bytes) else bytes(body or b"")


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """Status, headers and the whole body: `body`, and behind it the bytes of `blobs`.

    Blobs are sent as they are, without being joined; only large ones are worth it.
    """

    status: int
    headers: Headers
    body: bytes
    blobs: Sequence[bytes | memoryview] = ()


class StreamedResponse(msgspec.Struct, frozen=True):
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
