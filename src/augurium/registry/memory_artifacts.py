"""Artifacts in memory, for tests and throw-away servers."""

import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from augurium.core.files import sha256_of_file, write_atomically
from augurium.registry.artifact_names import not_stored
from augurium.registry.artifacts import Progress, StoredArtifact
from augurium.registry.records import Artifact
from augurium.registry.staging import check_size, content_of
from augurium.registry.verified_files import damaged


class MemoryArtifacts:
    """Keeps contents until the process ends; those that need a path go to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contents: dict[str, bytes] = {}
        self._modified: dict[str, datetime] = {}

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        content = bytearray()
        for chunk in chunks:
            check_size(len(content) + len(chunk), max_bytes)
            content += chunk
        digest = hashlib.sha256(content).hexdigest()
        self._modified[digest] = datetime.now(UTC)
        self._contents[digest] = bytes(content)
        return Artifact(digest, len(content))

    def put_file(self, file: Path, progress: Progress | None = None) -> Artifact:
        return self.put(content_of(file, progress), sys.maxsize)

    def contains(self, digest: str) -> bool:
        return digest in self._contents

    def local_path(self, digest: str, progress: Progress | None = None) -> Path:
        if digest not in self._contents:
            raise not_stored(digest)
        file = self._folder / digest
        if not file.exists():
            write_atomically(file, self._contents[digest])
        return file

    @contextmanager
    def lease(self, digest: str, progress: Progress | None = None) -> Iterator[Path]:
        path = self.local_path(digest)
        if sha256_of_file(path) != digest:
            raise damaged(digest)
        yield path

    def mended(self, digest: str, progress: Progress | None = None) -> Path:
        path = self.local_path(digest)
        if sha256_of_file(path) != digest:
            write_atomically(path, self._contents[digest])
        return path

    def pin(self, digests: Collection[str]) -> None:
        """Nothing to do: all files are on this machine."""

    def delete(self, digest: str) -> None:
        if self._contents.pop(digest, None) is not None:
            del self._modified[digest]
            (self._folder / digest).unlink(missing_ok=True)

    def stored(self) -> Iterator[StoredArtifact]:
        for digest, content in list(self._contents.items()):
            yield StoredArtifact(digest, len(content), self._modified[digest])
