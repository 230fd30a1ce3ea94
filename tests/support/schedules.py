"""A registry in memory with schedules of batch jobs, controls that look after them, and a clock
that can be set.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from augurium.control.batch_arrivals import BatchArrivals
from augurium.control.batch_notices import BatchNotice
from augurium.control.batch_runs import BatchRuns
from augurium.control.batch_schedules import BatchSchedules
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.clock import Clock, ManualClock
from augurium.core.errors import AuguriumError
from augurium.registry.batch_records import BatchDraft, BatchJob, JobPlan, JobState
from augurium.registry.batch_schedule_records import ArrivedFile, BatchRun
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from augurium.registry.memory_batch_schedules import MemoryBatchSchedules
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


class SetClock(ManualClock):
    """A manual clock whose hands may be moved too."""

    def set(self, by: timedelta) -> None:
        """Sets the wall clock forward or back; the monotonic one goes on as it was."""
        self._start += by


class SkewedClock:
    """A clock that is always ahead of another one, or behind it."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> datetime:
        return self._clock.now() + self._ahead


class MemoryJobs:
    """Submits jobs to a store without a look at their input; `refusal` is raised instead of it."""

    def __init__(self, store: MemoryBatchJobs) -> None:
        self.refusal: AuguriumError | None = None
        self._store = store

    async def submit(
        self,
        spec: BatchSpec,
        actor: str,
        idempotency_key: str | None = None,
        schedule: str = "",
        due_at: datetime | None = None,
    ) -> BatchJob:
        draft = BatchDraft(
            spec=spec,
            version=1,
            schedule=schedule,
            due_at=due_at,
            idempotency_key=idempotency_key,
        )
        if (known := self._store.submitted(draft)) is not None:
            return known
        if self.refusal is not None:
            raise self.refusal
        return self._store.submit(draft, actor)

    async def get(self, job: str) -> BatchJob:
        return self._store.get(job)


class MemoryPlaces:
    """Files by location: their identity."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.refusal: AuguriumError | None = None

    def files(self, path: str) -> Sequence[ArrivedFile]:
        if self.refusal is not None:
            raise self.refusal
        below = path.removesuffix("*.parquet")
        return [
            ArrivedFile(location, identity)
            for location, identity in self.content.items()
            if location.startswith(below) and not location.endswith("_SUCCESS")
        ]

    def has(self, location: str) -> bool:
        return location in self.content


class Schedules:
    """One registry, and as many controls as a test asks for."""

    def __init__(self, draft: VersionDraft) -> None:
        self.clock = SetClock(TEN)
        self.registry = MemoryRegistry(self.clock)
        self.registry.register("fraud", draft, "ann")
        self.store = MemoryBatchSchedules(self.registry, self.clock)
        self.job_store = MemoryBatchJobs(self.registry, self.clock)
        self.jobs = MemoryJobs(self.job_store)
        self.places = MemoryPlaces()
        self.told: list[BatchNotice] = []
        self.deaf = False
        self.control = self.another_control()

    def another_control(self, ahead: timedelta = timedelta(0)) -> BatchSchedules:
        """As another node of the registry has it, or this one after a restart; its clock may be
        ahead.
        """
        clock = SkewedClock(self.clock, ahead)
        return BatchSchedules(
            self.store,
            BatchRuns(self.store, self.jobs, clock),
            BatchArrivals(self.store, self.places, clock),
            self.tell,
            clock,
        )

    async def tell(self, notice: BatchNotice) -> None:
        """Takes what receivers are told; while `deaf`, control ends before they have answered."""
        self.told.append(notice)
        if self.deaf:
            raise asyncio.CancelledError

    async def create(self, **fields: Any) -> None:
        """The schedule `hourly`, with these fields instead of the usual ones."""
        await self.control.create("hourly", hourly(**fields), "ann")

    async def turns(self, *controls: BatchSchedules) -> None:
        """Lets controls do all that there is to do at this time."""
        for _ in range(5):
            for control in controls or (self.control,):
                await control.turn()
            for control in controls or (self.control,):
                await control.settled()

    async def later(self, by: timedelta) -> None:
        """Lets time pass, then lets control do what there is to do."""
        self.clock.advance(by.total_seconds())
        await self.turns()

    def end(self, job: BatchJob, state: JobState = "succeeded", reason: str = "") -> None:
        """Has a job run and end."""
        held = self.job_store.claim("somebody", LeaseWatch(self.clock), 1000, 15.0)
        assert held is not None
        assert held.id == job.id
        if state == "succeeded":
            self.job_store.plan(job.id, held.token, JobPlan(content=b"", partitions=0))
            self.job_store.move(job.id, held.token, "publishing")
        self.job_store.move(job.id, held.token, state, reason)

    @property
    def submitted(self) -> list[BatchJob]:
        """All jobs, the oldest first."""
        return list(self.job_store.find(limit=1000))[::-1]

    @property
    def runs(self) -> list[BatchRun]:
        """All runs of the schedule, the oldest first."""
        return list(self.store.runs("hourly", 1000))[::-1]


def hourly(**fields: Any) -> BatchScheduleSpec:
    """The spec of a schedule that runs every hour, with these fields instead of the usual ones."""
    job = BatchSpec(
        model="fraud",
        input=InputSpec(paths=("/in/{date}/{hour}",)),
        output=OutputSpec(path="/out/{start}"),
    )
    given: dict[str, Any] = {"job": job, "cron": "hourly"}
    return BatchScheduleSpec(**(given | fields))
