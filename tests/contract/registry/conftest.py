"""Every port of the registry, once per adapter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import Engine

from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.clock import ManualClock
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.batch_records import BatchDraft
from augurium.registry.batch_schedule_store import BatchScheduleStore
from augurium.registry.batch_store import BatchStore
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from augurium.registry.memory_batch_schedules import MemoryBatchSchedules
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.memory_rollouts import MemoryRollouts
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.registry import Holds, Registry
from augurium.registry.rollout_store import RolloutStore
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_batch_schedules import SqlBatchSchedules
from augurium.registry.sql_registry import SqlRegistry
from augurium.registry.sql_rollouts import SqlRollouts
from tests.support.postgres_server import postgres, postgres_url
from tests.support.s3_server import BUCKET, S3Server, s3, s3_server

__all__ = ["postgres", "postgres_url", "s3", "s3_server"]

MakeDraft = Callable[..., VersionDraft]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


OpenRegistry = Callable[..., Registry]


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def open_registry(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[OpenRegistry]:
    """Opens the test's registry, given what says whether the artifact store holds a file."""
    opened: list[Registry] = []

    def open_one(holds: Holds | None = None) -> Registry:
        if request.param == "memory":
            opened.append(MemoryRegistry(clock, holds))
        else:
            opened.append(SqlRegistry(_database(request, tmp_path), clock, holds))
        return opened[-1]

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: OpenRegistry) -> Registry:
    return open_registry()


class KeptRollouts(NamedTuple):
    """A store of rollouts and the registry it is kept with."""

    store: RolloutStore
    registry: Registry


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def kept_rollouts(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[KeptRollouts]:
    if request.param == "memory":
        registry = MemoryRegistry(clock)
        yield KeptRollouts(MemoryRollouts(registry, clock), registry)
        return
    engine = _database(request, tmp_path)
    sql_registry = SqlRegistry(engine, clock)
    yield KeptRollouts(SqlRollouts(engine, clock), sql_registry)
    sql_registry.close()


class KeptJobs(NamedTuple):
    """A store of batch jobs and the registry it is kept with, which has models to score with."""

    store: BatchStore
    registry: Registry


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def kept_jobs(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path, draft: MakeDraft
) -> Iterator[KeptJobs]:
    """With two versions of `fraud` and one of `churn`."""
    kept: KeptJobs
    if request.param == "memory":
        memory = MemoryRegistry(clock)
        kept = KeptJobs(MemoryBatchJobs(memory, clock), memory)
    else:
        engine = _database(request, tmp_path)
        kept = KeptJobs(SqlBatchJobs(engine, clock), SqlRegistry(engine, clock))
    for model in ("fraud", "fraud", "churn"):
        kept.registry.register(model, draft(), "ann")
    yield kept
    kept.registry.close()


@pytest.fixture
def jobs(kept_jobs: KeptJobs) -> BatchStore:
    return kept_jobs.store


def a_job(model: str = "fraud", version: int = 1, **fields: Any) -> BatchDraft:
    """A job to be submitted; fields of the draft, and of what is asked for, by their names."""
    of_draft = {name: fields.pop(name) for name in BatchDraft.__struct_fields__ if name in fields}
    asked: dict[str, Any] = {
        "input": InputSpec(paths=("/data/in",)),
        "output": OutputSpec(path="/data/out"),
    }
    return BatchDraft(spec=BatchSpec(model=model, **(asked | fields)), version=version, **of_draft)


def _database(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    url = (
        sqlite_url(tmp_path / "registry.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    # many threads at once may have to wait for each other for long on a busy machine
    return open_database(url, lock_timeout_s=60)


class KeptSchedules(NamedTuple):
    """A store of schedules of batch jobs and the registry it is kept with."""

    store: BatchScheduleStore
    registry: Registry


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def kept_schedules(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[KeptSchedules]:
    if request.param == "memory":
        registry = MemoryRegistry(clock)
        yield KeptSchedules(MemoryBatchSchedules(registry, clock), registry)
        return
    engine = _database(request, tmp_path)
    sql_registry = SqlRegistry(engine, clock)
    yield KeptSchedules(SqlBatchSchedules(engine, clock), sql_registry)
    sql_registry.close()


class ArtifactPlace(NamedTuple):
    """A store, and the folder where its files are to be seen."""

    store: ArtifactStore
    folder: Path

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["folder", "memory", "s3"])
def artifact_place(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactPlace:
    folder = tmp_path / "artifacts"
    if request.param == "folder":
        return ArtifactPlace(ObstoreArtifacts(folder), folder)
    if request.param == "memory":
        folder.mkdir()
        return ArtifactPlace(MemoryArtifacts(folder), folder)
    server: S3Server = request.getfixturevalue("s3")
    settings = StorageSettings(artifacts_url=server.url(tmp_path.name), s3_endpoint=server.endpoint)
    store = open_artifacts(settings, folder, tmp_path / "cache", {})
    return ArtifactPlace(store, server.folder / BUCKET / tmp_path.name)


@pytest.fixture
def artifacts(artifact_place: ArtifactPlace) -> ArtifactStore:
    return artifact_place.store


@pytest.fixture
def draft() -> MakeDraft:
    """Makes a draft; name what differs from the usual one."""
    usual = VersionDraft(
        framework="sklearn",
        framework_version="1.7.2",
        runtime="onnx",
        source=Artifact("a" * 64, 2048),
        source_name="fraud.skops",
        servable=Artifact("b" * 64, 1024),
        signature=Signature(
            inputs=(TensorSpec("rows", "FP32", (-1, 2), features=("age", "amount")),),
            outputs=(TensorSpec("probability", "FP32", (-1,)),),
        ),
    )

    def make(**changes: Any) -> VersionDraft:
        return msgspec.structs.replace(usual, **changes)

    return make
