"""The part of the client for asyncio that keeps schedules of batch jobs."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Unpack

import msgspec

from augurium.client.async_connection import AsyncConnection
from augurium.client.batch_schedule_calls import (
    ScheduledJobOptions,
    ScheduleOrder,
    run_parameters,
    schedule_spec,
    split_options,
)
from augurium.client.batch_schedule_results import (
    BatchSchedule,
    BatchSchedules,
    BatchScheduleSummary,
    ScheduledRun,
    ScheduledRuns,
)
from augurium.client.batch_spec import Location, batch_spec
from augurium.client.connection import api_url
from augurium.client.deadline import Deadline
from augurium.core.batch_schedule import BatchScheduleSpec

Result = TypeVar("Result")


class AsyncBatchScheduleCalls:
    """As `BatchScheduleCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def schedule_batch(
        self,
        name: str,
        model: str,
        inputs: Location | Sequence[Location],
        output: Location,
        replace: bool = False,
        **options: Unpack[ScheduledJobOptions],
    ) -> BatchSchedule:
        """As `Client.schedule_batch`."""
        schedule, job = split_options(options)
        spec = schedule_spec(batch_spec(model, inputs, output, **job), **schedule)
        return await self.keep_batch_schedule(name, spec, replace)

    async def keep_batch_schedule(
        self, name: str, spec: BatchScheduleSpec, replace: bool = False
    ) -> BatchSchedule:
        """As `Client.keep_batch_schedule`."""
        body = {"name": name, "spec": msgspec.to_builtins(spec), "replace": replace}
        return await self._schedules("POST", (), BatchSchedule, body)

    async def batch_schedules(self, model: str | None = None) -> tuple[BatchScheduleSummary, ...]:
        """As `Client.batch_schedules`."""
        parameters = {"model": model} if model else {}
        found = await self._schedules("GET", (), BatchSchedules, parameters=parameters)
        return found.schedules

    async def batch_schedule(self, name: str, upcoming: int = 5) -> BatchSchedule:
        """As `Client.batch_schedule`."""
        parameters = {"upcoming": str(upcoming)}
        return await self._schedules("GET", (name,), BatchSchedule, parameters=parameters)

    async def batch_schedule_runs(
        self, name: str, limit: int = 100, before: int | None = None
    ) -> tuple[ScheduledRun, ...]:
        """As `Client.batch_schedule_runs`."""
        parameters = run_parameters(limit, before)
        found = await self._schedules("GET", (name, "runs"), ScheduledRuns, parameters=parameters)
        return found.runs

    async def run_batch_schedule(
        self, name: str, first: str = "", last: str = "", again: bool = False
    ) -> ScheduledRuns:
        """As `Client.run_batch_schedule`."""
        body = {"first": first, "last": last, "again": again}
        return await self._schedules("POST", (name, "runs"), ScheduledRuns, body)

    async def order_batch_schedule(self, name: str, order: ScheduleOrder) -> BatchSchedule:
        """As `Client.order_batch_schedule`."""
        return await self._schedules("POST", (name, order), BatchSchedule)

    async def delete_batch_schedule(self, name: str) -> BatchScheduleSummary:
        """As `Client.delete_batch_schedule`."""
        return await self._schedules("DELETE", (name,), BatchScheduleSummary)

    async def _schedules(
        self,
        method: str,
        further: tuple[str, ...],
        result: type[Result],
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Result:
        url = api_url(self._connection.url, "batch-schedules", *further)
        deadline = Deadline(self._timeout_s)
        return await self._connection.call(method, url, result, deadline, body, parameters)
