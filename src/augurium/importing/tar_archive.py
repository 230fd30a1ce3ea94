"""Tar archives as a stream: POSIX ustar, with the long names and large sizes of pax and GNU.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic
Tar Format".
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from augurium.core.errors import TooLarge, Unprocessable
from augurium.importing.archive_target import ArchiveTarget

BLOCK_BYTES = 512
CHUNK_BYTES = 1024**2
MAX_EXTENSION_BYTES = 64 * 1024
MAX_SIZE = 2**63 - 1
REGULAR = (b"0", b"\0", b"7")
FOLDER, PAX, PAX_GLOBAL, GNU_LONG_NAME = b"5", b"x", b"g", b"L"
KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"K": "a link with a long target",
}
# keywords of pax that would change what a member is; all others are about dates and owners
REFUSED_KEYWORDS = ("linkpath", "GNU.sparse", "SCHILY.realsize")


class Header(NamedTuple):
    name: str
    kind: bytes
    size: int


class Readable(Protocol):
    """Where a tar comes from."""

    def read(self, size: int, /) -> bytes: ...


def unpack_tar(stream: Readable, target: ArchiveTarget) -> None:
    """Unpacks a tar.

    Raises Unprocessable for damage and for members that are neither file nor folder, TooLarge.
    """
    name: str | None = None
    size: int | None = None
    while (header := _header(stream)) is not None:
        if header.kind in (PAX, PAX_GLOBAL):
            records = _records(_extension(stream, header))
            if header.kind == PAX_GLOBAL and {"path", "size"} & set(records):
                raise Unprocessable("the archive names or measures all its members at once")
            name, size = records.get("path", name), _size_of(records, size)
            continue
        if header.kind == GNU_LONG_NAME:
            name = _text(_extension(stream, header).rstrip(b"\0"))
            continue
        header = Header(name or header.name, header.kind, header.size if size is None else size)
        name = size = None
        _member(stream, header, target)
    _check_end(stream)


def _member(stream: Readable, header: Header, target: ArchiveTarget) -> None:
    if header.kind in REGULAR and not header.name.endswith("/"):
        target.add_file(header.name, _content(stream, header.size))
        _exactly(stream, -header.size % BLOCK_BYTES)
    elif header.kind == FOLDER or header.kind in REGULAR:
        if header.size:
            raise Unprocessable(
                f"the archive's folder {header.name[:100]!r} claims to have content"
            )
        target.add_folder(header.name)
    else:
        kind = KINDS.get(header.kind, f"of the unknown kind {header.kind!r}")
        raise Unprocessable(
            f"the archive's member {header.name[:100]!r} is {kind}; only files and folders are "
            "accepted"
        )


def _header(stream: Readable) -> Header | None:
    """The next header; None at the end, which is a block of zeros."""
    block = _exactly(stream, BLOCK_BYTES)
    if not any(block):
        return None
    claimed = _number(block[148:156])
    # the checksum counts its own field as blanks
    if claimed != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        raise Unprocessable("the archive is damaged: a header has a wrong checksum")
    name, prefix = _text(_field(block[:100])), ""
    if block[257:263] == b"ustar\0":
        prefix = _text(_field(block[345:500]))
    return Header(f"{prefix}/{name}" if prefix else name, block[156:157], _number(block[124:136]))


def _extension(stream: Readable, header: Header) -> bytes:
    if header.size > MAX_EXTENSION_BYTES:
        raise TooLarge(f"the archive describes a member with {header.size} bytes")
    content = _exactly(stream, header.size)
    _exactly(stream, -header.size % BLOCK_BYTES)
    return content


def _records(content: bytes) -> dict[str, str]:
    """Records of pax: `LENGTH KEYWORD=VALUE` and a line break, the length counting all of it."""
    records: dict[str, str] = {}
    while content:
        digits, blank, _ = content.partition(b" ")
        length = int(digits) if blank and digits.isdigit() and len(digits) < 7 else 0
        record, content = content[:length], content[length:]
        keyword, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n") or len(record) != length:
            raise Unprocessable("the archive is damaged: a pax record cannot be read")
        name = _text(keyword)
        if name.startswith(REFUSED_KEYWORDS):
            raise Unprocessable(
                f"the archive uses {name[:100]!r}; only files and folders are accepted"
            )
        if name in records:
            raise Unprocessable(f"the archive says {name[:100]!r} twice of one member")
        # other values may be anything: only these mean something here
        records[name] = _text(value) if name in ("path", "size") else ""
    return records


def _size_of(records: dict[str, str], otherwise: int | None) -> int | None:
    digits = records.get("size")
    if digits is None:
        return otherwise
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) > MAX_SIZE:
        raise Unprocessable("the archive is damaged: a size cannot be read")
    return int(digits)


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary form for large ones, which begins with a set bit."""
    if field[0] == 0x80:
        value = int.from_bytes(field[1:], "big")
    else:
        digits = field.strip(b" \0")
        if not all(digit in b"01234567" for digit in digits):
            raise Unprocessable("the archive is damaged: a number in a header cannot be read")
        value = int(digits or b"0", 8)
    if value > MAX_SIZE:
        raise Unprocessable("the archive is damaged: a size that no file can have")
    return value


def _field(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unprocessable("the archive holds a name that is not UTF-8") from error


def _content(stream: Readable, size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise Unprocessable("the archive ends in the middle of a member; upload it again")
        size -= len(chunk)
        yield chunk


def _exactly(stream: Readable, size: int) -> bytes:
    return b"".join(_content(stream, size))


def _check_end(stream: Readable) -> None:
    """What follows the end must be padding: another reader might see more members there."""
    while chunk := stream.read(CHUNK_BYTES):
        if any(chunk):
            raise Unprocessable("the archive goes on after its end")
