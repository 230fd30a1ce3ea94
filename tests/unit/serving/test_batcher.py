"""The batcher against executors that the tests hold in their hands: no sleeping, no clocks."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.errors import DeadlineExceeded, InvalidArgument, ModelFailed, Overloaded
from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving import batch_run
from augurium.serving import batcher as batcher_module
from augurium.serving.batcher import Batcher
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import BatchingPolicy

FAR = 1e9
POISON = -666.0


class DoublingExecutor:
    """Doubles its input; remembers the rows of each run; refuses poison."""

    def __init__(self, expected_s: float = 0.0) -> None:
        self.runs: list[int] = []
        self._expected_s = expected_s

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.runs.append(len(inputs[0]))
        if (inputs[0] == POISON).any():
            raise ModelFailed("poison")
        return [inputs[0] * 2]

    def expected_s(self, rows: int) -> float:
        return self._expected_s


class Clock:
    """What the batcher takes for the time: it stands until it is moved."""

    perf_counter = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class TimedExecutor(DoublingExecutor):
    """Runs on threads; each run waits for the gate, if that is closed, and takes `run_s` then."""

    def __init__(self, clock: Clock, run_s: float) -> None:
        super().__init__(expected_s=1.0)
        self.gate = threading.Event()
        self.gate.set()
        self._clock = clock
        self._run_s = run_s

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.gate.wait(10)
        self._clock.now += self._run_s
        return super().run(inputs)


class GatedExecutor(DoublingExecutor):
    """Runs on threads, and each run waits for its gate."""

    def __init__(self) -> None:
        super().__init__(expected_s=1.0)
        self.gates: list[threading.Event] = []
        self.started: asyncio.Queue[int] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        gate = threading.Event()
        self.gates.append(gate)
        self._loop.call_soon_threadsafe(self.started.put_nowait, len(inputs[0]))
        gate.wait(10)
        return super().run(inputs)


Make = Callable[..., Batcher]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (batcher_module, batch_run):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    pool = ThreadPoolExecutor(4)

    def make(
        executor: DoublingExecutor, metrics: VersionMetrics | None = None, **policy: float
    ) -> Batcher:
        return Batcher(
            executor,
            BatchingPolicy(**policy),  # type: ignore[arg-type]
            metrics or VersionMetrics("m", 1),
            asyncio.get_running_loop(),
            pool,
        )

    yield make
    pool.shutdown()


def rows(*values: float) -> list[Array]:
    return [np.array(values, np.float32).reshape(-1, 1)]


def submit(batcher: Batcher, *values: float, deadline: float = FAR) -> "asyncio.Future[Answer]":
    return batcher.submit(rows(*values), len(values), deadline)


async def test_requests_of_one_turn_share_a_run_and_get_their_own_rows(make: Make) -> None:
    executor = DoublingExecutor()
    metrics = VersionMetrics("m", 1)
    batcher = make(executor, metrics)
    answers = await asyncio.gather(submit(batcher, 1, 2), submit(batcher, 3), submit(batcher, 4, 5))
    assert [answer.flat_list(0) for answer in answers] == [[2, 4], [6], [8, 10]]
    assert [answer.shape(0) for answer in answers] == [(2, 1), (1, 1), (2, 1)]
    assert [answer.array(0).tolist() for answer in answers] == [[[2], [4]], [[6]], [[8], [10]]]
    assert executor.runs == [5]
    assert (metrics.rows, metrics.executions, metrics.releases) == (5, 1, {"idle": 1})


async def test_a_busy_executor_collects_until_its_run_ends(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_queue_delay_ms=10_000)
    first = submit(batcher, 1)
    await executor.started.get()
    others = [submit(batcher, value) for value in (2, 3, 4)]
    assert batcher.pending == 4
    executor.gates[0].set()
    await first
    await executor.started.get()
    executor.gates[1].set()
    assert [(await other).flat_list(0) for other in others] == [[4], [6], [8]]
    assert executor.runs == [1, 3]


async def test_a_full_batch_starts_a_second_run_beside_a_busy_one(make: Make) -> None:
    executor = GatedExecutor()
    metrics = VersionMetrics("m", 1)
    batcher = make(executor, metrics, max_batch_size=2, max_queue_delay_ms=10_000)
    first = submit(batcher, 1)
    await executor.started.get()
    second = [submit(batcher, 2), submit(batcher, 3)]
    assert await executor.started.get() == 2
    executor.gates[1].set()
    assert [(await answer).flat_list(0) for answer in second] == [[4], [6]]
    assert not first.done()
    executor.gates[0].set()
    await first
    assert metrics.releases == {"idle": 1, "full": 1}


async def test_batcher_flushes_when_the_oldest_entry_reaches_its_delay(make: Make) -> None:
    executor = GatedExecutor()
    metrics = VersionMetrics("m", 1)
    batcher = make(executor, metrics, max_queue_delay_ms=1)
    first = submit(batcher, 1)
    await executor.started.get()
    second = submit(batcher, 2)
    await executor.started.get()
    executor.gates[1].set()
    assert (await second).flat_list(0) == [4]
    assert not first.done()
    executor.gates[0].set()
    await first
    assert metrics.releases == {"idle": 1, "delay": 1}


async def test_a_poisoned_request_fails_alone(make: Make) -> None:
    executor = DoublingExecutor()
    batcher = make(executor)
    values = [*range(15), POISON]
    futures = [submit(batcher, value) for value in values]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(outcomes[-1], ModelFailed)
    assert [o.flat_list(0) for o in outcomes if isinstance(o, Answer)] == [
        [2 * v] for v in range(15)
    ]


async def test_cancelled_callers_are_not_run(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_queue_delay_ms=10_000)
    first = submit(batcher, 1)
    await executor.started.get()
    left, stayed = submit(batcher, 2), submit(batcher, 3)
    left.cancel()
    executor.gates[0].set()
    await first
    assert await executor.started.get() == 1
    executor.gates[1].set()
    assert (await stayed).flat_list(0) == [6]


async def test_a_waiting_caller_is_told_when_its_deadline_passes_and_is_not_run(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_queue_delay_ms=10_000)
    first = submit(batcher, 1)
    await executor.started.get()
    with pytest.raises(DeadlineExceeded):
        await submit(batcher, 2, deadline=time.monotonic() + 0.001)
    assert not first.done()
    executor.gates[0].set()
    await first
    await batcher.drain()
    assert executor.runs == [1]


async def test_a_deadline_in_the_past_is_not_run(make: Make) -> None:
    executor = DoublingExecutor()
    batcher = make(executor)
    with pytest.raises(DeadlineExceeded):
        await submit(batcher, 1, deadline=time.monotonic() - 1)
    assert executor.runs == []


async def test_a_full_queue_refuses(make: Make) -> None:
    batcher = make(DoublingExecutor(), max_queue_rows=3)
    accepted = submit(batcher, 1, 2, 3)
    with pytest.raises(Overloaded, match="Exceeds maximum queue size"):
        submit(batcher, 4)
    await accepted


async def test_more_rows_than_a_batch_holds_are_refused(make: Make) -> None:
    batcher = make(DoublingExecutor(), max_batch_size=2)
    with pytest.raises(InvalidArgument, match="batch-size must be <= 2"):
        submit(batcher, 1, 2, 3)


async def test_a_fault_of_ours_reaches_every_caller_and_the_next_batch_runs(make: Make) -> None:
    class Faulty(DoublingExecutor):
        def run(self, inputs: Sequence[Array]) -> list[Array]:
            if not self.runs:
                self.runs.append(0)
                raise RuntimeError("bug")
            return super().run(inputs)

    batcher = make(Faulty())
    outcomes = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RuntimeError, RuntimeError]
    assert (await submit(batcher, 3)).flat_list(0) == [6]


async def test_entries_of_different_shapes_do_not_share_a_run(make: Make) -> None:
    executor = DoublingExecutor()
    batcher = make(executor)
    short = batcher.submit([np.ones((1, 2), np.float32)], 1, FAR, key=(2,))
    long = batcher.submit([np.ones((1, 3), np.float32)], 1, FAR, key=(3,))
    assert (await short).shape(0) == (1, 2)
    assert (await long).shape(0) == (1, 3)
    assert executor.runs == [1, 1]


async def test_drain_returns_when_nothing_waits_or_runs(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_queue_delay_ms=10_000)
    futures = [submit(batcher, 1)]
    await executor.started.get()
    futures.append(submit(batcher, 2))
    draining = asyncio.create_task(batcher.drain())
    executor.gates[0].set()
    await executor.started.get()
    assert not draining.done()
    executor.gates[1].set()
    await draining
    assert all(future.done() for future in futures)


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=60), limit=st.integers(7, 20))
@settings(max_examples=50)
def test_no_run_exceeds_the_batch_size_and_no_row_goes_to_another_caller(
    sizes: list[int], limit: int
) -> None:
    async def scenario() -> None:
        executor = DoublingExecutor()
        with ThreadPoolExecutor(1) as pool:
            policy = BatchingPolicy(max_batch_size=limit)
            metrics = VersionMetrics("m", 1)
            batcher = Batcher(executor, policy, metrics, asyncio.get_running_loop(), pool)
            values = iter(range(sum(sizes)))
            wanted = [[float(next(values)) for _ in range(size)] for size in sizes]
            answers = await asyncio.gather(*(submit(batcher, *row) for row in wanted))
        assert [a.flat_list(0) for a in answers] == [[2 * v for v in row] for row in wanted]
        assert max(executor.runs) <= limit
        assert (metrics.rows, sum(executor.runs)) == (sum(sizes), sum(sizes))

    asyncio.run(scenario())


async def test_critical_requests_leave_a_long_queue_first(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_batch_size=2, max_queue_delay_ms=10_000)
    first = [batcher.submit(rows(0), 1, FAR) for _ in range(4)]
    for _ in range(2):
        await executor.started.get()
    order = [Priority.BATCH, Priority.NORMAL, Priority.NORMAL, Priority.CRITICAL]
    asked = [batcher.submit(rows(n), 1, FAR, None, order[n]) for n in range(4)]
    executor.gates[0].set()
    await executor.started.get()
    executor.gates[2].set()
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    done = [future.done() for future in asked]
    executor.gates[1].set()
    await executor.started.get()
    executor.gates[3].set()
    answers = await asyncio.gather(*asked, *first)
    assert done == [False, True, False, True]
    assert [answer.array(0).tolist() for answer in answers[:4]] == [[[n * 2]] for n in range(4)]


async def test_only_those_who_go_first_are_counted_as_ahead(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_batch_size=2, max_queue_delay_ms=10_000)
    found: list[int] = []
    monkeypatch.setattr(batcher.admission, "check", lambda ahead, *_: found.append(ahead))
    first = [batcher.submit(rows(0), 1, FAR) for _ in range(4)]
    for _ in range(2):
        await executor.started.get()
    found.clear()
    order = [Priority.CRITICAL, Priority.BATCH, Priority.NORMAL]
    asked = [batcher.submit(rows(1), 1, FAR, None, word) for word in (*order, *order)]
    assert found == [0, 1, 1, 1, 4, 3]
    for gate in executor.gates:
        gate.set()
    for one in (*first, *asked):
        one.cancel()


async def test_a_full_queue_gives_up_what_matters_less(make: Make) -> None:
    executor = GatedExecutor()
    batcher = make(executor, max_batch_size=1, max_queue_rows=3, max_queue_delay_ms=10_000)
    first = [batcher.submit(rows(0), 1, FAR), batcher.submit(rows(0), 1, FAR)]
    for _ in range(2):
        await executor.started.get()
    old, young = (batcher.submit(rows(1), 1, FAR, None, Priority.BATCH) for _ in range(2))
    normal = batcher.submit(rows(1), 1, FAR)
    with pytest.raises(Overloaded):
        batcher.submit(rows(1), 1, FAR, None, Priority.BATCH)
    second = batcher.submit(rows(1), 1, FAR)
    with pytest.raises(Overloaded):
        await young
    critical = [batcher.submit(rows(1), 1, FAR, None, Priority.CRITICAL) for _ in range(2)]
    with pytest.raises(Overloaded):
        await old
    with pytest.raises(Overloaded):
        await second
    with pytest.raises(Overloaded):
        batcher.submit(rows(1), 1, FAR)
    answered = [*first, normal, *critical]
    while not all(future.done() for future in answered):
        for gate in executor.gates:
            gate.set()
        await asyncio.sleep(0.001)
    assert batcher.pending == 0


async def test_who_cannot_be_answered_in_time_is_refused_at_once(make: Make, clock: Clock) -> None:
    executor = TimedExecutor(clock, run_s=0.05)
    batcher = make(executor, max_batch_size=1)
    await asyncio.gather(*(batcher.submit(rows(1), 1, FAR) for _ in range(6)))
    executor.gate.clear()
    waiting = [batcher.submit(rows(1), 1, FAR) for _ in range(8)]
    await asyncio.sleep(0)
    rate = batcher.admission.rate
    alone_s, behind_s = rate.least_s(0, 1), rate.least_s(6, 1)
    with pytest.raises(Overloaded) as refused:
        batcher.submit(rows(1), 1, clock.now + (alone_s + behind_s) / 2)
    assert refused.value.reason == "deadline"
    assert refused.value.retry_after_s is not None
    # that would be so without anybody before it
    with pytest.raises(DeadlineExceeded):
        batcher.submit(rows(1), 1, clock.now + alone_s / 2)
    executor.gate.set()
    await asyncio.gather(*waiting)


async def test_a_queue_that_stands_is_made_shorter_and_kept_so(make: Make, clock: Clock) -> None:
    batcher = make(
        TimedExecutor(clock, run_s=0.002),
        max_batch_size=1,
        target_queue_delay_ms=10,
        overload_interval_ms=20,
    )
    asked = [batcher.submit(rows(1), 1, FAR) for _ in range(100)]
    asked.append(batcher.submit(rows(1), 1, FAR, None, Priority.CRITICAL))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [error.reason for error in outcomes if isinstance(error, Overloaded)]
    assert set(refused) == {"queue_delay"}
    assert 10 < len(refused) < 95
    assert isinstance(outcomes[-1], Answer)
    # who has waited longest is given up first
    places = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Overloaded)]
    assert places == list(range(places[0], places[0] + len(places)))
    last = batcher.submit(rows(1), 1, FAR)
    clock.now += 0.001
    await last
    assert not batcher.admission.overloaded
