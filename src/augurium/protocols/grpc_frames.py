"""gRPC over HTTP/2 below the messages: length-prefixed frames, compression, timeouts and status
trailers.

Source: gRPC over HTTP2 specification (PROTOCOL-HTTP2), "Requests" and "Responses"; gRPC
compression (doc/compression.md).
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from typing_extensions import Buffer

from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge, Unimplemented
from augurium.protocols.compression import ENCODINGS, compressed, decompressed
from augurium.protocols.errors_grpc import GRPC_STATUS
from augurium.protocols.errors_http import KIND_HEADER, error_headers, retry_after_s

PREFIX = struct.Struct(">BI")
ACCEPTED_ENCODINGS = ", ".join(("identity", *ENCODINGS))
# larger messages are not copied behind their prefix
SMALL_BYTES = 64 * 1024
# smaller ones get no smaller by much, and every byte of them costs time
LEAST_COMPRESSED_BYTES = 1024
LONGEST_STATUS_TEXT = 1024
# gRFC A6: a client that retries waits so long
PUSHBACK = "grpc-retry-pushback-ms"
ALSO_TRAILERS = frozenset({KIND_HEADER, "retry-after", PUSHBACK})
_UNIT_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


Part = bytes | memoryview


class Pieces(NamedTuple):
    """A large message that was not put together: its bytes follow each other on the wire."""

    parts: Sequence[Part]
    size: int

    def joined(self) -> bytes:
        """The message in one piece."""
        return b"".join(self.parts)


Message = bytes | Pieces


def pieces(parts: Sequence[Part]) -> Pieces:
    """A message of these parts."""
    return Pieces(parts, sum(map(len, parts)))


def answer_encoding(metadata: Mapping[str, str]) -> str | None:
    """How messages of the answer are compressed: as the caller's are, if it takes that."""
    encoding = metadata.get("grpc-encoding")
    if encoding is None or encoding not in ENCODINGS:
        return None
    accepted = metadata.get("grpc-accept-encoding", encoding)
    return encoding if encoding in accepted.replace(" ", "").split(",") else None


def frame(message: Message, encoding: str | None = None) -> list[Part]:
    """One message with its prefix, in as few pieces as need no large copy."""
    if encoding is not None and message_bytes(message) >= LEAST_COMPRESSED_BYTES:
        return _compressed(message, encoding)
    if isinstance(message, Pieces):
        return [PREFIX.pack(0, message.size), *message.parts]
    if len(message) <= SMALL_BYTES:
        return [PREFIX.pack(0, len(message)) + message]
    return [PREFIX.pack(0, len(message)), message]


def message_bytes(message: Message) -> int:
    """The size of a message."""
    return message.size if isinstance(message, Pieces) else len(message)


def _compressed(message: Message, encoding: str) -> list[Part]:
    content = compressed(message.parts if isinstance(message, Pieces) else (message,), encoding)
    size = sum(map(len, content))
    parts: list[Part] = [PREFIX.pack(1, size), *content]
    return parts if size > SMALL_BYTES else [b"".join(parts)]


def unframe(body: bytes | bytearray, max_bytes: int, encoding: str | None = None) -> Buffer:
    """The single message of a unary call's body; a large one is a view of it.

    `encoding` is the call's `grpc-encoding`. Raises InvalidArgument for damaged framing or content,
    Unimplemented for a compression that is not known and TooLarge above `max_bytes`.
    """
    if len(body) < PREFIX.size:
        raise InvalidArgument("the call carries no message")
    flag, length = PREFIX.unpack_from(body)
    if length > max_bytes:
        raise TooLarge(f"the message has {length} bytes; at most {max_bytes} are allowed")
    if length != len(body) - PREFIX.size:
        raise InvalidArgument(
            f"the message says {length} bytes, but {len(body) - PREFIX.size} came with the call"
        )
    if flag:
        return _decompressed(memoryview(body)[PREFIX.size :], flag, encoding, max_bytes)
    return body[PREFIX.size :] if length <= SMALL_BYTES else memoryview(body)[PREFIX.size :]


def _decompressed(content: Buffer, flag: int, encoding: str | None, max_bytes: int) -> Buffer:
    if flag != 1 or encoding in (None, "identity"):
        raise InvalidArgument("the message is marked as compressed, but not how")
    if encoding not in ENCODINGS:
        raise Unimplemented(
            f"message compression '{str(encoding)[:32]}' is not supported; send one of"
            f" {ACCEPTED_ENCODINGS}"
        )
    return decompressed(content, str(encoding), max_bytes)


def timeout_s(text: str) -> float:
    """The `grpc-timeout` header in seconds, such as `100m` for 0.1; raises InvalidArgument."""
    digits, unit = text[:-1], text[-1:]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8 and unit in _UNIT_S):
        raise InvalidArgument(f"grpc-timeout '{text[:32]}' is not valid")
    return int(digits) * _UNIT_S[unit]


def status_trailers(error: AuguriumError) -> tuple[tuple[bytes, bytes], ...]:
    """Status and percent-encoded text of a failed call, its kind, and when to try again."""
    told = error_headers(error.kind, error)
    if "retry-after" in told:
        told[PUSHBACK] = str(max(1, round(retry_after_s(error) * 1000)))
    text = quote(str(error)[:LONGEST_STATUS_TEXT], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return (
        (b"grpc-status", str(int(GRPC_STATUS[error.kind])).encode()),
        (b"grpc-message", text.encode()),
        *((name.encode(), value.encode()) for name, value in told.items() if name in ALSO_TRAILERS),
    )
