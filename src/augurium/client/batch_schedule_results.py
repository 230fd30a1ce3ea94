"""What the server answers about schedules of batch jobs, typed."""

from datetime import datetime
from typing import Literal

import msgspec

from augurium.core.batch_schedule import BatchScheduleSpec

RunState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "skipped", "missed"]


class NextRun(msgspec.Struct, frozen=True):
    """A run to come, of the interval from `start` to `end`; it begins at `end`."""

    start: datetime
    end: datetime


class ScheduledRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a schedule has run, or not: `kind` is interval, arrival or ordered, `job` the id of its
    job, empty without one. `count` says how many intervals were missed, `files` how many arrived.
    """

    id: str
    number: int
    schedule: str
    model: str
    kind: str
    start: datetime
    end: datetime
    state: RunState
    reason: str = ""
    count: int = 1
    files: int = 0
    job: str = ""
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None


class BatchScheduleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule in a list: when it runs next and what it ran last. `cron` is empty for one on
    arrival of files; `problem` is what it waits for, if anything.
    """

    name: str
    model: str
    cron: str
    timezone: str
    on_arrival: bool
    paused: bool
    next_at: datetime | None = None
    last_run: ScheduledRun | None = None
    problem: str = ""
    created_at: datetime
    created_by: str


class BatchSchedule(BatchScheduleSummary, frozen=True, kw_only=True):
    """All that is known of a schedule: `spec` is what was asked for, `through` up to when it has
    dealt with what there is, `runs` are its newest ones.
    """

    spec: BatchScheduleSpec
    through: datetime
    next_runs: tuple[NextRun, ...] = ()
    runs: tuple[ScheduledRun, ...] = ()


class BatchSchedules(msgspec.Struct, frozen=True):
    """The server's answer with a list of schedules."""

    schedules: tuple[BatchScheduleSummary, ...]


class ScheduledRuns(msgspec.Struct, frozen=True):
    """Runs of a schedule; `left_out` counts intervals that were asked for and had their job."""

    runs: tuple[ScheduledRun, ...]
    left_out: int = 0
