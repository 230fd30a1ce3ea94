"""The port of the artifact store: files by the SHA-256 of their content."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from augurium.registry.records import Artifact


class ArtifactStore(Protocol):
    """Immutable files, found by their digest. A file is there whole or not at all."""

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        """Stores a stream; storing the same content twice keeps one copy.

        Raises TooLarge above `max_bytes` and InsufficientStorage when the disk is full; nothing is
        left behind then.
        """
        ...

    def put_file(self, file: Path) -> Artifact:
        """Stores a copy of a file, of any size. Raises as `put`, and NotFound if there is none."""
        ...

    def contains(self, digest: str) -> bool: ...

    def local_path(self, digest: str) -> Path:
        """A file of this machine with that content. Raises NotFound."""
        ...
