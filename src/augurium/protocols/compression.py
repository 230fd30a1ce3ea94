"""Compressed bodies and messages, both ways: gzip and deflate.

`deflate` is the zlib format, as HTTP and gRPC mean it (RFC 9110, section 8.4.1.2). What a caller
sends is never larger in memory than the limit for what is not compressed.
"""

import zlib
from collections.abc import Iterable, Iterator

from typing_extensions import Buffer

from augurium.core.errors import InvalidArgument, TooLarge, UnsupportedMedia

ENCODINGS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
# fast: the level above costs twice the time for a few percent of numbers as text
LEVEL = 1
SLICE_BYTES = 256 * 1024


def decompressed(content: Buffer, encoding: str, max_bytes: int) -> memoryview:
    """The content in full.

    Raises UnsupportedMedia for an encoding that is not known, InvalidArgument for damaged content
    and TooLarge when there are more than `max_bytes`.
    """
    try:
        stream = zlib.decompressobj(ENCODINGS[encoding])
    except KeyError:
        raise UnsupportedMedia(
            f"content encoding '{encoding[:32]}' is not supported; send one of"
            f" {', '.join(ENCODINGS)} or identity"
        ) from None
    found = bytearray()
    given = 0
    for given, piece in _slices(content):  # noqa: B007 - the last one counts
        try:
            # one byte beyond the limit tells whether there is more
            found += stream.decompress(piece, max_bytes + 1 - len(found))
        except zlib.error as error:
            raise InvalidArgument(f"the content is not {encoding}: {error}") from error
        if len(found) > max_bytes:
            raise TooLarge(f"the content is larger than {max_bytes} bytes when it is decompressed")
        if stream.eof:
            break
    if not stream.eof:
        raise InvalidArgument(f"the {encoding} content ends too early")
    following = len(stream.unused_data) + memoryview(content).nbytes - given
    if following:
        raise InvalidArgument(f"{following} bytes follow the {encoding} content")
    return memoryview(found).toreadonly()


def compressed(parts: Iterable[Buffer], encoding: str) -> list[bytes]:
    """What the parts are together, in a known encoding; in parts again."""
    stream = compressor(encoding)
    pieces = [stream.compress(piece) for part in parts for _, piece in _slices(part)]
    return [piece for piece in (*pieces, stream.flush()) if piece]


def _slices(content: Buffer) -> Iterator[tuple[int, memoryview]]:
    """Piece by piece, each with where it ends: zlib holds what one call gives twice."""
    view = memoryview(content).cast("B")
    for start in range(0, len(view), SLICE_BYTES):
        piece = view[start : start + SLICE_BYTES]
        yield start + len(piece), piece


def compressor(encoding: str) -> "zlib._Compress":
    """Compresses piece by piece; `flush(zlib.Z_SYNC_FLUSH)` brings out what is there."""
    return zlib.compressobj(LEVEL, zlib.DEFLATED, ENCODINGS[encoding])
