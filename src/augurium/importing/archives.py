"""Archives: tar, plain or gzipped, and zip, unpacked by an extractor of our own.

What comes out is regular files and folders with plain names and plain modes, or nothing is
accepted: links, devices and names that lead elsewhere are refused, sizes are counted while they
stream.
"""

import errno
import gzip
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from augurium.core.errors import InsufficientStorage, Unprocessable
from augurium.importing.archive_target import ArchiveLimits, ArchiveTarget
from augurium.importing.tar_archive import unpack_tar
from augurium.importing.zip_archive import unpack_zip

# what the readers of the standard library raise for content that cannot be
DAMAGE = (
    gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError,
    NotImplementedError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
TAR_MAGIC_OFFSET, TAR_MAGIC = 257, b"ustar"


def unpack(file: Path, folder: Path, limits: ArchiveLimits = ArchiveLimits()) -> None:  # noqa: B008
    """Unpacks `file` into the empty folder `folder`. Blocking.

    Raises Unprocessable for a damaged or unsafe archive and for what is none, TooLarge for too many
    members or bytes, InsufficientStorage when the disk is full. What had been unpacked until then
    is still in `folder`.
    """
    with file.open("rb") as stream:
        beginning = stream.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
        stream.seek(0)
        target = ArchiveTarget(folder, limits)
        try:
            _unpack(stream, beginning, target)
        except DAMAGE as error:
            raise Unprocessable(f"the archive is damaged: {error}; upload it again") from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise InsufficientStorage(
                f"the archive cannot be unpacked: {error.strerror}; free some space on the "
                "server's disk and register the model again"
            ) from error


def is_archive(file: Path) -> bool:
    """Whether a file begins like an archive that `unpack` takes."""
    with file.open("rb") as stream:
        beginning = stream.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
    return _is_tar(beginning) or beginning.startswith((GZIP_MAGIC, *ZIP_MAGIC))


def _unpack(stream: BinaryIO, beginning: bytes, target: ArchiveTarget) -> None:
    if beginning.startswith(ZIP_MAGIC):
        unpack_zip(stream, target)
    elif beginning.startswith(GZIP_MAGIC):
        with gzip.GzipFile(fileobj=stream) as plain:
            unpack_tar(_Measured(plain, stream, target), target)
    elif _is_tar(beginning):
        unpack_tar(stream, target)
    else:
        raise Unprocessable("the file is no archive; expected tar, tar.gz or zip")


def _is_tar(beginning: bytes) -> bool:
    return beginning[TAR_MAGIC_OFFSET:] == TAR_MAGIC


class _Measured:
    """What comes out of a compressed file, all of it: also what no member of the archive is."""

    def __init__(self, plain: gzip.GzipFile, packed: BinaryIO, target: ArchiveTarget) -> None:
        self._plain = plain
        self._packed = packed
        self._target = target
        self._bytes = 0

    def read(self, size: int, /) -> bytes:
        content = self._plain.read(size)
        self._bytes += len(content)
        self._target.check_ratio(self._bytes, self._packed.tell())
        return content
