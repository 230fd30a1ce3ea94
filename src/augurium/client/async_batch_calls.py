"""The part of the client for asyncio that submits batch jobs, watches and commands them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

import msgspec

from augurium.client.async_connection import AsyncConnection
from augurium.client.batch_calls import (
    SUBMIT_TIMEOUT_S,
    Order,
    never_had,
    query,
    submission_headers,
)
from augurium.client.batch_results import (
    BatchJob,
    BatchJobs,
    BatchJobSummary,
    BatchLog,
    BatchLogLine,
    JobState,
)
from augurium.client.batch_run import (
    FIRST_LOOK_S,
    GROWTH,
    LOOK_EVERY_S,
    PATIENCE_S,
    succeeded,
    too_slow,
)
from augurium.client.batch_spec import BatchOptions, Location, batch_spec
from augurium.client.connection import api_url
from augurium.client.deadline import Deadline
from augurium.client.rollout_calls import is_rollout_id
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import NotReady

Result = TypeVar("Result")


class AsyncBatchCalls:
    """As `BatchCalls`, for asyncio."""

    _connection: AsyncConnection
    _timeout_s: float

    async def batch(
        self,
        model: str,
        inputs: Location | Sequence[Location],
        output: Location,
        **options: Unpack[BatchOptions],
    ) -> "AsyncBatchRun":
        """As `Client.batch`."""
        return await self.submit_batch(batch_spec(model, inputs, output, **options))

    async def submit_batch(
        self, spec: BatchSpec, idempotency_key: str | None = None
    ) -> "AsyncBatchRun":
        """As `Client.submit_batch`."""
        headers = {"content-type": "application/json", **submission_headers(idempotency_key)}
        deadline = Deadline(max(self._timeout_s, SUBMIT_TIMEOUT_S))
        job = await self._connection.post(
            self._job_url(), BatchJob, msgspec.json.encode(spec), headers, deadline
        )
        return AsyncBatchRun(self, job)

    async def batch_run(self, which: str) -> "AsyncBatchRun":
        """As `Client.batch_run`."""
        return AsyncBatchRun(self, await self.batch_job(which))

    async def batch_job(self, which: str) -> BatchJob:
        """As `Client.batch_job`."""
        return await self._job("GET", (await self.batch_id(which),), BatchJob)

    async def batch_jobs(
        self,
        model: str | None = None,
        states: Sequence[JobState] = (),
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[BatchJobSummary, ...]:
        """As `Client.batch_jobs`."""
        url = self._job_url() + query(model, states, limit, before)
        found = await self._connection.get(url, BatchJobs, Deadline(self._timeout_s))
        return found.jobs

    async def batch_id(self, which: str) -> str:
        """As `Client.batch_id`."""
        if is_rollout_id(which):
            return which
        found = await self.batch_jobs(which, limit=1)
        if not found:
            raise never_had(which)
        return found[0].id

    async def order_batch_job(self, which: str, order: Order) -> BatchJob:
        """As `Client.order_batch_job`."""
        return await self._job("POST", (await self.batch_id(which), order), BatchJob)

    async def batch_log(self, which: str, after: int = 0) -> tuple[BatchLogLine, ...]:
        """As `Client.batch_log`."""
        asked = (await self.batch_id(which), "logs")
        found = await self._job("GET", asked, BatchLog, {"after": str(after)})
        return found.lines

    async def batch_report(self, which: str) -> dict[str, Any]:
        """As `Client.batch_report`."""
        return await self._job("GET", (await self.batch_id(which), "report"), dict[str, Any])

    async def _job(
        self,
        method: str,
        further: tuple[str, ...],
        result: type[Result],
        parameters: Mapping[str, str] | None = None,
    ) -> Result:
        return await self._connection.call(
            method,
            self._job_url(*further),
            result,
            Deadline(self._timeout_s),
            parameters=parameters,
        )

    def _job_url(self, *further: object) -> str:
        return api_url(self._connection.url, "batch-jobs", *further)


class AsyncBatchRun:
    """As `BatchRun`, for asyncio."""

    def __init__(self, calls: AsyncBatchCalls, job: BatchJob) -> None:
        self._calls = calls
        self.job = job

    @property
    def id(self) -> str:
        """By which it is found again."""
        return self.job.id

    async def refresh(self) -> BatchJob:
        """Looks at it now."""
        self.job = await self._calls.batch_job(self.id)
        return self.job

    async def looks(self, longest_s: float = LOOK_EVERY_S) -> AsyncIterator[BatchJob]:
        """As `BatchRun.looks`, for `async for`."""
        seen, pause_s = time.monotonic(), FIRST_LOOK_S
        yield self.job
        while not self.job.ended:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, longest_s)
            try:
                await self.refresh()
            except NotReady:
                if time.monotonic() - seen > PATIENCE_S:
                    raise
            else:
                seen = time.monotonic()
                yield self.job

    async def wait(
        self, timeout_s: float | None = None, progress: Callable[[BatchJob], None] | None = None
    ) -> BatchJob:
        """As `BatchRun.wait`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        async for job in self.looks():
            if progress is not None:
                progress(job)
            if until is not None and not job.ended and time.monotonic() >= until:
                raise too_slow(job, timeout_s)
        return succeeded(self.job)

    async def pause(self) -> BatchJob:
        """As `BatchRun.pause`."""
        return await self._ordered("pause")

    async def resume(self) -> BatchJob:
        """As `BatchRun.resume`."""
        return await self._ordered("resume")

    async def cancel(self) -> BatchJob:
        """As `BatchRun.cancel`."""
        return await self._ordered("cancel")

    async def retry(self) -> BatchJob:
        """As `BatchRun.retry`."""
        return await self._ordered("retry")

    async def log(self, after: int = 0) -> tuple[BatchLogLine, ...]:
        """As `BatchRun.log`."""
        return await self._calls.batch_log(self.id, after)

    async def report(self) -> dict[str, Any]:
        """As `BatchRun.report`."""
        return await self._calls.batch_report(self.id)

    async def _ordered(self, order: Order) -> BatchJob:
        self.job = await self._calls.order_batch_job(self.id, order)
        return self.job
