"""Artifacts in a folder of this machine, through obstore."""

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from augurium.core.errors import AuguriumError
from augurium.core.files import sha256_of_file
from augurium.registry.artifact_names import ROOT, digest_of, is_digest, key_of, not_stored
from augurium.registry.artifacts import Progress, StoredArtifact
from augurium.registry.records import Artifact
from augurium.registry.staging import (
    NO_ROOM,
    content_of,
    disk_errors,
    no_room,
    not_writable,
    staged,
    sweep,
    sync_folders,
)
from augurium.registry.verified_files import VerifiedFiles, damaged

STAGING = "staging"
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class ObstoreArtifacts:
    """Files under `sha256/ab/<digest>` in `root`, which is created; uploads grow in `staging`.

    A file is renamed into place, complete and synced, over a copy of itself if there is one: that
    needs no conditional write, which some object stores accept and ignore. May be used from several
    threads and processes. Raises NotReady when the disk cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        with disk_errors():
            self._root.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(self._root)
        self._verified = VerifiedFiles()

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        with staged(self._root / STAGING, chunks, max_bytes) as (file, artifact):
            key = key_of(artifact.digest)
            with _store_errors():
                obstore.rename(self._store, f"{STAGING}/{file.name}", key)
            # a collection of unused files may have taken it already; whoever registers looks again
            with disk_errors(), suppress(FileNotFoundError):
                self._verified.remember(self._root / key, artifact.digest)
            sync_folders((self._root / key).parent, self._root)
        return artifact

    def put_file(self, file: Path, progress: Progress | None = None) -> Artifact:
        return self.put(content_of(file, progress), sys.maxsize)

    def contains(self, digest: str) -> bool:
        if not is_digest(digest):
            return False
        with _store_errors():
            try:
                obstore.head(self._store, key_of(digest))
            except FileNotFoundError:
                return False
        return True

    def local_path(self, digest: str, progress: Progress | None = None) -> Path:
        if not self.contains(digest):
            raise not_stored(digest)
        return self._root / key_of(digest)

    @contextmanager
    def lease(self, digest: str, progress: Progress | None = None) -> Iterator[Path]:
        path = self.local_path(digest)
        with disk_errors():
            self._verified.check(path, digest)
        yield path

    def mended(self, digest: str, progress: Progress | None = None) -> Path:
        path = self.local_path(digest)
        with disk_errors():
            if sha256_of_file(path) != digest:
                raise damaged(digest)
        return path

    def pin(self, digests: Collection[str]) -> None:
        """Nothing to do: all files are on this machine."""

    def delete(self, digest: str) -> None:
        if not is_digest(digest):
            return
        with _store_errors():
            try:
                obstore.delete(self._store, key_of(digest))
            except FileNotFoundError:
                return
        self._verified.forget(self._root / key_of(digest))

    def stored(self) -> Iterator[StoredArtifact]:
        with _store_errors():
            for batch in obstore.list(self._store, ROOT):
                for found in batch:
                    if digest := digest_of(found["path"]):
                        yield StoredArtifact(digest, found["size"], found["last_modified"])

    def sweep_staging(self) -> int:
        """Removes what interrupted uploads left, and says how many; call it before any upload."""
        return sweep(self._root / STAGING)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> AuguriumError:
    # the store tells the system's reason in its text only, beside paths no caller should see
    found = _OS_ERROR.search(str(error))
    if found is None:
        return not_writable(type(error).__name__)
    number = int(found.group(1))
    return no_room() if number in NO_ROOM else not_writable(os.strerror(number))
