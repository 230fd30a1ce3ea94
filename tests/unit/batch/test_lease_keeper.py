"""Keeping a job: signs of life, what somebody wants, and when to let go."""

import asyncio
from typing import NoReturn

import pytest

from augurium.batch import lease_keeper
from augurium.batch.lease_keeper import LeaseKeeper, Stopped
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.clock import ManualClock
from augurium.core.errors import NotReady
from augurium.core.signature import Signature
from augurium.registry.batch_records import BatchDraft, BatchJob, BatchProgress, Wanted
from augurium.registry.batch_store import BatchStore
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import Artifact, VersionDraft

LEASE_S = 15.0
FILE = Artifact("0" * 64, 1)
PROGRESS = BatchProgress(read_rows=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryBatchJobs:
    registry = MemoryRegistry(clock)
    draft = VersionDraft(
        framework="onnx",
        framework_version="1",
        runtime="onnx",
        source=FILE,
        source_name="m",
        servable=FILE,
        signature=Signature((), ()),
    )
    registry.register("m", draft, "tests")
    found = MemoryBatchJobs(registry, clock)
    spec = BatchSpec(model="m", input=InputSpec(paths=("/in",)), output=OutputSpec(path="/out"))
    found.submit(BatchDraft(spec=spec, version=1), "tests")
    return found


def claimed(store: BatchStore, clock: ManualClock, lease_s: float = LEASE_S) -> BatchJob:
    watch = LeaseWatch(clock)
    job = store.claim("one", watch, 9, lease_s) or store.claim("one", watch, 9, lease_s)
    assert job is not None
    return job


def keeper(store: BatchStore, job: BatchJob, clock: ManualClock) -> LeaseKeeper:
    return LeaseKeeper(store, job.id, job.token, LEASE_S, lambda: PROGRESS, clock)


async def why(keeping: LeaseKeeper, stop: asyncio.Event | None = None) -> str:
    with pytest.raises(Stopped) as stopped:
        await keeping.keep(stop or asyncio.Event())
    return stopped.value.why


async def test_the_store_hears_how_far_the_job_is_until_it_has_to_stop(
    store: MemoryBatchJobs, clock: ManualClock
) -> None:
    job, stop = claimed(store, clock), asyncio.Event()
    stop.set()

    assert await why(keeper(store, job, clock), stop) == "drain"
    renewed = store.get(job.id)
    assert (renewed.progress, renewed.beat) == (PROGRESS, job.beat + 1)


async def test_progress_that_somebody_waits_for_is_told_at_once(
    store: MemoryBatchJobs, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeper, "BEAT_S", 60.0)
    job, stop = claimed(store, clock), asyncio.Event()
    keeping = keeper(store, job, clock)
    task = asyncio.create_task(why(keeping, stop))
    async with asyncio.timeout(10):
        for beats in (1, 2):
            while store.get(job.id).beat < job.beat + beats:  # noqa: ASYNC110 - renewed by a thread
                await asyncio.sleep(0.01)
            keeping.hurry()
    stop.set()

    assert await task == "drain"


@pytest.mark.parametrize("wanted", ["pause", "cancel"])
async def test_what_somebody_wants_stops_the_job(
    store: MemoryBatchJobs, clock: ManualClock, wanted: Wanted
) -> None:
    job = claimed(store, clock)
    store.want(job.id, wanted, "tests")

    assert await why(keeper(store, job, clock)) == wanted


async def test_a_job_that_another_has_is_lost(store: MemoryBatchJobs, clock: ManualClock) -> None:
    job = claimed(store, clock)
    claimed(store, clock, lease_s=0.0)

    assert await why(keeper(store, job, clock)) == "lost"


class Away(MemoryBatchJobs):
    """A store whose database is away; every try takes a while."""

    clock: ManualClock
    tries = 0

    def renew(self, job: str, token: int, progress: BatchProgress) -> NoReturn:
        self.tries += 1
        self.clock.advance(LEASE_S / 2)
        raise NotReady("the database is away")


async def test_a_holder_that_cannot_show_that_it_lives_lets_go_after_a_lease(
    clock: ManualClock,
) -> None:
    away = Away(MemoryRegistry(clock), clock)
    away.clock = clock

    assert await why(LeaseKeeper(away, "job", 1, LEASE_S, lambda: PROGRESS, clock)) == "lost"
    assert away.tries == 2
