"""One job from its claim to its end: planned, scored by workers, committed, published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from augurium.batch.bad_row_limit import BadRowLimit
from augurium.batch.engine import Engine
from augurium.batch.job_ending import JobEnding
from augurium.batch.job_progress import JobProgress
from augurium.batch.job_setup import JobSetup
from augurium.batch.lease_keeper import LeaseKeeper, Stopped
from augurium.batch.partition import PartitionResult
from augurium.batch.worker_messages import Counted
from augurium.batch.worker_pool import WorkerPool
from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.registry.batch_records import BatchJob, BatchProgress
from augurium.registry.batch_store import BatchStore, LeaseLost

# a database that is away is asked again after so long; the lease sets the end of that
AGAIN_S = 0.5


class Coordinator:
    """Runs a job that was claimed, whose lease takes `lease_s`."""

    def __init__(
        self,
        store: BatchStore,
        job: BatchJob,
        setup: JobSetup,
        ending: JobEnding,
        pool: WorkerPool,
        engine: Engine,
        lease_s: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._job = job
        self._setup = setup
        self._ending = ending
        self._pool = pool
        self._engine = engine
        self._keeper = LeaseKeeper(store, job.id, job.token, lease_s, self._told, clock)
        self._clock = clock
        self._progress: JobProgress | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until the job has ended, or this process has to let go of it.

        Raises Stopped for the latter, LeaseLost, and what went wrong.
        """
        async with self._kept(stop):
            if self._job.state != "publishing":
                await self._score()
            await self._ending.publish()

    @asynccontextmanager
    async def _kept(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Keeps the lease while the block runs, which is cancelled when the job has to stop."""
        try:
            async with asyncio.TaskGroup() as tasks:
                keeper = tasks.create_task(self._keeper.keep(stop))
                yield
                keeper.cancel()
        except BaseExceptionGroup as group:
            # whatever else failed then, did so because of it
            raise _first(group.subgroup((Stopped, LeaseLost)) or group) from group

    async def _score(self) -> None:
        """Has all partitions scored that are not committed yet."""
        plan = await self._setup.prepare(self._pool)
        done = await asyncio.to_thread(self._ending.results)
        progress = JobProgress(plan.input.rows, self._engine.workers, self._clock)
        for result in done:
            progress.commit(result)
        self._progress = progress
        limit = BadRowLimit(self._job.spec.max_bad_rows, plan.input.rows)
        limit.check(progress.rejected)
        committed = {result.number for result in done}
        waiting = [each for each in plan.input.partitions if each.number not in committed]
        await self._engine.score(plan, waiting, _Desk(self, progress, limit))
        counted = progress.counted
        limit.check_end(progress.rejected, counted.read_rows - counted.filtered_rows)
        # who asks afterwards shall not see it as it was a moment before its end
        with suppress(NotReady):
            await asyncio.to_thread(self._store.renew, self._job.id, self._job.token, self._told())

    def _told(self) -> BatchProgress:
        if self._progress is None:
            return self._job.progress
        # of a cluster, it is known only when it answers
        return msgspec.structs.replace(self._progress.now(), workers=self._engine.workers)

    async def commit(self, result: PartitionResult) -> None:
        """Makes a partition done for good; waits for a database that is away."""
        content = msgspec.json.encode(result)
        job = self._job
        while True:
            try:
                await asyncio.to_thread(
                    self._store.commit, job.id, job.token, result.number, content
                )
            except NotReady:
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def hurry(self) -> None:
        """Has the store told at once how far the job is."""
        self._keeper.hurry()

    async def warn(self, text: str) -> None:
        """Leaves a line in the job's log, if the database takes it."""
        with suppress(NotReady):
            await asyncio.to_thread(self._store.log, self._job.id, "warning", text)


class _Desk:
    """What is done about what an engine brings."""

    def __init__(self, job: Coordinator, progress: JobProgress, limit: BadRowLimit) -> None:
        self._job = job
        self._progress = progress
        self._limit = limit
        self.warn = job.warn

    async def take(self, result: PartitionResult) -> None:
        await self._job.commit(result)
        self._progress.commit(result)
        self._limit.check(self._progress.rejected)

    def hear(self, number: int, counted: Counted) -> None:
        if not self._progress.began:
            self._job.hurry()
        self._progress.runs(number, counted)
        self._limit.check(self._progress.rejected, counted.example)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
