"""Which files were hashed since they last changed, so that nobody hashes them again."""

import threading
from pathlib import Path

from augurium.core.errors import Unprocessable
from augurium.core.files import sha256_of_file

Stamp = tuple[int, int, int]


class VerifiedFiles:
    """Remembers a file's inode, size and time of change. May be used from several threads."""

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp] = {}
        self._lock = threading.Lock()

    def remember(self, file: Path) -> None:
        """The file has just been hashed."""
        stamp = _stamp(file)
        with self._lock:
            self._stamps[file] = stamp

    def check(self, file: Path, digest: str) -> None:
        """Hashes the file unless that is known. Raises Unprocessable when it is damaged."""
        stamp = _stamp(file)
        with self._lock:
            if self._stamps.get(file) == stamp:
                return
        if sha256_of_file(file) != digest:
            raise damaged(digest)
        with self._lock:
            self._stamps[file] = stamp

    def forget(self, file: Path) -> None:
        """The file is gone."""
        with self._lock:
            self._stamps.pop(file, None)


def damaged(digest: str) -> Unprocessable:
    """The error for content that is not what its name says."""
    return Unprocessable(
        f"the stored content of artifact {digest} is damaged; upload the file again"
    )


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
