"""gRPC messages with their prefixes, compressed and not."""

import gzip
import random
import zlib

import pytest

from augurium.core.errors import AuguriumError, ErrorKind, InvalidArgument
from augurium.protocols.grpc_frames import (
    SMALL_BYTES,
    Message,
    Pieces,
    answer_encoding,
    frame,
    pieces,
    unframe,
)

LARGE = bytes(range(256)) * 1024
# larger than what is compressed at once, also afterwards
NOISE = random.Random(0).randbytes(700_000)
MOST = 10 * len(LARGE)


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"abc",
        b"x" * SMALL_BYTES,
        LARGE,
        NOISE,
        pieces([b"head", LARGE, memoryview(b"z")]),
        pieces([b"", NOISE, NOISE]),
    ],
    ids=["empty", "small", "at the limit", "large", "noise", "pieces", "pieces of noise"],
)
def test_a_message_comes_back(message: Message, encoding: str | None) -> None:
    body = b"".join(frame(message, encoding))
    expected = message.joined() if isinstance(message, Pieces) else message

    assert bytes(unframe(body, MOST, encoding)) == expected
    assert bytes(unframe(bytearray(body), MOST, encoding)) == expected
    assert len(body) <= len(expected) + 1024


def test_a_large_message_is_not_copied() -> None:
    assert frame(LARGE)[1] is LARGE
    assert frame(pieces([LARGE, b"x"]))[1] is LARGE
    body = bytearray(b"".join(frame(LARGE)))
    assert memoryview(unframe(body, MOST)).obj is body


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (b"", None, ErrorKind.INVALID_ARGUMENT),
        (b"\0\0\0", None, ErrorKind.INVALID_ARGUMENT),
        (b"\1\0\0\0\1a", None, ErrorKind.INVALID_ARGUMENT),
        (b"\1\0\0\0\1a", "identity", ErrorKind.INVALID_ARGUMENT),
        (b"\1\0\0\0\1a", "gzip", ErrorKind.INVALID_ARGUMENT),
        (b"\1\0\0\0\1a", "snappy", ErrorKind.UNIMPLEMENTED),
        (b"\2\0\0\0\1a", "gzip", ErrorKind.INVALID_ARGUMENT),
        (b"\0\0\0\0\x0b" + b"a" * 11, None, ErrorKind.TOO_LARGE),
        (b"\0\0\0\0\5abc", None, ErrorKind.INVALID_ARGUMENT),
        (b"\0\0\0\0\1abc", None, ErrorKind.INVALID_ARGUMENT),
    ],
)
def test_damaged_frames_are_refused(body: bytes, encoding: str | None, kind: ErrorKind) -> None:
    with pytest.raises(AuguriumError) as caught:
        unframe(body, 10, encoding)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("content", "encoding", "kind"),
    [
        (gzip.compress(bytes(1_000_000), mtime=0), "gzip", ErrorKind.TOO_LARGE),
        (zlib.compress(bytes(1_000_000)), "deflate", ErrorKind.TOO_LARGE),
        (gzip.compress(b"abc", mtime=0)[:-1], "gzip", ErrorKind.INVALID_ARGUMENT),
        (gzip.compress(b"abc", mtime=0) + b"x", "gzip", ErrorKind.INVALID_ARGUMENT),
        (zlib.compress(b"abc"), "gzip", ErrorKind.INVALID_ARGUMENT),
        (b"", "gzip", ErrorKind.INVALID_ARGUMENT),
    ],
)
def test_compressed_messages_that_are_none_or_too_large_are_refused(
    content: bytes, encoding: str, kind: ErrorKind
) -> None:
    body = b"\1" + len(content).to_bytes(4) + content
    with pytest.raises(AuguriumError) as caught:
        unframe(body, 100_000, encoding)
    assert caught.value.kind is kind


def test_what_follows_the_content_is_counted_to_its_end() -> None:
    content = gzip.compress(b"abc", mtime=0) + bytes(600_000)
    body = b"\1" + len(content).to_bytes(4) + content
    with pytest.raises(InvalidArgument, match="600000 bytes follow the gzip content"):
        unframe(body, MOST, "gzip")


@pytest.mark.parametrize(
    ("metadata", "encoding"),
    [
        ({}, None),
        ({"grpc-accept-encoding": "gzip"}, None),
        ({"grpc-encoding": "gzip"}, "gzip"),
        ({"grpc-encoding": "gzip", "grpc-accept-encoding": "identity, deflate, gzip"}, "gzip"),
        ({"grpc-encoding": "gzip", "grpc-accept-encoding": "identity"}, None),
        ({"grpc-encoding": "snappy"}, None),
    ],
)
def test_answers_are_compressed_as_the_request_is(
    metadata: dict[str, str], encoding: str | None
) -> None:
    assert answer_encoding(metadata) == encoding
