"""A claimed job in this process: what it works with, and what the store is told of its end."""

import asyncio
import os
from contextlib import closing, suppress

import structlog

from augurium.batch.coordinator import Coordinator
from augurium.batch.engine import Engine
from augurium.batch.job_ending import JobEnding
from augurium.batch.job_files import JobFiles
from augurium.batch.job_report import JobReport
from augurium.batch.job_setup import JobSetup
from augurium.batch.lease_keeper import Stopped
from augurium.batch.local_engine import LocalEngine
from augurium.batch.output_place import StoragePlace
from augurium.batch.ray_engine import RayEngine
from augurium.batch.storage import Storage
from augurium.batch.worker_pool import WorkerPool
from augurium.core import processors
from augurium.core.batch_job import BatchSpec
from augurium.core.batch_settings import BatchSettings
from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError, NotReady
from augurium.core.home import NodeConfig
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.batch_records import BatchJob
from augurium.registry.batch_store import BatchStore, LeaseLost
from augurium.registry.database import open_database, registry_url
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_registry import SqlRegistry

log = structlog.get_logger()


async def run_job(
    config: NodeConfig, job: str, token: int, pool: WorkerPool, stop: asyncio.Event
) -> None:
    """Runs a job with the token of its claim until the store knows what became of it.

    Raises NotReady where the store cannot be told.
    """
    settings, home, clock = config.settings, config.home, SystemClock()
    artifacts = open_artifacts(settings.storage, home.artifacts, home.cache, os.environ)
    database = open_database(registry_url(settings.storage, home.database))
    with closing(SqlRegistry(database, clock, artifacts.contains)) as registry:
        store = SqlBatchJobs(database, clock)
        claimed = store.get(job)
        if claimed.token != token:
            log.info("batch job has another holder", job=job)
            return
        storage = Storage(settings.storage, roots=settings.batch.roots or None)
        price = settings.batch.cost_per_core_hour
        engine = _engine(claimed.spec, settings.batch, pool)
        report = JobReport(registry, artifacts, claimed, price, clock, engine)
        place = StoragePlace(storage, claimed.spec.output.path)
        ending = JobEnding(store, claimed, place, report)
        with JobFiles(artifacts, home.batch / job) as files:
            setup = JobSetup(store, registry, files, storage, settings, claimed)
            lease_s = settings.batch.lease_s
            work = Coordinator(store, claimed, setup, ending, pool, engine, lease_s, clock)
            outcome = await _outcome(work, stop)
        # what a worker was at may be swept now
        await pool.close()
        if outcome is not None:
            with suppress(LeaseLost):
                await asyncio.to_thread(_tell, store, claimed, ending, outcome)


def _engine(spec: BatchSpec, settings: BatchSettings, pool: WorkerPool) -> Engine:
    if spec.engine != "ray":
        return LocalEngine(pool)
    here = 0 if settings.ray_address else len(processors.USABLE)
    workers = spec.workers or settings.workers or here
    return RayEngine(pool, workers, settings.ray_address)


async def _outcome(work: Coordinator, stop: asyncio.Event) -> Stopped | AuguriumError | None:
    """Why the job did not come to its end; None if it did, or is another holder's now."""
    try:
        await work.run(stop)
    except LeaseLost:
        return None
    except (Stopped, AuguriumError) as error:
        return error
    return None


def _tell(
    store: BatchStore, job: BatchJob, ending: JobEnding, outcome: Stopped | AuguriumError
) -> None:
    """Tells the store. Blocking. Raises LeaseLost, and NotReady."""
    match outcome:
        case Stopped(why="pause"):
            store.move(job.id, job.token, "paused")
        case Stopped(why="cancel"):
            ending.cancel()
        case Stopped(why="drain"):
            store.release(job.id, job.token)
        case NotReady():
            # whatever was away may be back for the next attempt
            store.move(job.id, job.token, "queued", str(outcome))
        case AuguriumError():
            log.error("batch job failed", job=job.id, reason=str(outcome))
            store.log(job.id, "error", str(outcome))
            store.move(job.id, job.token, "failed", str(outcome))
