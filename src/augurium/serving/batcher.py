"""The dynamic batcher of one version: gathers rows of many requests into one model run.

It is work-conserving. While nothing runs, whatever arrived in one turn of the event loop runs at
the end of that turn (`idle`). While something runs, requests collect; another run starts beside it
when they fill a batch (`full`) or the oldest has waited `max_queue_delay_ms` (`delay`), up to
`max_concurrent_runs`. An executor in another process is given its next runs ahead: what waits there
is put together there.

The batcher owns its queue and lives on one event loop; each entry carries its own future, so there
is no table to fall out of step. Callers that left and deadlines that passed are dropped before a
run. Who may join a queue that does not fit into the next run is for `admission.py` to say, and what
matters more leaves it first.
"""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor as ThreadPool
from operator import attrgetter

from augurium.core.errors import InvalidArgument, Overloaded
from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving.admission import Admission
from augurium.serving.batch_run import BatchResult, BatchUnderWay, Entry, run_batch
from augurium.serving.executor import INLINE_LIMIT_S, AsyncExecutor, Executor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import BatchingPolicy

_NORMAL = Priority.NORMAL


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
        self.admission = Admission(
            policy.target_queue_delay_ms / 1000,
            policy.overload_interval_ms / 1000,
            policy.max_batch_size,
        )
        # a queue whose oldest has not waited longer is not looked at
        self._short_s = self.admission.delay.target_s or float("inf")
        # as long as no more wait, the next run takes them all
        self._unasked_rows = min(policy.max_batch_size, policy.max_queue_rows)
        self._metrics = metrics
        self._loop = loop
        self._threads = threads
        self._elsewhere = executor if isinstance(executor, AsyncExecutor) else None
        self._least_concurrent_runs = max_concurrent_runs
        self.look_ahead()
        self._queue: deque[Entry] = deque()
        self._queued_rows = 0
        # entries in the queue that are not of normal priority, and the rows of these
        self._ranked = 0
        self._critical_rows = 0
        self._batch_rows = 0
        # whether the last batch left others in the queue
        self._left_some = False
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
        priority: Priority = Priority.NORMAL,
    ) -> "asyncio.Future[Answer]":
        """Queues one request; the future gives its rows of the outputs, in the signature's order.

        `inputs` are in the signature's order, `rows` long each. Raises InvalidArgument for more
        rows than a batch may hold, Overloaded when the queue is full, and that or DeadlineExceeded
        when the answer would come too late; the future raises DeadlineExceeded, ModelFailed, or
        Overloaded for what was in the queue when it had to become shorter.
        """
        policy = self._policy
        if rows > policy.max_batch_size:
            raise InvalidArgument(
                f"inference request batch-size must be <= {policy.max_batch_size}, got {rows};"
                " split the request or raise the version's max_batch_size"
            )
        if self._running >= self._runs_ahead or self._queued_rows + rows > self._unasked_rows:
            self._admit(rows, deadline, priority)
        entry = Entry(inputs, rows, deadline, self._loop.create_future(), key, priority)
        self._queue.append(entry)
        self._queued_rows += rows
        if priority is not _NORMAL:
            self._ranked += 1
            if priority is Priority.CRITICAL:
                self._critical_rows += rows
            else:
                self._batch_rows += rows
        if not self._flush_due:
            self._schedule()
        return entry.future

    @property
    def pending(self) -> int:
        """Requests that wait or run."""
        return len(self._queue) + self._running_entries

    def set_overload(self, target_s: float, interval_s: float) -> None:
        """When its queue is too long, from now on; see `QueueDelay`."""
        self.admission.delay.set(target_s, interval_s)
        self._short_s = target_s or float("inf")

    def look_ahead(self) -> None:
        """Takes over how many runs its executor may be given ahead now."""
        # as long as fewer go on, nothing waits
        self._runs_ahead = self._elsewhere.runs_ahead if self._elsewhere else 1
        self._max_concurrent_runs = max(self._least_concurrent_runs, self._runs_ahead)

    async def drain(self) -> None:
        """Returns when nothing waits and nothing runs."""
        while self.pending:
            waiter = self._loop.create_future()
            self._drained.append(waiter)
            await waiter

    def _admit(self, rows: int, deadline: float, priority: Priority) -> None:
        """Raises Overloaded and DeadlineExceeded for who may not join the queue."""
        critical = priority is Priority.CRITICAL
        # who matters more goes first, whoever came before
        ahead = self._queued_rows
        if critical:
            ahead = self._critical_rows
        elif priority is _NORMAL:
            ahead -= self._batch_rows
        self.admission.check(
            ahead,
            rows,
            time.monotonic(),
            deadline,
            priority,
        )
        excess = self._queued_rows + rows - self._policy.max_queue_rows
        if excess <= 0:
            return
        if critical or (self._ranked and priority is Priority.NORMAL):
            lower = [entry for entry in self._queue if entry.priority > priority]
            if sum(entry.rows for entry in lower) >= excess:
                # the least important, and of these who has waited least
                lower.sort(key=attrgetter("priority"))
                self._give_up(reversed(lower), excess, self._full)
                return
        raise self._full()

    def _full(self) -> Overloaded:
        wait_s = self._queued_rows * self.admission.rate.row_s
        return Overloaded("Exceeds maximum queue size", wait_s or None)

    def _schedule(self) -> None:
        if self._running < self._runs_ahead or (
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
        if self._running < self._runs_ahead:
            return "idle"
        if self._queued_rows >= self._policy.max_batch_size:
            return "full"
        if time.monotonic() - self._queue[0].enqueued >= self._delay_s:
            return "delay"
        return None

    def _wait_for_more(self) -> None:
        if self._running < self._runs_ahead:
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
        if self._ranked or now - self._queue[0].enqueued > self._short_s:
            self._arrange(now)
        ranked = self._ranked
        while self._queue:
            entry = self._queue[0]
            if rows and (
                rows + entry.rows > self._policy.max_batch_size or entry.key != batch[0].key
            ):
                break
            self._queue.popleft()
            self._queued_rows -= entry.rows
            if ranked and entry.priority is not _NORMAL:
                self._uncount(entry)
            if entry.deadline <= now:
                entry.expire()
            if entry.future.done():
                if entry.timer is not None:
                    entry.timer.cancel()
                continue
            batch.append(entry)
            rows += entry.rows
            self._metrics.queue_s.observe(now - entry.enqueued)
        if self._queue or self._left_some:
            self._left_some = bool(self._queue)
            self.admission.rate.took(rows, now, self._left_some)
        return batch, rows

    def _arrange(self, now: float) -> None:
        """Before a batch is taken from a queue that stands, or in which some matter more."""
        delay = self.admission.delay
        oldest = (
            min(entry.enqueued for entry in self._queue)
            if self._ranked
            else (self._queue[0].enqueued)
        )
        if delay.left(now - oldest, now):
            excess = self._queued_rows - self.admission.limit_rows
            if excess > 0:
                self._shed(excess, now - oldest)
        self._short_s = 0.0 if delay.watching else delay.target_s or float("inf")
        if self._ranked and self._queued_rows > self._policy.max_batch_size:
            self._queue = deque(sorted(self._queue, key=attrgetter("priority")))

    def _shed(self, excess: int, wait_s: float) -> None:
        """Makes a queue shorter that has stood too long: the least important go first, and of these
        who has waited longest, whose caller is most likely to have left.
        """
        victims = [entry for entry in self._queue if entry.priority is not Priority.CRITICAL]
        victims.sort(key=attrgetter("priority"), reverse=True)
        self._give_up(victims, excess, lambda: self.admission.too_long(wait_s))

    def _give_up(
        self, victims: Iterable[Entry], excess: int, error: Callable[[], Overloaded]
    ) -> None:
        """Refuses as many of these as have `excess` rows together, and takes them out."""
        gone: set[Entry] = set()
        for entry in victims:
            if excess <= 0:
                break
            excess -= entry.rows
            self._queued_rows -= entry.rows
            if entry.priority is not _NORMAL:
                self._uncount(entry)
            entry.settle(error())
            gone.add(entry)
        self._queue = deque(entry for entry in self._queue if entry not in gone)

    def _uncount(self, entry: Entry) -> None:
        self._ranked -= 1
        if entry.priority is Priority.CRITICAL:
            self._critical_rows -= entry.rows
        else:
            self._batch_rows -= entry.rows

    def _start(self, batch: list[Entry], rows: int, reason: str) -> bool:
        """Runs a batch here (True), or on a thread or in another process (False)."""
        self._metrics.released(reason)
        if self._elsewhere is not None:
            self._begin(self._elsewhere, batch, rows)
            return False
        if self._executor.expected_s(rows) <= INLINE_LIMIT_S:
            self._finish(run_batch(self._executor, batch))
            return True
        self._running += 1
        self._running_entries += len(batch)
        for entry in batch:
            self._arm(entry)
        run = self._loop.run_in_executor(self._threads, run_batch, self._executor, batch)
        run.add_done_callback(functools.partial(self._thread_ended, batch, rows, time.monotonic()))
        return False

    def _begin(self, executor: AsyncExecutor, batch: list[Entry], rows: int) -> None:
        self._running += 1
        self._running_entries += len(batch)
        deadline = 0.0
        for entry in batch:
            self._arm(entry)
            deadline = max(deadline, entry.deadline)
        # those that were there before are in the time of this one too
        ended = functools.partial(
            self._elsewhere_ended, batch, rows, time.monotonic(), self._running
        )
        BatchUnderWay(executor, batch, deadline, ended).begin()

    def _elsewhere_ended(
        self,
        batch: list[Entry],
        rows: int,
        started: float,
        at_once: int,
        result: BatchResult[Entry],
    ) -> None:
        self._run_ended(batch, rows, (time.monotonic() - started) / at_once, result)

    def _thread_ended(
        self,
        batch: list[Entry],
        rows: int,
        started: float,
        run: "asyncio.Future[BatchResult[Entry]]",
    ) -> None:
        self._run_ended(batch, rows, time.monotonic() - started, run.result())

    def _run_ended(
        self, batch: list[Entry], rows: int, seconds: float, result: BatchResult[Entry]
    ) -> None:
        self.admission.rate.ran(rows, seconds)
        self._running -= 1
        self._running_entries -= len(batch)
        self._finish(result)
        if self._delay_timer is not None:
            self._delay_timer.cancel()
            self._delay_timer = None
        if not self._flush_due:
            self._flush()

    def _finish(self, result: BatchResult[Entry]) -> None:
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
