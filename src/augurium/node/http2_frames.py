"""Frames of HTTP/2: their numbers, and how they are written.

Source: RFC 9113 (HTTP/2), sections 4 and 6; RFC 7541 (HPACK), section 6.
"""

import struct
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
DEFAULT_WINDOW = 65_535
LARGEST_WINDOW = 2**31 - 1
DEFAULT_FRAME_BYTES = 16_384
LARGEST_FRAME_BYTES = 2**24 - 1

# length (24 bits) and type (8), flags, stream
head = struct.Struct(">IBI")
setting = struct.Struct(">HI")
number = struct.Struct(">I")
_goaway = struct.Struct(">II")


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


class Code(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Setting(IntEnum):
    """Settings (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return head.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(setting.pack(name, value) for name, value in values.items())
    return frame(Kind.SETTINGS, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, number.pack(increment))


def reset(stream: int, code: Code) -> bytes:
    """A RST_STREAM frame."""
    return frame(Kind.RST_STREAM, 0, stream, number.pack(code))


def goaway(last_stream: int, code: Code, text: str = "") -> bytes:
    """A GOAWAY frame; streams above `last_stream` were not looked at."""
    return frame(Kind.GOAWAY, 0, 0, _goaway.pack(last_stream, code) + text.encode())


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that neither side remembers, without Huffman coding.

    Nothing of an answer is ever indexed: its blocks are the same bytes for every caller, so the
    usual ones are made once.
    """
    return b"\0" + _text(name) + _text(value)


def _text(content: bytes) -> bytes:
    """A string literal: its length in 7 bits and, if that is too small, groups of 7 bits."""
    length = len(content)
    if length < 127:
        return bytes([length]) + content
    length -= 127
    coded = bytearray([127])
    while length >= 128:
        coded.append(length & 127 | 128)
        length >>= 7
    coded.append(length)
    return bytes(coded) + content
