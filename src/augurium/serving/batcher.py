"""The dynamic batcher of one version: gathers rows of many requests into one model run.

It is work-conserving. While nothing runs, whatever arrived in one turn of the event loop runs at
the end of that turn (`idle`). While something runs, requests collect; another run starts beside it
when they fill a batch (`full`) or the oldest has waited `max_queue_delay_ms` (`delay`), up to
`max_concurrent_runs`.

The batcher owns its queue and lives on one event loop; each entry carries its own future, so there
is no table to fall out of step. Callers that left and deadlines that passed are dropped before a
run.
"""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor as ThreadPool

from augurium.core.errors import InvalidArgument, Overloaded
from augurium.core.inference import Answer
from augurium.core.tensors import Array
from augurium.serving.batch_run import BatchResult, Entry, run_batch
from augurium.serving.executor import INLINE_LIMIT_S, Executor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import BatchingPolicy


class Batcher:
    """Feeds one executor. Every method is called on the event loop `loop`."""

    def __init__(
        self,
        executor: Executor,
        policy: BatchingPolicy,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
        max_concurrent_runs: int = 2,
    ) -> None:
        self._executor = executor
        self._policy = policy
        self._delay_s = policy.max_queue_delay_ms / 1000
        self._metrics = metrics
        self._loop = loop
        self._threads = threads
        self._max_concurrent_runs = max_concurrent_runs
        self._queue: deque[Entry] = deque()
        self._queued_rows = 0
        self._running = 0
        self._running_entries = 0
        self._flush_due = False
        self._delay_timer: asyncio.TimerHandle | None = None
        self._drained: list[asyncio.Future[None]] = []

    def submit(
        self,
        inputs: Sequence[Array],
        rows: int,
        deadline: float,
        key: object = None,
    ) -> "asyncio.Future[Answer]":
        """Queues one request; the future gives its rows of the outputs, in the signature's order.

        `inputs` are in the signature's order, `rows` long each. Raises InvalidArgument for
        more rows than a batch may hold and Overloaded when the queue is full; the future raises
        DeadlineExceeded or ModelFailed.
        """
        policy = self._policy
        if rows > policy.max_batch_size:
            raise InvalidArgument(
                f"inference request batch-size must be <= {policy.max_batch_size}, got {rows};"
                " split the request or raise the version's max_batch_size"
            )
        if self._queued_rows + rows > policy.max_queue_rows:
            raise Overloaded("Exceeds maximum queue size")
        entry = Entry(inputs, rows, deadline, self._loop.create_future(), key)
        self._queue.append(entry)
        self._queued_rows += rows
        if not self._flush_due:
            self._schedule()
        return entry.future

    @property
    def pending(self) -> int:
        """Requests that wait or run."""
        return len(self._queue) + self._running_entries

    async def drain(self) -> None:
        """Returns when nothing waits and nothing runs."""
        while self.pending:
            waiter = self._loop.create_future()
            self._drained.append(waiter)
            await waiter

    def _schedule(self) -> None:
        if not self._running or (
            self._queued_rows >= self._policy.max_batch_size
            and self._running < self._max_concurrent_runs
        ):
            self._flush_due = True
            self._loop.call_soon(self._flush)
            return
        entry = self._queue[-1]
        self._arm(entry)
        if self._delay_timer is None and self._running < self._max_concurrent_runs:
            self._delay_timer = self._loop.call_later(self._delay_s, self._delay_passed)

    def _delay_passed(self) -> None:
        self._delay_timer = None
        self._flush()

    def _flush(self) -> None:
        """Starts as many runs as are due; after a run on the loop itself, the loop gets its turn
        first.
        """
        self._flush_due = False
        while self._queue and self._running < self._max_concurrent_runs:
            reason = self._release_reason()
            if reason is None:
                break
            batch, rows = self._take()
            if not batch:
                continue
            if self._start(batch, rows, reason):
                break
        if self._queue and not self._flush_due:
            self._wait_for_more()
        elif not self._queue and not self._running:
            self._tell_drained()

    def _release_reason(self) -> str | None:
        if not self._running:
            return "idle"
        if self._queued_rows >= self._policy.max_batch_size:
            return "full"
        if time.monotonic() - self._queue[0].enqueued >= self._delay_s:
            return "delay"
        return None

    def _wait_for_more(self) -> None:
        if not self._running:
            self._flush_due = True
            self._loop.call_soon(self._flush)
            return
        for entry in self._queue:
            self._arm(entry)
        if self._delay_timer is None and self._running < self._max_concurrent_runs:
            waited_s = time.monotonic() - self._queue[0].enqueued
            self._delay_timer = self._loop.call_later(
                max(0.0, self._delay_s - waited_s), self._delay_passed
            )

    def _take(self) -> tuple[list[Entry], int]:
        """The oldest entries that fit into one batch, without those whose caller left or whose
        deadline passed.
        """
        batch: list[Entry] = []
        rows = 0
        now = time.monotonic()
        while self._queue:
            entry = self._queue[0]
            if rows and (
                rows + entry.rows > self._policy.max_batch_size or entry.key != batch[0].key
            ):
                break
            self._queue.popleft()
            self._queued_rows -= entry.rows
            if entry.deadline <= now:
                entry.expire()
            if entry.future.done():
                if entry.timer is not None:
                    entry.timer.cancel()
                continue
            batch.append(entry)
            rows += entry.rows
            self._metrics.queue_s.observe(now - entry.enqueued)
        return batch, rows

    def _start(self, batch: list[Entry], rows: int, reason: str) -> bool:
        """Runs a batch here (True) or on a thread (False)."""
        releases = self._metrics.releases
        releases[reason] = releases.get(reason, 0) + 1
        if self._executor.expected_s(rows) <= INLINE_LIMIT_S:
            self._finish(run_batch(self._executor, batch))
            return True
        self._running += 1
        self._running_entries += len(batch)
        for entry in batch:
            self._arm(entry)
        run = self._loop.run_in_executor(self._threads, run_batch, self._executor, batch)
        run.add_done_callback(functools.partial(self._run_ended, batch))
        return False

    def _run_ended(self, batch: list[Entry], run: "asyncio.Future[BatchResult]") -> None:
        self._running -= 1
        self._running_entries -= len(batch)
        self._finish(run.result())
        if self._delay_timer is not None:
            self._delay_timer.cancel()
            self._delay_timer = None
        if not self._flush_due:
            self._flush()

    def _finish(self, result: BatchResult) -> None:
        for execution in result.executions:
            self._metrics.ran(*execution)
        for entry, outcome in result.outcomes:
            entry.settle(outcome)

    def _arm(self, entry: Entry) -> None:
        """From here on the entry may wait for longer than this turn: its deadline needs a timer."""
        if entry.timer is None:
            entry.timer = self._loop.call_later(
                max(0.0, entry.deadline - time.monotonic()), entry.expire
            )

    def _tell_drained(self) -> None:
        for waiter in self._drained:
            if not waiter.done():
                waiter.set_result(None)
        self._drained.clear()
