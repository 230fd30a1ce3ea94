"""Archives: tar, plain or gzipped, and zip, unpacked by an extractor of our own.

What comes out is regular files and folders with plain names and plain modes, or nothing is
accepted: links, devices and names that lead elsewhere are refused, sizes are counted while they
stream.
"""

import gzip
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from augurium.core.errors import Unprocessable
from augurium.importing.archive_target import ArchiveLimits, ArchiveTarget
from augurium.importing.tar_archive import unpack_tar
from augurium.importing.zip_archive import unpack_zip

# what the readers of the standard library raise for content that cannot be
DAMAGE = (
    gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError,
    NotImplementedError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
TAR_MAGIC_OFFSET, TAR_MAGIC = 257, b"ustar"


def unpack(file: Path, folder: Path, limits: ArchiveLimits = ArchiveLimits()) -> None:  # noqa: B008
    """Unpacks `file` into the empty folder `folder`. Blocking.

    Raises Unprocessable for a damaged or unsafe archive and for what is none, TooLarge for too many
    members or bytes. What had been unpacked until then is still in `folder`.
    """
    with file.open("rb") as stream:
        beginning = stream.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
        stream.seek(0)
        target = ArchiveTarget(folder, limits)
        try:
            _unpack(stream, beginning, target)
        except DAMAGE as error:
            raise Unprocessable(f"the archive is damaged: {error}; upload it again") from error


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
            unpack_tar(cast("BinaryIO", plain), target, lambda: stream.tell())
    elif _is_tar(beginning):
        unpack_tar(stream, target, lambda: stream.tell())
    else:
        raise Unprocessable("the file is no archive; expected tar, tar.gz or zip")


def _is_tar(beginning: bytes) -> bool:
    return beginning[TAR_MAGIC_OFFSET:] == TAR_MAGIC
