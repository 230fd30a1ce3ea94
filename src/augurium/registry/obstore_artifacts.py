"""Artifacts in an object store; today a folder of this machine."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from augurium.core.errors import AuguriumError, NotFound
from augurium.core.files import CHUNK_BYTES
from augurium.registry.records import Artifact
from augurium.registry.staging import (
    NO_ROOM,
    disk_errors,
    no_room,
    not_writable,
    staged,
    sweep,
    sync_folders,
)

STAGING = "staging"
_DIGEST = re.compile(r"[0-9a-f]{64}")
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

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        with staged(self._root / STAGING, chunks, max_bytes) as (file, artifact):
            key = _key(artifact.digest)
            try:
                obstore.rename(self._store, f"{STAGING}/{file.name}", key)
            except (BaseError, OSError) as error:
                raise _translated(error) from error
            sync_folders((self._root / key).parent, self._root)
        return artifact

    def put_file(self, file: Path) -> Artifact:
        return self.put(_content(file), sys.maxsize)

    def contains(self, digest: str) -> bool:
        if not _DIGEST.fullmatch(digest):
            return False
        try:
            obstore.head(self._store, _key(digest))
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise _translated(error) from error
        return True

    def local_path(self, digest: str) -> Path:
        # a remote store would download here
        if not self.contains(digest):
            raise NotFound(f"artifact '{digest[:64]}' is not in the store; upload it again")
        return self._root / _key(digest)

    def sweep_staging(self) -> int:
        """Removes what interrupted uploads left, and says how many; call it before any upload."""
        return sweep(self._root / STAGING)


def _key(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest}"


def _content(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except FileNotFoundError as error:
        raise NotFound(f"file '{file.name}' does not exist") from error


def _translated(error: Exception) -> AuguriumError:
    # the store tells the system's reason in its text only, beside paths no caller should see
    found = _OS_ERROR.search(str(error))
    if found is None:
        return not_writable(type(error).__name__)
    number = int(found.group(1))
    return no_room() if number in NO_ROOM else not_writable(os.strerror(number))
