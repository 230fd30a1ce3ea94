"""Artifacts in memory, for tests and throw-away servers."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from augurium.core.errors import NotFound
from augurium.core.files import write_atomically
from augurium.registry.records import Artifact
from augurium.registry.staging import check_size


class MemoryArtifacts:
    """Keeps contents until the process ends; those that need a path go to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contents: dict[str, bytes] = {}

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        content = bytearray()
        for chunk in chunks:
            check_size(len(content) + len(chunk), max_bytes)
            content += chunk
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = bytes(content)
        return Artifact(digest, len(content))

    def put_file(self, file: Path) -> Artifact:
        try:
            content = file.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"file '{file.name}' does not exist") from error
        return self.put([content], sys.maxsize)

    def contains(self, digest: str) -> bool:
        return digest in self._contents

    def local_path(self, digest: str) -> Path:
        if digest not in self._contents:
            raise NotFound(f"artifact '{digest[:64]}' is not in the store; upload it again")
        file = self._folder / digest
        if not file.exists():
            write_atomically(file, self._contents[digest])
        return file
