"""What the management API says of schedules of batch jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from augurium.core.batch_schedule import BatchScheduleSpec, Interval
from augurium.registry.batch_schedule_records import BatchRun, BatchSchedule


class NextRun(msgspec.Struct, frozen=True):
    """A run to come: it begins when its interval has ended, at `end`."""

    start: datetime
    end: datetime


class BatchScheduleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule in a list. `cron` is empty for one on arrival of files; `next_at` None where that
    or a pause keeps it from being known. `problem` is what it waits for, if anything.
    """

    name: str
    model: str
    cron: str
    timezone: str
    on_arrival: bool
    paused: bool
    next_at: datetime | None
    last_run: BatchRun | None
    problem: str
    created_at: datetime
    created_by: str


class BatchScheduleDetail(BatchScheduleSummary, frozen=True, kw_only=True):
    """All that is known of a schedule: what was asked for, its next runs, and its newest ones."""

    spec: BatchScheduleSpec
    through: datetime
    next_runs: list[NextRun]
    runs: list[BatchRun]


class BatchScheduleList(msgspec.Struct, frozen=True):
    """Schedules by name."""

    schedules: list[BatchScheduleSummary]


class BatchRunList(msgspec.Struct, frozen=True):
    """Runs of a schedule, the newest first."""

    runs: list[BatchRun]


class OrderedRuns(msgspec.Struct, frozen=True):
    """Runs that were asked for, the oldest first; `left_out` counts intervals that had theirs."""

    runs: list[BatchRun]
    left_out: int = 0


def summary(
    schedule: BatchSchedule, next_runs: Sequence[Interval], runs: Sequence[BatchRun], problem: str
) -> BatchScheduleSummary:
    """A schedule as it stands in a list."""
    return BatchScheduleSummary(**_fields(schedule, next_runs, runs, problem))


def detail(
    schedule: BatchSchedule, next_runs: Sequence[Interval], runs: Sequence[BatchRun], problem: str
) -> BatchScheduleDetail:
    """A schedule with all that is known of it."""
    return BatchScheduleDetail(
        **_fields(schedule, next_runs, runs, problem),
        spec=schedule.spec,
        through=schedule.through,
        next_runs=[NextRun(*interval) for interval in next_runs],
        runs=list(runs),
    )


def _fields(
    schedule: BatchSchedule, next_runs: Sequence[Interval], runs: Sequence[BatchRun], problem: str
) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "model": schedule.model,
        "cron": schedule.spec.cron,
        "timezone": schedule.spec.timezone,
        "on_arrival": schedule.spec.arrival is not None,
        "paused": schedule.paused,
        "next_at": next_runs[0].end if next_runs else None,
        "last_run": runs[0] if runs else None,
        "problem": problem,
        "created_at": schedule.created_at,
        "created_by": schedule.created_by,
    }
