"""The part of the client that keeps schedules of batch jobs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import msgspec

from augurium.client.batch_schedule_results import (
    BatchSchedule,
    BatchSchedules,
    BatchScheduleSummary,
    ScheduledRun,
    ScheduledRuns,
)
from augurium.client.batch_spec import BatchOptions, Location, batch_spec
from augurium.client.connection import Connection, api_url
from augurium.core.batch_job import BatchSpec
from augurium.core.batch_schedule import Arrival, BatchScheduleSpec
from augurium.core.errors import InvalidArgument

ScheduleOrder = Literal["pause", "resume"]


class ScheduleOptions(TypedDict, total=False):
    """When a schedule runs: by `cron` (five fields, or hourly, daily, weekly, monthly) by the
    clocks of `timezone`, or `on_arrival` of files; see `BatchScheduleSpec` for the others.
    """

    cron: str
    timezone: str
    on_arrival: Arrival | None
    catch_up: bool
    most_catch_up: int
    overlap: str


class ScheduledJobOptions(ScheduleOptions, BatchOptions, total=False):
    """What may be said of a schedule and of its jobs."""


def schedule_spec(job: BatchSpec, **options: Unpack[ScheduleOptions]) -> BatchScheduleSpec:
    """A schedule of a job. Raises InvalidArgument for what does not fit."""
    given: dict[str, Any] = {"job": msgspec.to_builtins(job), **options}
    arrival = given.pop("on_arrival", None)
    try:
        if arrival is not None:
            given["arrival"] = msgspec.to_builtins(arrival)
        return msgspec.convert(given, BatchScheduleSpec)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the schedule does not fit: {error}") from error


def split_options(options: Mapping[str, Any]) -> tuple[ScheduleOptions, BatchOptions]:
    """What is said of the schedule, and of its jobs."""
    names = ScheduleOptions.__optional_keys__
    schedule: Any = {name: value for name, value in options.items() if name in names}
    job: Any = {name: value for name, value in options.items() if name not in names}
    return schedule, job


class BatchScheduleCalls:
    """Batch jobs that run by the clock or on arrival of files."""

    _connection: Connection

    def schedule_batch(
        self,
        name: str,
        model: str,
        inputs: Location | Sequence[Location],
        output: Location,
        replace: bool = False,
        **options: Unpack[ScheduledJobOptions],
    ) -> BatchSchedule:
        """Keeps a schedule of jobs as `batch` submits them. In `inputs`, `output` and `where`,
        `{date}`, `{hour}`, `{start}` and others stand for the interval that has just ended. With
        `replace` one of this name is changed, and keeps its runs.

        Raises InvalidArgument for one that cannot be, and Conflict for a name that is taken.
        """
        schedule, job = split_options(options)
        spec = schedule_spec(batch_spec(model, inputs, output, **job), **schedule)
        return self.keep_batch_schedule(name, spec, replace)

    def keep_batch_schedule(
        self, name: str, spec: BatchScheduleSpec, replace: bool = False
    ) -> BatchSchedule:
        """As `schedule_batch`."""
        body = {"name": name, "spec": spec, "replace": replace}
        return self._connection.call("POST", self._schedules(), BatchSchedule, body=body)

    def batch_schedules(self, model: str | None = None) -> tuple[BatchScheduleSummary, ...]:
        """Schedules by name: of one model or of all."""
        parameters = {"model": model} if model else {}
        found = self._connection.call(
            "GET", self._schedules(), BatchSchedules, parameters=parameters
        )
        return found.schedules

    def batch_schedule(self, name: str, upcoming: int = 5) -> BatchSchedule:
        """How a schedule stands, with so many of its next runs. Raises NotFound."""
        parameters = {"upcoming": str(upcoming)}
        return self._connection.call(
            "GET", self._schedules(name), BatchSchedule, parameters=parameters
        )

    def batch_schedule_runs(
        self, name: str, limit: int = 100, before: int | None = None
    ) -> tuple[ScheduledRun, ...]:
        """What a schedule has run, the newest first, those with a number below `before`."""
        found = self._connection.call(
            "GET",
            self._schedules(name, "runs"),
            ScheduledRuns,
            parameters=run_parameters(limit, before),
        )
        return found.runs

    def run_batch_schedule(
        self, name: str, first: str = "", last: str = "", again: bool = False
    ) -> ScheduledRuns:
        """Runs the intervals that begin from `first` to `last`, ISO 8601 days (with all of the
        last) or times; the newest that has ended if both are empty. Those that had a job are left
        out, unless `again`.

        Raises InvalidArgument where no interval has ended, and Conflict for one on arrival.
        """
        body = {"first": first, "last": last, "again": again}
        return self._connection.call(
            "POST", self._schedules(name, "runs"), ScheduledRuns, body=body
        )

    def order_batch_schedule(self, name: str, order: ScheduleOrder) -> BatchSchedule:
        """Pauses a schedule, or lets it go on. Raises NotFound."""
        return self._connection.call("POST", self._schedules(name, order), BatchSchedule)

    def delete_batch_schedule(self, name: str) -> BatchScheduleSummary:
        """Forgets a schedule, its runs and the files that it has seen; its jobs stay."""
        return self._connection.call("DELETE", self._schedules(name), BatchScheduleSummary)

    def _schedules(self, *further: object) -> str:
        return api_url(self._connection.url, "batch-schedules", *further)


def run_parameters(limit: int, before: int | None) -> dict[str, str]:
    """What of these is given, as a URL has it."""
    return {"limit": str(limit)} | ({} if before is None else {"before": str(before)})
