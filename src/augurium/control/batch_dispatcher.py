"""Batch jobs on this node: claims those that wait, and looks after the processes that run them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from augurium.control.batch_counts import BatchCounts
from augurium.control.batch_processes import EndedProcess, JobProcesses
from augurium.core.batch_settings import BatchSettings
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, NotFound, NotReady
from augurium.registry.batch_records import BatchJob, JobState, Level
from augurium.registry.batch_store import MOST_LISTED, BatchStore, LeaseLost
from augurium.registry.lease_watch import LeaseWatch
from augurium.serving.runner_place import how

TURN_S = 1.0
# what a process that was just started may take on a busy machine before it says that it lives
STARTS_WITHIN_S = 30.0
SWEEP_EVERY_S = 3600.0
FIRST_REST_S = 0.5
LONGEST_REST_S = 60.0
DAY_S = 86_400.0
ACTIVE: tuple[JobState, ...] = ("queued", "running", "paused", "publishing")
log = structlog.get_logger()


class BatchDispatcher:
    """Gives every job that this node claims a process, and every job whose process died a new one.

    `holder` is the name under which this node claims, the same after a restart. Belongs to one
    event loop.
    """

    def __init__(
        self,
        store: BatchStore,
        processes: JobProcesses,
        settings: BatchSettings,
        clock: Clock,
        holder: str,
    ) -> None:
        self.counts = BatchCounts(holder)
        self.standing: Sequence[BatchJob] = ()
        """The jobs that have not ended, as of the last turn."""
        self._store = store
        self._processes = processes
        self._settings = settings
        self._clock = clock
        self._holder = holder
        self._watch = LeaseWatch(clock)
        self._ended: list[EndedProcess] = []
        # jobs whose process died, until when they are left alone
        self._resting: dict[str, float] = {}
        # jobs whose process has not said yet that it lives, until when it may
        self._starting: dict[str, float] = {}
        self._swept_at: float | None = None
        self._problem = ""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks after jobs from now on, beside everything else."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, patience_s: float) -> None:
        """Claims no more; what becomes of the processes see `JobProcesses.stop`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._processes.stop(patience_s)

    def wake(self) -> None:
        """Something may have to be done at once."""
        self._wake.set()

    async def turn(self) -> None:
        """Does what there is to do now. Raises NotReady when the database is away."""
        self._ended += self._processes.ended()
        while self._ended:
            await self._settle(self._ended[0])
            self._ended.pop(0)
        self.standing = await self._standing()
        self.counts.take(self.standing, await self._departed())
        if self._settings.enabled and not self._processes.stopping:
            await self._claim()
        await self._sweep()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.turn()
                self._problem = ""
            except AuguriumError as error:
                self._waits(error)
            except Exception:  # the edge of a task: the next turn tries again
                log.exception("batch jobs not looked after")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TURN_S)

    def _waits(self, error: AuguriumError) -> None:
        if str(error) != self._problem:
            log.warning("batch jobs wait", reason=str(error))
        self._problem = str(error)

    async def _standing(self) -> Sequence[BatchJob]:
        return await asyncio.to_thread(self._store.find, states=ACTIVE, limit=MOST_LISTED)

    async def _departed(self) -> Sequence[BatchJob]:
        """Jobs that were counted on this node and have ended since: their last numbers."""
        gone = self.counts.followed - {job.id for job in self.standing}
        found = [await self._found(job) for job in sorted(gone)]
        return [job for job in found if job is not None]

    async def _found(self, job: str) -> BatchJob | None:
        with contextlib.suppress(NotFound):
            return await asyncio.to_thread(self._store.get, job)
        return None

    async def _claim(self) -> None:
        """Begins as many jobs as there may be. Held ones are looked at too: whoever holds them, a
        process of this control included, may stand still.
        """
        while any(job.state != "paused" or job.wanted == "cancel" for job in self.standing):
            job = await asyncio.to_thread(self._claimed)
            if job is None:
                return
            await self._begin(job)
            self.standing = await self._standing()

    def _claimed(self) -> BatchJob | None:
        settings, now = self._settings, self._clock.monotonic()
        self._resting = {job: until for job, until in self._resting.items() if until > now}
        alive = {job.id for job in self.standing if job.beat}
        self._starting = {
            job: until for job, until in self._starting.items() if until > now and job not in alive
        }
        left_alone = {*self._resting, *self._starting}
        return self._store.claim(
            self._holder, self._watch, settings.most_running, settings.lease_s, left_alone
        )

    async def _begin(self, job: BatchJob) -> None:
        if job.attempts > self._settings.attempts:
            await self._fail(job, "its process ended without a word")
            return
        try:
            self._processes.start(job)
        except NotReady as error:
            reason = str(error)
            self._rest(job)
            await self._fenced(lambda: self._store.move(job.id, job.token, "queued", reason))
            raise
        self._starting[job.id] = self._clock.monotonic() + STARTS_WITHIN_S
        self.counts.follow(job)
        what = "begins" if job.token == 1 else "goes on"
        await self._note(job, "info", f"{what} on {self._holder}")

    async def _settle(self, ended: EndedProcess) -> None:
        """A process that did what it should has told the store; of others the job is queued."""
        self._starting.pop(ended.job, None)
        job = await self._found(ended.job)
        if job is None or job.token != ended.token or not job.held:
            return
        reason = f"its process ended ({how(ended.status)})"
        log.error("job process died", job=job.id, attempts=job.attempts, reason=reason)
        self.counts.deaths += 1
        if job.attempts >= self._settings.attempts:
            await self._fail(job, reason)
            return
        self._rest(job)
        await self._fenced(lambda: self._store.move(job.id, job.token, "queued", reason))
        await self._note(job, "warning", f"{reason}; it goes on behind what is committed")

    async def _fail(self, job: BatchJob, reason: str) -> None:
        said = (
            f"{reason}, {job.attempts} times in succession without a partition committed; see the"
            f" log of the node, then `augurium batch retry {job.id}`"
        )
        await self._fenced(lambda: self._store.move(job.id, job.token, "failed", said))
        await self._note(job, "error", said)

    async def _note(self, job: BatchJob, level: Level, text: str) -> None:
        await asyncio.to_thread(self._store.log, job.id, level, text)

    async def _fenced(self, change: Callable[[], object]) -> None:
        """A change to a job that somebody else may have taken over meanwhile."""
        with contextlib.suppress(LeaseLost):
            await asyncio.to_thread(change)

    def _rest(self, job: BatchJob) -> None:
        rest_s = min(FIRST_REST_S * 2.0 ** max(0, job.attempts - 1), LONGEST_REST_S)
        self._resting[job.id] = self._clock.monotonic() + rest_s

    async def _sweep(self) -> None:
        now, keep_s = self._clock.monotonic(), self._settings.keep_days * DAY_S
        due = self._swept_at is None or now - self._swept_at >= SWEEP_EVERY_S
        if not due or not keep_s:
            return
        self._swept_at = now
        swept = await asyncio.to_thread(self._store.sweep, keep_s)
        if swept:
            log.info("old batch jobs forgotten", count=len(swept))
