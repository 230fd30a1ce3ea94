"""Compressed bodies, both ways."""

import gzip
import zlib
from collections.abc import AsyncGenerator

import pytest

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.protocols.content_encoding import (
    LEAST_BYTES,
    MOST_INLINE_BYTES,
    accepted_encoding,
    decoded,
    encoded,
)
from augurium.protocols.http import HttpRequest, HttpResponse, StreamedResponse

LIMIT = 1_000_000


def request(body: bytes) -> HttpRequest:
    headers: dict[str, str] = {}
    return HttpRequest("POST", "/", headers.get, body)


@pytest.mark.parametrize("size", [1, 1000, MOST_INLINE_BYTES * 3])
@pytest.mark.parametrize(
    ("encodings", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip, deflate", lambda body: zlib.compress(gzip.compress(body))),
    ],
)
async def test_a_body_is_read_as_it_was_before_it_was_compressed(
    encodings: str, compress: object, size: int
) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    found = await decoded(request(compress(body)), encodings, LIMIT)  # type: ignore[operator]

    assert found.body == body


@pytest.mark.parametrize(
    ("body", "encodings", "kind"),
    [
        (b"{}", "br", ErrorKind.UNSUPPORTED_MEDIA),
        (b"{}", "gzip, gzip, gzip, gzip", ErrorKind.UNSUPPORTED_MEDIA),
        (b"{}", "gzip", ErrorKind.INVALID_ARGUMENT),
        (gzip.compress(b"{}")[:-4], "gzip", ErrorKind.INVALID_ARGUMENT),
        (gzip.compress(b"{}") + b"more", "gzip", ErrorKind.INVALID_ARGUMENT),
        (gzip.compress(b"{}"), "deflate", ErrorKind.INVALID_ARGUMENT),
        (gzip.compress(bytes(LIMIT + 1)), "gzip", ErrorKind.TOO_LARGE),
        (zlib.compress(bytes(100 * LIMIT)), "deflate", ErrorKind.TOO_LARGE),
        (gzip.compress(gzip.compress(bytes(100 * LIMIT))), "gzip, gzip", ErrorKind.TOO_LARGE),
    ],
    ids=[
        "unknown", "too many", "no gzip", "cut off", "and more", "another", "large", "deflate bomb",
        "bomb in a bomb",
    ],
)  # fmt: skip
async def test_what_cannot_be_decompressed_is_told(
    body: bytes, encodings: str, kind: ErrorKind
) -> None:
    with pytest.raises(AuguriumError) as caught:
        await decoded(request(body), encodings, LIMIT)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("deflate;q=0.2, gzip;q=0", "deflate"),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "deflate"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0, *", "gzip"),
        ("br", None),
        ("", None),
        ("gzip;q=x", None),
    ],
)
def test_the_best_liked_encoding_is_chosen(header: str, encoding: str | None) -> None:
    assert accepted_encoding(header) == encoding


@pytest.mark.parametrize("size", [LEAST_BYTES, MOST_INLINE_BYTES * 3])
@pytest.mark.parametrize(("encoding", "window"), [("gzip", 31), ("deflate", 15)])
async def test_a_large_answer_is_compressed_with_its_blobs(
    encoding: str, window: int, size: int
) -> None:
    answer = HttpResponse(200, [("a", "b")], b"head", (b"x" * size, memoryview(b"tail")))
    found = await encoded(answer, encoding)

    assert isinstance(found, HttpResponse)
    compressed = b"".join((found.body, *found.blobs))
    assert zlib.decompress(compressed, window) == b"head" + b"x" * size + b"tail"
    assert dict(found.headers) == {
        "a": "b",
        "content-encoding": encoding,
        "vary": "accept-encoding",
    }


async def test_a_small_answer_stays_as_it_is() -> None:
    answer = HttpResponse(200, [], b"x" * (LEAST_BYTES - 1))

    assert await encoded(answer, "gzip") == answer
    assert not answer.headers


async def test_every_piece_of_a_streamed_answer_goes_out_at_once() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for word in (b"one", b"two", b"three"):
            yield word

    answer = await encoded(StreamedResponse(200, [], chunks()), "gzip")
    assert isinstance(answer, StreamedResponse)
    stream = zlib.decompressobj(31)
    found = [stream.decompress(piece) async for piece in answer.chunks]

    assert found == [b"one", b"two", b"three", b""]
    assert stream.eof
