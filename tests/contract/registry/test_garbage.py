import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from augurium.core.clock import ManualClock, SystemClock
from augurium.core.errors import Conflict, InvalidArgument
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.garbage import Garbage
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, Version, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ObstoreArtifacts(tmp_path / "files")


@pytest.fixture
def clock() -> ManualClock:
    """Begins now, because files have times of the machine."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def registry(open_registry: Callable[..., Registry], store: ArtifactStore) -> Registry:
    return open_registry(store.contains)


@pytest.fixture
def garbage(registry: Registry, store: ArtifactStore, clock: ManualClock) -> Garbage:
    return Garbage(registry, store, clock)


def put(store: ArtifactStore, content: str) -> Artifact:
    return store.put([content.encode()], 1024)


def test_files_nobody_needs_are_removed_once_they_are_old_enough(
    registry: Registry,
    store: ArtifactStore,
    garbage: Garbage,
    clock: ManualClock,
    draft: MakeDraft,
) -> None:
    needed, unneeded = put(store, "needed"), put(store, "not needed")
    registry.register("fraud", draft(source=needed, servable=needed), "ann")

    clock.advance(23 * 3600)
    early = garbage.collect("ann")
    clock.advance(2 * 3600)
    late = garbage.collect("ann")

    assert (early.files, early.bytes_freed) == (0, 0)
    assert (late.files, late.bytes_freed, late.digests) == (1, 10, (unneeded.digest,))
    assert store.contains(needed.digest)
    assert not store.contains(unneeded.digest)
    assert registry.audit()[0].action == "discard"
    assert registry.audit()[0].details == {"digests": [unneeded.digest]}


def test_every_file_of_a_version_stays(
    registry: Registry, store: ArtifactStore, garbage: Garbage, clock: ManualClock, draft: MakeDraft
) -> None:
    roles = ("source", "servable", "weights", "profile", "preprocessing")
    files = {role: put(store, role) for role in roles}
    registry.register("fraud", draft(**files), "ann")
    clock.advance(100 * 86400)

    assert garbage.collect("ann").files == 0
    assert all(store.contains(file.digest) for file in files.values())


def test_a_dry_run_tells_what_would_go_and_removes_nothing(
    registry: Registry, store: ArtifactStore, garbage: Garbage, clock: ManualClock, draft: MakeDraft
) -> None:
    for content in ("old", "new"):
        file = put(store, content)
        registry.register("fraud", draft(source=file, servable=file), "ann")
    registry.delete_version("fraud", 1, "ann")
    put(store, "loose")
    clock.advance(31 * 86400)
    revision = registry.revision()

    dry = garbage.collect("ann", dry_run=True)
    assert registry.revision() == revision
    assert [(one.model, one.version) for one in dry.purged] == [("fraud", 1)]
    wet = garbage.collect("ann")

    assert (dry.files, dry.bytes_freed) == (wet.files, wet.bytes_freed) == (2, 8)
    assert dry.purged == wet.purged
    assert [version.version for version in registry.versions("fraud", deleted=True)] == [2]


def test_a_deleted_version_keeps_its_files_until_its_retention_is_over(
    registry: Registry, store: ArtifactStore, garbage: Garbage, clock: ManualClock, draft: MakeDraft
) -> None:
    file = put(store, "model")
    registry.register("fraud", draft(source=file, servable=file), "ann")
    registry.delete_version("fraud", 1, "ann")
    clock.advance(29 * 86400)

    garbage.collect("ann")
    assert store.contains(file.digest)
    garbage.collect("ann", retention=DAY)
    assert not store.contains(file.digest)


def test_a_version_cannot_be_registered_with_a_file_that_is_gone(
    registry: Registry, store: ArtifactStore, garbage: Garbage, draft: MakeDraft
) -> None:
    file = put(store, "model")
    garbage.collect("ann", grace=-timedelta(0))
    gone = file if not store.contains(file.digest) else Artifact("f" * 64, 1)

    with pytest.raises(Conflict, match="upload it again"):
        registry.register("fraud", draft(source=gone, servable=gone), "ann")

    assert list(registry.models()) == []


@pytest.mark.parametrize("span", [-HOUR, timedelta.max])
def test_times_that_make_no_sense_are_refused(garbage: Garbage, span: timedelta) -> None:
    with pytest.raises(InvalidArgument, match="grace"):
        garbage.collect("ann", grace=span)
    with pytest.raises(InvalidArgument, match="retention"):
        garbage.collect("ann", retention=span)


def test_a_registered_file_is_never_removed_however_collections_and_registrations_race(
    registry: Registry, store: ArtifactStore, draft: MakeDraft
) -> None:
    garbage = Garbage(registry, store, _AheadClock())
    done = threading.Event()

    def collect() -> int:
        removed = 0
        while not done.is_set():
            removed += garbage.collect("gc", grace=timedelta(0)).files
        return removed

    def register(number: int) -> list[Version]:
        return [_register(registry, store, draft, f"model-{turn}") for turn in range(6)]

    with ThreadPoolExecutor(23) as threads:
        collecting = [threads.submit(collect) for _ in range(3)]
        try:
            registered = [
                version for versions in threads.map(register, range(20)) for version in versions
            ]
        finally:
            done.set()
        for one in collecting:
            one.result()

    assert len(registered) == 120
    assert sorted(version.version for version in registered) == list(range(1, 121))
    for version in registry.versions("fraud"):
        for file in version.artifacts():
            assert store.contains(file.digest), f"version {version.version} lost a file"
    assert registry.verify_audit().intact


def _register(registry: Registry, store: ArtifactStore, draft: MakeDraft, content: str) -> Version:
    """Uploads the same files as all others and registers; again, if they were removed meanwhile."""
    while True:
        source, servable = put(store, content), put(store, content + " served")
        try:
            return registry.register("fraud", draft(source=source, servable=servable), "ann")
        except Conflict:
            continue


class _AheadClock(SystemClock):
    """Every file is old for it."""

    def now(self) -> datetime:
        return super().now() + DAY
