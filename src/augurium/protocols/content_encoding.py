"""Compressed HTTP bodies: what a caller sends, and what it asks for.

Source: RFC 9110, sections 8.4 (Content-Encoding) and 12.5.3 (Accept-Encoding).
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache

from msgspec.structs import replace

from augurium.core.errors import UnsupportedMedia
from augurium.protocols.compression import ENCODINGS, compressed, compressor, decompressed
from augurium.protocols.http import HttpRequest, HttpResponse, StreamedResponse
from augurium.protocols.qualities import qualities

# measured: 4 KiB take 26 us, as long as the rest of a request, and go out in one packet or three.
# Most libraries offer gzip without being asked to, so smaller answers stay as they are
LEAST_BYTES = 4096
# larger answers are compressed on a thread
MOST_INLINE_BYTES = 64 * 1024
# and larger bodies are decompressed on one: a thousand times as much may come out
MOST_INLINE_COMPRESSED_BYTES = 4096
MOST_ENCODINGS = 3
IDENTITY = "identity"


async def decoded(request: HttpRequest, encodings: str, max_bytes: int) -> HttpRequest:
    """The request with its body decompressed; `encodings` is its Content-Encoding.

    `max_bytes` is the limit for what is decompressed. Raises UnsupportedMedia, InvalidArgument and
    TooLarge.
    """
    names = [name.strip().lower() for name in encodings.split(",")]
    if len(names) > MOST_ENCODINGS:
        raise UnsupportedMedia(f"{len(names)} content encodings; send at most {MOST_ENCODINGS}")
    body = request.body or b""
    for name in reversed(names):
        if name in (IDENTITY, ""):
            continue
        if len(body) > MOST_INLINE_COMPRESSED_BYTES:
            body = await asyncio.to_thread(_plain, body, name, max_bytes)
        else:
            body = _plain(body, name, max_bytes)
    return replace(request, body=body)


@lru_cache(256)
def accepted_encoding(header: str) -> str | None:
    """The encoding a caller likes best among those there are; None to send it as it is."""
    liked = dict(qualities(header))
    other = liked.get("*", 0.0)
    # gzip before deflate where a caller likes both as much
    best = max(ENCODINGS, key=lambda name: liked.get(name, other))
    quality = liked.get(best, other)
    return best if quality > 0 and quality >= liked.get(IDENTITY, 0.0) else None


async def encoded(
    response: HttpResponse | StreamedResponse, encoding: str
) -> HttpResponse | StreamedResponse:
    """The answer compressed, if it is large enough to gain by it."""
    if isinstance(response, StreamedResponse):
        response.headers.extend(_told(encoding))
        return replace(response, chunks=_compressed_pieces(response.chunks, encoding))
    size = len(response.body) + sum(map(len, response.blobs))
    if size < LEAST_BYTES:
        return response
    parts = (response.body, *response.blobs)
    response.headers.extend(_told(encoding))
    if size <= MOST_INLINE_BYTES:
        return replace(response, body=b"".join(compressed(parts, encoding)), blobs=())
    # in pieces: joined they would be there twice
    blobs = await asyncio.to_thread(compressed, parts, encoding)
    return replace(response, body=b"", blobs=blobs)


def _plain(body: bytes | memoryview, encoding: str, max_bytes: int) -> bytes:
    return bytes(decompressed(body, encoding, max_bytes))


async def _compressed_pieces(
    chunks: AsyncGenerator[bytes, None], encoding: str
) -> AsyncGenerator[bytes, None]:
    """Every piece goes out at once: what it says may be waited for."""
    stream = compressor(encoding)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield stream.compress(chunk) + stream.flush(zlib.Z_SYNC_FLUSH)
    yield stream.flush()


def _told(encoding: str) -> tuple[tuple[str, str], ...]:
    return ("content-encoding", encoding), ("vary", "accept-encoding")
