"""How large an Arrow stream becomes when it is read: told before anything is decompressed.

Source: Apache Arrow, "Columnar Format", sections "Encapsulated message format" and "Compression";
the tables are `Message.fbs`, whose encoding is that of FlatBuffers.
"""

import struct
from collections.abc import Iterator
from typing import Any

from pyarrow import ipc

from augurium.core.errors import InvalidArgument, TooLarge

RECORD_BATCH, DICTIONARY = "record batch", "dictionary"
# the places of fields in their tables
MESSAGE_HEADER, DICTIONARY_DATA, BATCH_BUFFERS, BATCH_COMPRESSION = 2, 1, 2, 3
NOT_COMPRESSED = -1
BUFFER_BYTES = 16

_offset = struct.Struct("<I")
_signed = struct.Struct("<i")
_short = struct.Struct("<H")
_long = struct.Struct("<q")


def size_when_read(content: Any, limit: int) -> int:
    """How many bytes the buffers of a stream have when they are read.

    Raises TooLarge above `limit`, and InvalidArgument for messages that cannot be understood.
    """
    size = 0
    for message in _messages(ipc.MessageReader.open_stream(content)):
        if message.type in (RECORD_BATCH, DICTIONARY):
            try:
                size += _size(message)
            except (struct.error, IndexError, ValueError) as error:
                raise InvalidArgument(
                    f"a {message.type} message of the Arrow stream is damaged: {error}"
                ) from error
        if size > limit:
            raise TooLarge(
                f"the Arrow stream is larger than {limit} bytes when it is decompressed; send"
                " fewer rows at a time"
            )
    return size


def _messages(reader: Any) -> Iterator[Any]:
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _size(message: Any) -> int:
    """The bytes of a message's body; those of its buffers where they are compressed."""
    content = memoryview(message.metadata)
    body = memoryview(message.body)
    table = _table(content, _field(content, _table(content, 0), MESSAGE_HEADER))
    if message.type == DICTIONARY:
        table = _table(content, _field(content, table, DICTIONARY_DATA))
    buffers = _field(content, table, BATCH_BUFFERS)
    if not _field(content, table, BATCH_COMPRESSION) or not buffers:
        return body.nbytes
    start = buffers + _offset.unpack_from(content, buffers)[0]
    size = 0
    for number in range(_offset.unpack_from(content, start)[0]):
        place = start + _offset.size + number * BUFFER_BYTES
        offset, length = struct.unpack_from("<qq", content, place)
        if length:
            whole = _long.unpack_from(body, offset)[0]
            size += length if whole == NOT_COMPRESSED else max(whole, 0)
    return size


def _table(content: memoryview, place: int) -> int:
    """Where the table lies that the offset at `place` leads to."""
    return int(place + _offset.unpack_from(content, place)[0])


def _field(content: memoryview, table: int, number: int) -> int:
    """Where a field of a table lies; 0 if it is not there."""
    entries = table - _signed.unpack_from(content, table)[0]
    entry = 4 + 2 * number
    if entry >= _short.unpack_from(content, entries)[0]:
        return 0
    offset = _short.unpack_from(content, entries + entry)[0]
    return table + int(offset) if offset else 0
