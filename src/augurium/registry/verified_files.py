"""Which files were hashed since they last changed, so that nobody hashes them again.

A file counts as unchanged while its device, inode, size, time of modification and time of status
change are what they were when it was hashed. The kernel sets the last of them with every write and
no call can set it to a time of one's choice, so a file that anybody wrote to, replaced, restored or
touched is hashed again.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from augurium.core.errors import Unprocessable
from augurium.core.files import sha256_of_file

# the kernel's clock of files moves in steps of up to 10 ms: two changes in one step look like one
SETTLED_NS = 100_000_000
MAX_RECORD_BYTES = 8192


class Stamp(msgspec.Struct, frozen=True):
    """What is never the same after a file was changed."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


class Verified(msgspec.Struct, frozen=True):
    """A file as it was when its content had this digest."""

    path: str
    digest: str
    stamp: Stamp


class VerifiedFiles:
    """Remembers what was hashed; with a `folder`, together with all processes that share it.

    Of those, one hashes a file while the others wait for it. What cannot be remembered is hashed
    every time. `hashed` counts how often that was needed. May be used from several threads.
    """

    def __init__(
        self, folder: Path | None = None, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.hashed = 0
        self._folder = folder
        self._now_ns = now_ns
        self._known: dict[Path, Verified] = {}
        self._lock = threading.Lock()

    def remember(self, file: Path, digest: str) -> None:
        """The file has just been hashed, and nobody else knew it then."""
        self._keep(file, _verified(file, digest))

    def check(self, file: Path, digest: str) -> None:
        """Hashes the file unless that is known.

        Raises Unprocessable when it is damaged, OSError when it cannot be read.
        """
        found = _verified(file, digest)
        with self._lock:
            if self._known.get(file) == found:
                return
        if self._folder is None:
            self._hash(file, digest)
            return
        with _record(self._folder, digest) as record:
            if record is not None and _read(record) == found:
                self._keep(file, found)
                return
            found_now = self._hash(file, digest)
            if record is not None and found_now is not None:
                _write(record, found_now)

    def forget(self, file: Path) -> None:
        """The file is gone."""
        with self._lock:
            self._known.pop(file, None)

    def sweep(self) -> int:
        """Removes what was noted of files that are gone, and says how many."""
        if self._folder is None or not self._folder.is_dir():
            return 0
        gone = [note for note in self._folder.iterdir() if not _is_of_a_file(note)]
        for note in gone:
            note.unlink(missing_ok=True)
        return len(gone)

    def _hash(self, file: Path, digest: str) -> Verified | None:
        """Hashes; what the file was then, None if it changed so lately that this says nothing."""
        before = _verified(file, digest)
        settled = abs(self._now_ns() - before.stamp.changed_ns) > SETTLED_NS
        self.hashed += 1
        if sha256_of_file(file) != digest:
            raise damaged(digest)
        if not settled or _verified(file, digest) != before:
            return None
        self._keep(file, before)
        return before

    def _keep(self, file: Path, verified: Verified) -> None:
        with self._lock:
            self._known[file] = verified


def damaged(digest: str) -> Unprocessable:
    """The error for content that is not what its name says."""
    return Unprocessable(
        f"the stored content of artifact {digest} is damaged; upload the file again"
    )


def stamp_of(file: Path) -> Stamp:
    """The stamp of a file now. Raises OSError when there is none."""
    found = file.stat()
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _verified(file: Path, digest: str) -> Verified:
    return Verified(str(file), digest, stamp_of(file))


@contextmanager
def _record(folder: Path, digest: str) -> Iterator[int | None]:
    """The note of a digest, for this process alone; None where none can be kept."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(record: int) -> Verified | None:
    try:
        return msgspec.json.decode(os.pread(record, MAX_RECORD_BYTES, 0), type=Verified)
    except (OSError, msgspec.MsgspecError):
        # cut short by a crash or a full disk
        return None


def _write(record: int, verified: Verified) -> None:
    try:
        os.ftruncate(record, 0)
        os.pwrite(record, msgspec.json.encode(verified), 0)
    except OSError:
        # the file is hashed again the next time
        return


def _is_of_a_file(note: Path) -> bool:
    try:
        verified = msgspec.json.decode(note.read_bytes(), type=Verified)
    except (OSError, msgspec.MsgspecError):
        return False
    return Path(verified.path).exists()
