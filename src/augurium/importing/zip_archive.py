"""Zip archives: members as the central directory lists them, held against their own headers.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
"""

import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from augurium.core.errors import Unprocessable
from augurium.importing.archive_target import ArchiveTarget

CHUNK_BYTES = 1024**2
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# signature, version, flags, method, time, date, CRC, sizes packed and plain, lengths of name, extra
LOCAL = struct.Struct("<4sHHHHHIIIHH")
LOCAL_SIGNATURE = b"PK\x03\x04"
ENCRYPTED, SIZES_FOLLOW, UTF8 = 0x1, 0x8, 0x800
ELSEWHERE = 0xFFFFFFFF
# the end record, its count of entries, and how far from the end it may stand
END_SIGNATURE, END_COUNT, END_DISTANCE = b"PK\x05\x06", struct.Struct("<H"), 22 + 65_535
ZIP64_END_SIGNATURE, ZIP64_END_COUNT = b"PK\x06\x06", struct.Struct("<Q")


def unpack_zip(stream: BinaryIO, target: ArchiveTarget) -> None:
    """Unpacks a zip.

    Raises Unprocessable for damage, encryption, members that are neither file nor folder, overlap,
    or are described in two ways; TooLarge.
    """
    target.check_count(_announced(stream))
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        target.check_count(len(members))
        _check_apart(members, archive.start_dir)
        consumed = 0
        for member in members:
            _check(member, stream)
            consumed += member.compress_size
            if member.orig_filename.endswith("/"):
                target.add_folder(member.orig_filename)
            else:
                content = _content(archive, member)
                target.add_file(member.orig_filename, content, consumed)


def _announced(stream: BinaryIO) -> int:
    """How many members the archive says it has, before a list of them is made."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - END_DISTANCE - 1024))
    tail = stream.read()
    stream.seek(0)
    found = [0]
    for signature, field, offset in (
        (END_SIGNATURE, END_COUNT, 10),
        (ZIP64_END_SIGNATURE, ZIP64_END_COUNT, 32),
    ):
        position = tail.rfind(signature)
        if position >= 0 and position + offset + field.size <= len(tail):
            (count,) = field.unpack_from(tail, position + offset)
            # 65 535 stands for: see the other record
            found.append(0 if field is END_COUNT and count == 0xFFFF else count)
    return max(found)


def _check_apart(members: list[zipfile.ZipInfo], end: int) -> None:
    """Members that share bytes unpack to far more than the archive holds."""
    position = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < position:
            raise Unprocessable("members of the archive overlap")
        position = member.header_offset + LOCAL.size + member.compress_size
    if position > end:
        raise Unprocessable("members of the archive overlap its directory")


def _check(member: zipfile.ZipInfo, stream: BinaryIO) -> None:
    name = member.orig_filename
    shown = repr(name[:100])
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Unprocessable(
            f"the archive's member {shown} is a link or a device; only files and folders are "
            "accepted"
        )
    if member.flag_bits & ENCRYPTED or member.compress_type not in METHODS:
        raise Unprocessable(
            f"the archive's member {shown} is encrypted or packed in a way that is not read here; "
            "expected deflate or no compression"
        )
    if name.endswith("/") and member.file_size:
        raise Unprocessable(f"the archive's folder {shown} claims a content")
    if not _agrees(member, stream):
        raise Unprocessable(
            f"the archive describes its member {shown} in two different ways; make it again"
        )


def _agrees(member: zipfile.ZipInfo, stream: BinaryIO) -> bool:
    """Whether a member's own header says what the directory says."""
    stream.seek(member.header_offset)
    header = stream.read(LOCAL.size)
    if len(header) < LOCAL.size:
        return False
    signature, _, flags, method, _, _, crc, packed, plain, name_bytes, _ = LOCAL.unpack(header)
    encoding = "utf-8" if flags & UTF8 else "cp437"
    try:
        name = stream.read(name_bytes).decode(encoding)
    except UnicodeDecodeError:
        return False
    if (signature, flags, method) != (LOCAL_SIGNATURE, member.flag_bits, member.compress_type):
        return False
    # a header written before its content may leave the numbers to what follows it
    unknown = (0, ELSEWHERE) if flags & SIZES_FOLLOW else (ELSEWHERE,)
    sizes = ((packed, member.compress_size), (plain, member.file_size))
    agree = all(said in (*unknown, known) for said, known in sizes)
    same_crc = crc == member.CRC or (flags & SIZES_FOLLOW and not crc)
    return bool(agree and same_crc and name == member.orig_filename)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(member) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
