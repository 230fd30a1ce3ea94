"""The port of the artifact store: files by the SHA-256 of their content."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from augurium.registry.records import Artifact

Progress = Callable[[str, float], None]


class StoredArtifact(msgspec.Struct, frozen=True):
    """A file in the store; `modified_at` is when its content was last stored."""

    digest: str
    size_bytes: int
    modified_at: datetime


class ArtifactStore(Protocol):
    """Immutable files, found by their digest. A file is there whole or not at all.

    Every method blocks and may be called from several threads. Methods raise NotReady when the
    store cannot be reached or used. `progress` gets a stage for people and a share from 0 to 1.
    """

    def put(self, chunks: Iterable[bytes], max_bytes: int) -> Artifact:
        """Stores a stream; storing the same content twice keeps one copy, of the newer date.

        Raises TooLarge above `max_bytes` and InsufficientStorage when the disk is full; nothing is
        left behind then.
        """
        ...

    def put_file(self, file: Path, progress: Progress | None = None) -> Artifact:
        """Stores a copy of a file, of any size. Raises as `put`, and NotFound if there is none."""
        ...

    def contains(self, digest: str) -> bool: ...

    def local_path(self, digest: str, progress: Progress | None = None) -> Path:
        """A file of this machine with that content, fetched first if need be.

        Raises NotFound; for a store elsewhere also Unprocessable when what it holds is damaged and
        InsufficientStorage when there is no room for a copy.
        """
        ...

    def lease(self, digest: str, progress: Progress | None = None) -> AbstractContextManager[Path]:
        """As `local_path`, for a block that works with the file: it stays while the block runs, and
        its content was hashed after its last change, so the block need not do so again.

        Raises as `local_path`, and Unprocessable when the content is damaged.
        """
        ...

    def mended(self, digest: str, progress: Progress | None = None) -> Path:
        """As `local_path`, of which somebody found that it is damaged: hashed in any case, and
        fetched again if that is so and there is a place to fetch it from.

        Raises as `local_path`, and Unprocessable when there is no other copy.
        """
        ...

    def pin(self, digests: Collection[str]) -> None:
        """Which files stay on this machine from now on; replaces what was pinned before."""
        ...

    def delete(self, digest: str) -> None:
        """Removes a file; one that is missing is fine."""
        ...

    def stored(self) -> Iterator[StoredArtifact]:
        """Everything in the store, in no order."""
        ...
