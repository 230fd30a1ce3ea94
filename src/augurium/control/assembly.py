"""What the control process consists of, put together; undone in reverse."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from augurium.access.sql_key_store import SqlKeyStore
from augurium.control.access_keeper import AccessKeeper
from augurium.control.batch_assembly import batch_jobs
from augurium.control.batch_schedule_assembly import batch_schedules
from augurium.control.deployments import Deployments
from augurium.control.desk import Desk
from augurium.control.event_feed import EventFeed
from augurium.control.feedback import Feedback
from augurium.control.import_pipeline import ImportPipeline, Progress
from augurium.control.imports import Imports
from augurium.control.link_hub import LinkHub
from augurium.control.load_overrides import LoadOverrides
from augurium.control.model_loads import ModelLoads
from augurium.control.node_engines import NodeEngines
from augurium.control.node_log import NodeLog
from augurium.control.prediction_records import PredictionRecords
from augurium.control.profiles import Profiles
from augurium.control.replica_numbers import ReplicaNumbers
from augurium.control.replica_scaling import ReplicaScaling
from augurium.control.rollout_courses import RolloutCourses
from augurium.control.rollout_effects import NodeEffects
from augurium.control.rollouts import Rollouts
from augurium.control.series import Series
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.control.traffic import Traffic
from augurium.control.transfers import Note, Transfers
from augurium.control.upload_sweep import UploadSweep
from augurium.control.uploads import Uploads
from augurium.control.variant_ticks import VariantTicks
from augurium.control.webhook_signature import read_secret
from augurium.control.webhooks import Webhooks
from augurium.core.clock import Clock, SystemClock
from augurium.core.errors import NotReady
from augurium.core.files import remove_folder
from augurium.core.home import NodeConfig
from augurium.core.logs import LogSwitch
from augurium.core.nvml import NvmlAccelerators
from augurium.core.settings import ImportSettings
from augurium.core.stopping import NO_LIFELINE
from augurium.feedback.sql_journal import SqlJournal
from augurium.importing.result import ImportRequest, ImportResult
from augurium.records.location import open_records
from augurium.registry.artifact_location import Artifacts, open_artifacts, pending_uploads
from augurium.registry.change import changing
from augurium.registry.database import open_database, registry_url
from augurium.registry.garbage import Garbage
from augurium.registry.signing import SigningKeys
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_batch_schedules import SqlBatchSchedules
from augurium.registry.sql_registry import SqlRegistry
from augurium.registry.sql_rollouts import SqlRollouts
from augurium.registry.sql_variant_series import SqlVariantSeries
from augurium.registry.verified_files import VerifiedFiles


@contextlib.asynccontextmanager
async def assembled(
    config: NodeConfig, jobs_lifeline: int = NO_LIFELINE
) -> AsyncIterator[Services]:
    """The services of a node's control process, running, with the engine link open.

    Without `jobs_lifeline` batch jobs end with these services, and not with the node.
    """
    clock = SystemClock()
    artifacts = _prepare(config)
    database = open_database(registry_url(config.settings.storage, config.home.database))
    with contextlib.closing(SqlRegistry(database, clock, artifacts.contains)) as registry:
        hub = LinkHub(config.home.link_socket)
        accelerators = NvmlAccelerators()
        engines = NodeEngines(config, hub)
        overrides = LoadOverrides(config.home.load_overrides)
        numbers = ReplicaNumbers(config.home.replicas)
        snapshots = Snapshots(
            registry, artifacts, config.settings.batching, hub, overrides, numbers
        )
        deployments = Deployments(registry, artifacts, snapshots, hub)
        traffic = Traffic(registry, snapshots, hub)
        ticks = VariantTicks(hub.collect, hub.inherited, clock)
        effects = NodeEffects(registry, traffic, deployments, snapshots, hub)
        note = _audit_note(database, clock)
        pipeline = ImportPipeline(
            registry, artifacts, _import_model, config.settings.importing, config.home.staging
        )
        uploads = Uploads(artifacts, config.settings.limits.max_artifact_bytes)
        keys = SqlKeyStore(database, clock, config.settings.access.environment)
        partitions = open_records(config.settings.storage, config.home, clock, os.environ)
        predictions = PredictionRecords(partitions, config.settings.prediction_log, clock)
        hub.record_with(predictions.take)
        feedback = Feedback(
            SqlJournal(database), partitions, registry, config.settings.feedback, clock
        )
        rollouts = _rollouts(config, database, clock, (ticks, effects, predictions, feedback))
        batch = batch_jobs(config, registry, SqlBatchJobs(database, clock), clock, jobs_lifeline)
        schedules = SqlBatchSchedules(database, clock)
        services = Services(
            node=config,
            registry=registry,
            hub=hub,
            engines=engines,
            deployments=deployments,
            traffic=traffic,
            imports=Imports(pipeline, clock),
            uploads=uploads,
            transfers=Transfers(
                registry,
                artifacts,
                SigningKeys(config.home.keys),
                uploads,
                note,
                config.settings.importing.allow_code,
            ),
            profiles=Profiles(registry, artifacts),
            access=AccessKeeper(config.settings, config.home, keys, snapshots),
            garbage=Garbage(registry, artifacts, clock),
            replicas=ReplicaScaling(hub, snapshots, clock, config.settings.scaling, accelerators),
            accelerators=accelerators,
            series=Series(SqlVariantSeries(database), clock, config.settings.series),
            predictions=predictions,
            feedback=feedback,
            ticks=ticks,
            rollouts=rollouts,
            batch=batch,
            batch_schedules=batch_schedules(
                config, schedules, batch, rollouts.feed.webhooks, clock
            ),
        )
        switch = LogSwitch(config.settings.log, "control")
        loads = ModelLoads(registry, deployments, snapshots, note)
        node_log = NodeLog(switch, snapshots, hub, note)
        desk = Desk(registry, hub, loads, node_log, artifacts, engines)
        hub.answer_with(desk.answer)
        sweep = UploadSweep(pending_uploads(config.settings.storage, os.environ))
        async with _running(services, snapshots, sweep):
            yield services


@contextlib.asynccontextmanager
async def _running(
    services: Services, snapshots: Snapshots, sweep: UploadSweep
) -> AsyncIterator[None]:
    # before anyone can ask: an engine that is told of no keys refuses everyone
    await services.access.start()
    # an experiment that goes on needs a record of every request
    await services.rollouts.load()
    await snapshots.publish()
    await services.hub.start()
    services.imports.start()
    services.replicas.start()
    services.ticks.listen(services.series.take)
    services.ticks.start()
    services.series.start()
    services.predictions.start()
    services.feedback.start()
    services.rollouts.start()
    services.batch.dispatcher.start()
    services.batch_schedules.start()
    sweep.start()
    try:
        yield
    finally:
        await sweep.stop()
        await services.batch_schedules.stop()
        services.batch.progress.stop()
        await services.batch.dispatcher.stop(services.node.settings.node.drain_timeout_s)
        await services.rollouts.stop()
        # while the engines can still be asked
        await services.ticks.stop()
        await services.series.stop()
        await services.feedback.stop()
        await services.replicas.stop()
        services.uploads.stop()
        await asyncio.to_thread(services.imports.stop)
        await services.hub.stop()
        # behind the last that engines had to say
        await services.predictions.stop()
        await services.access.stop()


def _prepare(config: NodeConfig) -> Artifacts:
    """Makes the folders and removes what an earlier run left half-done."""
    home = config.home
    try:
        home.create()
    except OSError as error:
        raise NotReady(
            f"the home folder {home.path} cannot be used: {error.strerror}; choose another --home"
        ) from error
    for leftover in home.staging.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            remove_folder(leftover)
        else:
            leftover.unlink(missing_ok=True)
    artifacts = open_artifacts(config.settings.storage, home.artifacts, home.cache, os.environ)
    artifacts.sweep_staging()
    VerifiedFiles(home.verified).sweep()
    return artifacts


def _rollouts(
    config: NodeConfig,
    database: Engine,
    clock: Clock,
    node: tuple[VariantTicks, NodeEffects, PredictionRecords, Feedback],
) -> Rollouts:
    ticks, effects, predictions, feedback = node
    store, hooks = SqlRollouts(database, clock), config.settings.webhooks
    feed = EventFeed(store, Webhooks(hooks, clock, read_secret(hooks.secret_file)))
    recorded = config.settings.prediction_log.enabled
    courses = RolloutCourses(predictions, feedback, clock, recorded)
    return Rollouts(store, courses, effects, ticks, feed, clock)


def _audit_note(database: Engine, clock: Clock) -> Note:
    @contextlib.contextmanager
    def note(
        actor: str, action: str, model: str, version: int | None, details: Mapping[str, Any]
    ) -> Iterator[None]:
        with changing(database, clock, actor) as change:
            change.record(action, model, version, **details)
            yield

    return note


def _import_model(
    request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
) -> ImportResult:
    # loaded with the first import: most starts of the process see none
    from augurium.importing.importer import import_model

    return import_model(request, folder, limits, progress)
