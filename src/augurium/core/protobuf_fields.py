"""Fields of a protobuf message, where the library would copy too much.

Source: Protocol Buffers, "Encoding".
"""

from augurium.core.errors import InvalidArgument

# a message of more fields is left to the library, which is faster with many small ones
MOST_FIELDS = 4096
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; every byte but the last has its high bit set."""
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


def split(message: memoryview, tag: int) -> tuple[bytes | memoryview, list[memoryview] | None]:
    """The message without its fields of this tag, and what these hold, as views.

    `tag` is of a repeated field of bytes, below 16. Gives the message as it is, and None, when it
    has too many fields. Raises InvalidArgument for bytes that are no message.
    """
    message = message.cast("B")
    rest: list[memoryview] = []
    found: list[memoryview] = []
    position = kept = 0
    for _ in range(MOST_FIELDS):
        if position == len(message):
            rest.append(message[kept:])
            return b"".join(rest), found
        start = position
        field, position = _varint(message, position)
        kind = field & 7
        if kind == _LENGTH:
            size, position = _varint(message, position)
            stop = position + size
        elif kind == _VARINT:
            _, stop = _varint(message, position)
        elif kind in _FIXED_BYTES:
            stop = position + _FIXED_BYTES[kind]
        else:
            raise _damaged()
        if stop > len(message):
            raise _damaged()
        if field == tag:
            found.append(message[position:stop])
            rest.append(message[kept:start])
            kept = stop
        position = stop
    return message, None


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    raise _damaged()


def _damaged() -> InvalidArgument:
    return InvalidArgument("the message is not a valid protobuf message")
