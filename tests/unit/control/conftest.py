"""The management API in memory, without engines."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from augurium.access.memory_key_store import MemoryKeyStore
from augurium.control.access_keeper import AccessKeeper
from augurium.control.app import create_app
from augurium.control.batch_assembly import batch_jobs
from augurium.control.batch_schedule_assembly import batch_schedules
from augurium.control.canary_course import CanaryCourse
from augurium.control.deployments import Deployments
from augurium.control.event_feed import EventFeed
from augurium.control.feedback import Feedback
from augurium.control.import_pipeline import ImportPipeline, Progress
from augurium.control.imports import Imports
from augurium.control.link_hub import LinkHub
from augurium.control.node_engines import NodeEngines
from augurium.control.prediction_records import PredictionRecords
from augurium.control.profiles import Profiles
from augurium.control.replica_scaling import ReplicaScaling
from augurium.control.rollout_effects import NodeEffects
from augurium.control.rollouts import Rollouts
from augurium.control.series import Series
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.control.traffic import Traffic
from augurium.control.transfers import Note, Transfers
from augurium.control.uploads import Uploads
from augurium.control.variant_ticks import VariantTicks
from augurium.control.webhooks import Webhooks
from augurium.core.accelerators import MemoryAccelerators
from augurium.core.clock import ManualClock
from augurium.core.errors import Unprocessable
from augurium.core.home import Home, NodeConfig
from augurium.core.settings import (
    BatchingSettings,
    ImportSettings,
    LimitSettings,
    NodeSettings,
    Settings,
)
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.feedback.memory_journal import MemoryJournal
from augurium.importing.result import ImportRequest, ImportResult
from augurium.records.database import RecordDatabase
from augurium.records.partitions import Partitions
from augurium.records.record_store import FolderRecords
from augurium.registry.garbage import Garbage
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from augurium.registry.memory_batch_schedules import MemoryBatchSchedules
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.memory_rollouts import MemoryRollouts
from augurium.registry.memory_variant_series import MemoryVariantSeries
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.signing import SigningKeys
from tests.support.logs import log_to_stderr

MAX_ARTIFACT_BYTES = 3 * 1024 * 1024


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Whatever a test configures, the next test finds logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log_to_stderr()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(clock: ManualClock) -> MemoryRegistry:
    return MemoryRegistry(clock)


@pytest.fixture
def artifacts(tmp_path: Path) -> MemoryArtifacts:
    return MemoryArtifacts(tmp_path)


@pytest.fixture
def draft(artifacts: MemoryArtifacts) -> VersionDraft:
    """A draft whose servable file is in the store."""
    artifact = artifacts.put([b"model"], 1024)
    spec = TensorSpec("x", "FP32", (-1, 1))
    return VersionDraft(
        framework="onnx",
        framework_version="1",
        runtime="onnx",
        source=artifact,
        source_name="model.onnx",
        servable=artifact,
        signature=Signature((spec,), (spec,)),
    )


@pytest.fixture
def unknown_artifact() -> Artifact:
    return Artifact("ab" * 32, 1)


def _no_importer(
    request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
) -> ImportResult:
    raise Unprocessable("nothing can be imported here")


def audit_note(registry: MemoryRegistry) -> Note:
    @contextlib.contextmanager
    def note(
        actor: str, action: str, model: str, version: int | None, details: Mapping[str, Any]
    ) -> Iterator[None]:
        yield
        registry.note(actor, action, details)

    return note


def note(actor: str, action: str, details: dict[str, object]) -> None:
    """What these tests do with keys is in no audit log."""


@pytest.fixture
def partitions(tmp_path: Path, clock: ManualClock) -> Partitions:
    store = FolderRecords(tmp_path / "records")
    return Partitions(store, RecordDatabase(tmp_path / "work", [store.root]), clock, "0" * 8)


@pytest.fixture
def services(
    tmp_path: Path,
    registry: MemoryRegistry,
    artifacts: MemoryArtifacts,
    clock: ManualClock,
    partitions: Partitions,
) -> Services:
    settings = Settings(
        node=NodeSettings(home=str(tmp_path)),
        limits=LimitSettings(max_artifact_bytes=MAX_ARTIFACT_BYTES),
    )
    hub = LinkHub(tmp_path / "link.sock")
    snapshots = Snapshots(registry, artifacts, BatchingSettings(), hub)
    pipeline = ImportPipeline(registry, artifacts, _no_importer, settings.importing, tmp_path)
    uploads = Uploads(artifacts, MAX_ARTIFACT_BYTES)
    node = NodeConfig(settings, ("engine-0", "engine-1"))
    accelerators = MemoryAccelerators()
    deployments = Deployments(registry, artifacts, snapshots, hub)
    traffic = Traffic(registry, snapshots, hub)
    ticks = VariantTicks(hub.collect, hub.inherited, clock)
    store = MemoryRollouts(registry, clock)
    rollouts = Rollouts(
        store,
        {"canary": CanaryCourse(lambda _: None)},
        NodeEffects(registry, traffic, deployments, snapshots, hub),
        ticks,
        EventFeed(store, Webhooks(settings.webhooks, clock)),
        clock,
    )
    batch = batch_jobs(node, registry, MemoryBatchJobs(registry, clock), clock)
    schedules = MemoryBatchSchedules(registry, clock)
    return Services(
        node=node,
        registry=registry,
        hub=hub,
        engines=NodeEngines(node, hub),
        deployments=deployments,
        traffic=traffic,
        imports=Imports(pipeline, clock),
        uploads=uploads,
        transfers=Transfers(
            registry,
            artifacts,
            SigningKeys(tmp_path / "keys"),
            uploads,
            audit_note(registry),
            False,
        ),
        profiles=Profiles(registry, artifacts),
        access=AccessKeeper(settings, Home(tmp_path), MemoryKeyStore(clock, note), snapshots),
        garbage=Garbage(registry, artifacts, clock),
        replicas=ReplicaScaling(hub, snapshots, clock, settings.scaling, accelerators),
        accelerators=accelerators,
        series=Series(MemoryVariantSeries(), clock, settings.series),
        predictions=PredictionRecords(partitions, settings.prediction_log, clock),
        feedback=Feedback(MemoryJournal(), partitions, registry, settings.feedback, clock),
        ticks=ticks,
        rollouts=rollouts,
        batch=batch,
        batch_schedules=batch_schedules(node, schedules, batch, rollouts.feed.webhooks, clock),
    )


@pytest.fixture
async def api(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client
    services.uploads.stop()
    await services.predictions.stop()
