"""Where a stream becomes a file: written, hashed and synced under a temporary name."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from augurium.core.errors import InsufficientStorage, NotFound, NotReady, TooLarge
from augurium.core.files import CHUNK_BYTES, sync_folder
from augurium.core.identifiers import new_id
from augurium.registry.artifacts import Progress
from augurium.registry.records import Artifact

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset(
    {errno.EACCES, errno.EEXIST, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)


class StagedFile(NamedTuple):
    """A complete file under its temporary name."""

    path: Path
    artifact: Artifact


@contextmanager
def staged(folder: Path, chunks: Iterable[bytes], max_bytes: int) -> Iterator[StagedFile]:
    """Writes a stream to a synced file in `folder`, and removes it unless it was moved away.

    Raises TooLarge above `max_bytes`, InsufficientStorage when the disk is full, NotReady when it
    cannot be written, and whatever `chunks` raises.
    """
    path = folder / new_id()
    try:
        with disk_errors():
            folder.mkdir(exist_ok=True)
            artifact = _write(path, chunks, max_bytes)
        yield StagedFile(path, artifact)
    finally:
        # a disk that refuses this too must not hide why the stream ended; `sweep` comes by later
        with suppress(OSError):
            path.unlink(missing_ok=True)


def sweep(folder: Path) -> int:
    """Removes what a crash left, and says how many files; no stream may be open meanwhile."""
    with disk_errors():
        leftovers = list(folder.iterdir()) if folder.is_dir() else []
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


def content_of(file: Path, progress: Progress | None = None) -> Iterator[bytes]:
    """A file in pieces. Raises NotFound when there is none."""
    try:
        with file.open("rb") as stream:
            size_bytes, read_bytes = os.fstat(stream.fileno()).st_size, 0
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
                read_bytes += len(chunk)
                if progress is not None:
                    progress("storing", min(1.0, read_bytes / max(size_bytes, 1)))
    except FileNotFoundError as error:
        raise NotFound(f"file '{file.name}' does not exist") from error


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raises TooLarge above `max_bytes`."""
    if size_bytes > max_bytes:
        raise TooLarge(
            f"the file has more than {max_bytes} bytes, which is the limit; "
            "send a smaller one or raise the limit"
        )


def sync_folders(folder: Path, root: Path) -> None:
    """Makes new names in `folder`, and above it up to `root`, survive a power loss."""
    with disk_errors():
        while folder != root:
            sync_folder(folder)
            folder = folder.parent
        sync_folder(root)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Translates the errors of a disk that is full, read-only, forbidden or broken."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room() from error
        if error.errno in _REFUSED:
            raise not_writable(error.strerror or type(error).__name__) from error
        raise


def no_room() -> InsufficientStorage:
    return InsufficientStorage(
        "the disk of the artifact store is full; nothing was stored; free some space and try again"
    )


def not_writable(reason: str) -> NotReady:
    return NotReady(
        f"the artifact store cannot be written: {reason}; check its folder, owner and file system"
    )


def _write(path: Path, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
    digest = hashlib.sha256()
    size = 0
    with path.open("xb") as stream:
        for chunk in chunks:
            size += len(chunk)
            check_size(size, max_bytes)
            digest.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return Artifact(digest.hexdigest(), size)
