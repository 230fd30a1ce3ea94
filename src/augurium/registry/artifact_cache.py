"""Copies of remote artifacts on this node: whole, verified, and no more than so many bytes."""

import fcntl
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from augurium.core.errors import InsufficientStorage
from augurium.core.files import sha256_of_file, sync_folder, write_atomically
from augurium.core.identifiers import new_id
from augurium.registry.artifact_names import digest_of, is_digest, key_of
from augurium.registry.staging import NO_ROOM, disk_errors, sweep

NANOSECONDS = 1_000_000_000
READ_ONLY = stat.S_IRUSR | stat.S_IRGRP


class ArtifactCache:
    """A folder that several threads and processes may share.

    Files lie at `sha256/ab/<digest>`; what is being fetched grows in `staging` and counts as well.
    A file's time of modification is its seal: a number made of its digest, set after it was hashed.
    A file without its seal was written by somebody else and is hashed again before it is used; one
    that has it is never touched, for engines notice that and hash it again. The last use of a file
    is the time of modification of its mark in `used`; the file used longest ago goes first. Never
    dropped are pinned files, whose digests stand in `pins.json`, and leased ones, which somebody
    has locked.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder.absolute()
        self._max_bytes = max_bytes
        self.staging = self._folder / "staging"
        self._used = self._folder / "used"
        with disk_errors():
            self.staging.mkdir(parents=True, exist_ok=True)
            self._used.mkdir(exist_ok=True)

    def find(self, digest: str) -> Path | None:
        """The copy, or None; one that is damaged is removed."""
        file = self._folder / key_of(digest)
        with disk_errors():
            try:
                if file.stat().st_mtime_ns != _seal(digest):
                    if sha256_of_file(file) != digest:
                        file.unlink()
                        return None
                    _set_seal(file, digest)
            except FileNotFoundError:
                return None
            self._mark_used(digest)
        return file

    def mended(self, digest: str) -> Path | None:
        """As `find`, whether the copy has its seal or not."""
        file = self._folder / key_of(digest)
        with disk_errors():
            try:
                if sha256_of_file(file) != digest:
                    file.unlink()
            except FileNotFoundError:
                return None
        return self.find(digest)

    @contextmanager
    def hold(self, file: Path) -> Iterator[bool]:
        """Keeps a copy from being dropped while the block runs; False if it was dropped already."""
        try:
            stream = file.open("rb")
        except FileNotFoundError:
            yield False
            return
        with stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            yield _same_file(stream.fileno(), file)

    def pin(self, digests: Collection[str]) -> None:
        """Which copies stay; replaces what was pinned before, and survives a restart."""
        pinned = sorted(filter(is_digest, digests))
        with disk_errors(), self._locked():
            if pinned != self._pinned():
                write_atomically(self._pins, json.dumps(pinned).encode())

    @contextmanager
    def reserved(self, size_bytes: int) -> Iterator[Path]:
        """A file of that size to be filled; it is removed unless it was admitted.

        Raises InsufficientStorage when other copies leave no room, or the disk does.
        """
        file = self.staging / new_id()
        try:
            with disk_errors():
                with self._locked():
                    self._make_room(size_bytes)
                    file.touch(mode=0o600)
                    os.truncate(file, size_bytes)
                self._allocate(file, size_bytes)
            yield file
        finally:
            file.unlink(missing_ok=True)

    def admit(self, staged: Path, digest: str) -> Path:
        """Takes over a synced file whose content was hashed.

        Raises InsufficientStorage when other copies leave no room for it.
        """
        file = self._folder / key_of(digest)
        with disk_errors(), self._locked():
            self._make_room(0)
            staged.chmod(READ_ONLY)
            _set_seal(staged, digest)
            file.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(file)
            self._mark_used(digest)
            sync_folder(file.parent)
        return file

    def drop(self, digest: str) -> None:
        """Removes a copy if there is one; who has it open keeps it."""
        with disk_errors():
            (self._folder / key_of(digest)).unlink(missing_ok=True)
            (self._used / digest).unlink(missing_ok=True)

    def sweep_staging(self) -> int:
        """Removes what a crash left, and says how many; no fetch may run meanwhile."""
        return sweep(self.staging)

    def _mark_used(self, digest: str) -> None:
        mark = self._used / digest
        try:
            os.utime(mark)
        except FileNotFoundError:
            mark.touch(mode=0o600)

    def _used_at(self, copy: tuple[Path, os.stat_result]) -> int:
        """When a copy was used last; before all others if nobody knows."""
        try:
            return (self._used / copy[0].name).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @property
    def _pins(self) -> Path:
        return self._folder / "pins.json"

    def _pinned(self) -> list[str]:
        try:
            found = json.loads(self._pins.read_bytes())
        except (FileNotFoundError, ValueError):
            return []
        return [str(digest) for digest in found] if isinstance(found, list) else []

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _make_room(self, size_bytes: int) -> None:
        copies = list(_sizes((self._folder / "sha256").glob("*/*")))
        used = sum(found.st_size for _, found in copies)
        used += sum(found.st_size for _, found in _sizes(self.staging.iterdir()))
        surplus = used + size_bytes - self._max_bytes
        if surplus <= 0:
            return
        for freed_bytes in self._drop(copies):
            surplus -= freed_bytes
            if surplus <= 0:
                return
        raise InsufficientStorage(
            f"copies of artifacts may take {self._max_bytes} bytes on this node (storage."
            f"cache_bytes), and {surplus} more are needed beside those in use; raise the limit or "
            "undeploy versions"
        )

    def _drop(self, copies: Iterable[tuple[Path, os.stat_result]]) -> Iterator[int]:
        """Drops a copy that is not in use with every step, and says what that freed."""
        pinned = set(self._pinned())
        for file, found in sorted(copies, key=self._used_at):
            if file.name not in pinned and _unlink_unless_held(file):
                (self._used / file.name).unlink(missing_ok=True)
                yield found.st_size

    def _allocate(self, file: Path, size_bytes: int) -> None:
        """Takes the room on the disk; where there is none, copies that are not in use make way."""
        while True:
            try:
                _allocate(file, size_bytes)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                with self._locked():
                    if next(self._drop(_sizes((self._folder / "sha256").glob("*/*"))), 0):
                        continue
                raise InsufficientStorage(
                    f"the disk of this node's copies of artifacts has no room for {size_bytes} "
                    f"bytes more; free some space at {self._folder} or undeploy versions"
                ) from error
            return


def _seal(digest: str) -> int:
    return int(digest[:7], 16) * NANOSECONDS


def _set_seal(file: Path, digest: str) -> None:
    os.utime(file, ns=(_seal(digest), _seal(digest)))


def _same_file(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _sizes(files: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for file in files:
        try:
            yield file, file.stat()
        except FileNotFoundError:
            continue


def _unlink_unless_held(file: Path) -> bool:
    if digest_of(f"sha256/{file.parent.name}/{file.name}") is None:
        return False
    try:
        with file.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _allocate(file: Path, size_bytes: int) -> None:
    # macOS has no posix_fallocate; a full disk shows while the file is filled there
    if size_bytes and hasattr(os, "posix_fallocate"):
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, size_bytes)
