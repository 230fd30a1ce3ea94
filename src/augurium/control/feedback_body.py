"""The body of a request with feedback, in pieces: received with patience, and decompressed."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request

from augurium.control.errors import HttpRefusal
from augurium.core.errors import InvalidArgument, UnsupportedMedia

# each is one hop to a thread
PIECE_BYTES = 1024 * 1024
PATIENCE_S = 30.0
GZIP = 16 + zlib.MAX_WBITS


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about a megabyte, whatever it is compressed to.

    Raises UnsupportedMedia for an encoding other than gzip, InvalidArgument for damaged content,
    and HttpRefusal 408 when the sender pauses for too long.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for piece in _received(request):
            yield piece
    elif encoding == "gzip":
        stream = _Gzip()
        async for piece in _received(request):
            for plain in stream.take(piece):
                yield plain
        stream.end()
    else:
        raise UnsupportedMedia(
            f"content-encoding {encoding[:32]!r} is not supported here; send gzip, or the body as "
            "it is"
        )


async def _received(request: Request) -> AsyncIterator[bytes]:
    body = request.stream()
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                part = await anext(body, None)
        except TimeoutError as error:
            raise HttpRefusal(
                408, f"the body paused for {PATIENCE_S:g} s and nothing was taken; send it again"
            ) from error
        if part is None:
            break
        parts.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)


class _Gzip:
    """One gzip member, decompressed in bounded pieces."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP)
        self._given = False

    def take(self, piece: bytes) -> Iterator[bytes]:
        self._given = self._given or bool(piece)
        while piece:
            if self._stream.eof:
                raise InvalidArgument("something follows the gzip content; send one member")
            try:
                yield self._stream.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                raise InvalidArgument(f"the body is not gzip: {error}") from error
            piece = self._stream.unconsumed_tail or self._stream.unused_data

    def end(self) -> None:
        if self._given and not self._stream.eof:
            raise InvalidArgument("the gzip content ends too early; send it again")
