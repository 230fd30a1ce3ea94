"""gRPC over HTTP/2 below the messages: length-prefixed frames, timeouts and status trailers.

Source: gRPC over HTTP2 specification (PROTOCOL-HTTP2), "Requests" and "Responses".
"""

import struct
from urllib.parse import quote

from augurium.core.errors import AuguriumError, Internal, InvalidArgument, TooLarge, Unimplemented
from augurium.protocols.errors_grpc import GRPC_STATUS

_prefix = struct.Struct(">BI")
_UNIT_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
LONGEST_STATUS_TEXT = 1024

OK_TRAILERS = ((b"grpc-status", b"0"),)


def frame(message: bytes) -> bytes:
    """One uncompressed message with its prefix."""
    return _prefix.pack(0, len(message)) + message


def unframe(body: bytes, max_bytes: int) -> bytes:
    """The single message of a unary call's body.

    Raises InvalidArgument for damaged framing, Unimplemented for compression and TooLarge above
    `max_bytes`.
    """
    if len(body) < _prefix.size:
        raise InvalidArgument("the call carries no message")
    compressed, length = _prefix.unpack_from(body)
    if compressed:
        raise Unimplemented("message compression is not supported; send identity")
    if length > max_bytes:
        raise TooLarge(f"the message has {length} bytes; at most {max_bytes} are allowed")
    if length != len(body) - _prefix.size:
        raise Internal(
            f"the message says {length} bytes, but {len(body) - _prefix.size} came with the call"
        )
    return body[_prefix.size :]


def timeout_s(text: str) -> float:
    """The `grpc-timeout` header in seconds, such as `100m` for 0.1; raises InvalidArgument."""
    digits, unit = text[:-1], text[-1:]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8 and unit in _UNIT_S):
        raise InvalidArgument(f"grpc-timeout '{text[:32]}' is not valid")
    return int(digits) * _UNIT_S[unit]


def status_trailers(error: AuguriumError) -> tuple[tuple[bytes, bytes], ...]:
    """Status and percent-encoded text of a failed call."""
    text = quote(str(error)[:LONGEST_STATUS_TEXT], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return (
        (b"grpc-status", str(int(GRPC_STATUS[error.kind])).encode()),
        (b"grpc-message", text.encode()),
    )
