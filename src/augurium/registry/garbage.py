"""Garbage collection: versions deleted long ago, and files that no version stands on.

A file is removed only if no version stands on it, and none can be registered with it from that
moment until it is gone (`Registry.discard`). A registration looks whether its files are there in
the same transaction in which it comes into being. So whichever comes first wins: the file stays, or
the registration is refused and its file uploaded again. A file of a registered version is never
removed.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

import msgspec

from augurium.core.clock import Clock
from augurium.core.errors import InvalidArgument
from augurium.registry.artifacts import ArtifactStore, StoredArtifact
from augurium.registry.registry import Registry

GRACE = timedelta(hours=24)
RETENTION = timedelta(days=30)
# so many files are condemned at a time, which a crash leaves condemned for some minutes
BATCH = 16
MAX_SHOWN = 1000
Entry = TypeVar("Entry")


class PurgedVersion(msgspec.Struct, frozen=True):
    """A version that was deleted long ago and is now gone."""

    model: str
    version: int


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection removed, or would remove; of the files the first 1000 are named."""

    dry_run: bool
    purged: tuple[PurgedVersion, ...]
    files: int
    bytes_freed: int
    digests: tuple[str, ...] = ()


class Garbage:
    """Removes what nobody needs. Several may run at once, beside any registration."""

    def __init__(self, registry: Registry, artifacts: ArtifactStore, clock: Clock) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._clock = clock

    def collect(
        self,
        actor: str,
        grace: timedelta = GRACE,
        retention: timedelta = RETENTION,
        dry_run: bool = False,
    ) -> Collection:
        """Purges what was deleted longer than `retention` ago, then removes files that no version
        stands on and that were stored longer than `grace` ago.

        A dry run changes nothing and says what would go. Raises InvalidArgument for negative times.
        """
        deleted_before = self._before("retention", retention)
        stored_before = self._before("grace", grace)
        purged = self._registry.deleted_before(deleted_before)
        if not dry_run:
            purged = self._registry.purge(deleted_before, actor)
        needed = self._registry.referenced(deleted_before)
        unneeded = [
            file
            for file in self._artifacts.stored()
            if file.digest not in needed and file.modified_at <= stored_before
        ]
        if not dry_run:
            unneeded = list(self._removed(unneeded, actor))
        return Collection(
            dry_run=dry_run,
            purged=tuple(PurgedVersion(*version) for version in purged),
            files=len(unneeded),
            bytes_freed=sum(file.size_bytes for file in unneeded),
            digests=tuple(file.digest for file in unneeded[:MAX_SHOWN]),
        )

    def _before(self, what: str, span: timedelta) -> datetime:
        if span < timedelta(0):
            raise InvalidArgument(f"{what} is negative; expected a time of 0 or more")
        try:
            return self._clock.now() - span
        except OverflowError as error:
            raise InvalidArgument(f"{what} goes back before the year 1; give less") from error

    def _removed(self, files: list[StoredArtifact], actor: str) -> Iterator[StoredArtifact]:
        for batch in _batches(files):
            of_digest = {file.digest: file for file in batch}
            removed = self._registry.discard(of_digest, self._artifacts.delete, actor)
            yield from (of_digest[digest] for digest in removed)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    remaining = iter(entries)
    while batch := list(islice(remaining, BATCH)):
        yield batch
