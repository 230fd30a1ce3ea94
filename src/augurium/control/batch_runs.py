"""Runs of schedules, carried from a claim to the end of their job."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from glob import escape
from typing import Protocol

import structlog
from msgspec.structs import replace

from augurium.batch.templates import job_of
from augurium.core.batch_job import BatchSpec
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, DeadlineExceeded, NotFound, NotReady, Overloaded
from augurium.core.time_zones import time_zone
from augurium.registry.batch_records import BatchJob, JobState
from augurium.registry.batch_schedule_records import BatchRun, BatchSchedule, RunState
from augurium.registry.batch_schedule_store import BatchScheduleStore

# what may be otherwise soon; for so long it is tried again
PASSING = (NotReady, Overloaded, DeadlineExceeded)
TRIED_FOR_S = 3600.0
FIRST_REST_S = 2.0
LONGEST_REST_S = 60.0
ENDS: dict[JobState, RunState] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
log = structlog.get_logger()


class Jobs(Protocol):
    """Where jobs are submitted: `BatchJobs`."""

    async def submit(
        self,
        spec: BatchSpec,
        actor: str,
        idempotency_key: str | None = None,
        schedule: str = "",
        due_at: datetime | None = None,
    ) -> BatchJob:
        """The same key again gives the job that it made before."""
        ...

    async def get(self, job: str) -> BatchJob:
        """One job. Raises NotFound."""
        ...


class BatchRuns:
    """Submits the job of a run when its turn has come, and writes down how it ended.

    One job of a schedule at a time. Several controls may do so with the same runs: they submit
    under the same key, so that there is one job.
    """

    def __init__(self, store: BatchScheduleStore, jobs: Jobs, clock: Clock) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        # by run: until when it is left alone, and for how long the next time
        self._resting: dict[str, tuple[float, float]] = {}

    async def follow(self, schedule: BatchSchedule, runs: Sequence[BatchRun]) -> Sequence[BatchRun]:
        """Brings the open runs of a schedule as far as they come now; those that are still open.

        One that is paused begins none.
        """
        running = [run for run in runs if run.state == "running" and not await self._ended(run)]
        waiting = [run for run in runs if run.state == "waiting"]
        if waiting and not running and not schedule.paused:
            # what the clock or files want goes before what was ordered, such as a year of the past
            run = min(waiting, key=lambda one: (one.kind == "ordered", one.start, one.number))
            resting_until, _ = self._resting.get(run.id, (0.0, 0.0))
            if self._clock.monotonic() >= resting_until:
                await self._submit(schedule, run)
        return [*running, *waiting]

    async def _ended(self, run: BatchRun) -> bool:
        try:
            job = await self._jobs.get(run.job)
        except NotFound:
            return await self._move(run, "failed", reason="its job was removed before its end")
        if job.state not in ENDS:
            return False
        return await self._move(run, ENDS[job.state], reason=job.reason)

    async def _submit(self, schedule: BatchSchedule, run: BatchRun) -> None:
        try:
            job = await self._submitted(schedule, run)
        except PASSING as error:
            if (self._clock.now() - run.created_at).total_seconds() < TRIED_FOR_S:
                await self._rest(run, str(error))
                return
            await self._failed(run, f"no job could begin for an hour: {error}")
        except AuguriumError as error:
            await self._failed(run, str(error))
        else:
            self._resting.pop(run.id, None)
            await self._move(run, "running", job=job.id)

    async def _submitted(self, schedule: BatchSchedule, run: BatchRun) -> BatchJob:
        spec = schedule.spec
        job = job_of(spec.job, run.interval, time_zone(spec.timezone), run.number)
        if run.files:
            files = await asyncio.to_thread(self._store.files, run)
            job = replace(job, input=replace(job.input, paths=tuple(map(_literal, files))))
        return await self._jobs.submit(job, schedule.actor, run.key, schedule.name, run.end)

    async def _failed(self, run: BatchRun, reason: str) -> None:
        self._resting.pop(run.id, None)
        await self._move(run, "failed", reason=reason)

    async def _rest(self, run: BatchRun, reason: str) -> None:
        _, rest_s = self._resting.get(run.id, (0.0, FIRST_REST_S))
        if reason != run.reason:
            log.warning("scheduled job waits", schedule=run.schedule, run=run.number, reason=reason)
            await self._move(run, "waiting", reason=reason)
        until = self._clock.monotonic() + rest_s
        self._resting[run.id] = (until, min(2 * rest_s, LONGEST_REST_S))

    async def _move(self, run: BatchRun, state: RunState, job: str = "", reason: str = "") -> bool:
        await asyncio.to_thread(self._store.move, run, state, job, reason)
        return True


def _literal(location: str) -> str:
    """A location whose name has no wildcards; a path of this machine is looked up as it is."""
    return escape(location) if "://" in location else location
