"""Workers that die of a partition, and how the row that they die of is found."""

from collections.abc import Callable, Collection

import pytest

from augurium.batch.partition import Fragment, Partition, PartitionResult
from augurium.batch.partition_scoring import MOST_DEATHS, PartitionScoring
from augurium.batch.worker_messages import (
    Counted,
    Done,
    Order,
    Probe,
    Reply,
    Running,
    Score,
    Scored,
)
from augurium.batch.worker_process import WorkerDied
from augurium.core.errors import ModelFailed, NotReady

ROWS = 1000
BATCH = 64
PARTITION = Partition(3, (Fragment("/data/a.parquet", "1", 0, 1, 1, ROWS),))


class InMemoryWorker:
    """Dies of some rows, by their places, and the first times from outside."""

    def __init__(self, deadly: Collection[int] = (), kills: int = 0) -> None:
        self._deadly = frozenset(deadly)
        self._kills = kills
        self.orders: list[Order] = []

    async def ask(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
        self.orders.append(order)
        if self._kills:
            self._kills -= 1
            raise WorkerDied("SIGKILL", Running(0, BATCH))
        if isinstance(order, Score):
            for start in range(0, ROWS, order.batch_size):
                self._run(start, min(start + order.batch_size, ROWS), order.deadly)
            written = ROWS - len(order.deadly)
            return Scored(PartitionResult(order.partition.number, (), ROWS, written))
        if isinstance(order, Probe):
            middle = (order.start + order.stop) // 2
            self._run(order.start, middle, order.deadly)
            self._run(middle, order.stop, order.deadly)
        return Done()

    def _run(self, start: int, stop: int, besides: Collection[int] = ()) -> None:
        if any(start <= place < stop for place in self._deadly - set(besides)):
            raise WorkerDied("SIGSEGV", Running(start, stop))


async def scored(worker: InMemoryWorker) -> tuple[PartitionResult, list[str]]:
    warnings: list[str] = []

    async def warn(text: str) -> None:
        warnings.append(text)

    scoring = PartitionScoring(worker, BATCH, warn)
    return await scoring.score(PARTITION, lambda counted: None), warnings


async def test_a_partition_that_nothing_happens_to_is_scored_once() -> None:
    worker = InMemoryWorker()

    result, warnings = await scored(worker)

    assert result.written_rows == ROWS
    assert worker.orders == [Score(PARTITION, BATCH)]
    assert warnings == []


async def test_a_worker_that_is_killed_costs_nothing_but_time() -> None:
    worker = InMemoryWorker(kills=1)

    result, warnings = await scored(worker)

    assert result.written_rows == ROWS
    assert warnings == ["a worker ended (SIGKILL) at partition 3; another one scores it again"]


@pytest.mark.parametrize("deadly", [{0}, {ROWS - 1}, {500}, {10, 11, 700}])
async def test_rows_that_workers_die_of_are_set_aside_and_no_others(deadly: set[int]) -> None:
    worker = InMemoryWorker(deadly)

    result, _ = await scored(worker)

    last = worker.orders[-1]
    assert isinstance(last, Score)
    assert set(last.deadly) == deadly
    assert "SIGSEGV" in last.deadly[min(deadly)]
    assert result.written_rows == ROWS - len(deadly)


async def test_a_row_is_looked_for_in_halves() -> None:
    worker = InMemoryWorker({500})

    await scored(worker)

    probes = [order for order in worker.orders if isinstance(order, Probe)]
    # 64 rows are halved six times, and the last one is asked once more
    assert len(probes) == 7
    assert (probes[-1].start, probes[-1].stop) == (500, 501)


@pytest.mark.parametrize("kills", range(2, 12))
async def test_no_row_is_to_blame_for_workers_that_somebody_kills(kills: int) -> None:
    worker = InMemoryWorker(kills=kills)

    result, _ = await scored(worker)

    assert result.written_rows == ROWS


async def test_workers_that_die_on_and_on_fail_the_job_with_what_to_do() -> None:
    worker = InMemoryWorker(kills=10 * MOST_DEATHS)

    with pytest.raises(ModelFailed, match=r"SIGKILL.*partition 3.*a.parquet.*fewer workers"):
        await scored(worker)


async def test_what_a_worker_says_went_wrong_is_told() -> None:
    class Refusing(InMemoryWorker):
        async def ask(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
            raise NotReady("the object store does not answer")

    with pytest.raises(NotReady, match="does not answer"):
        await scored(Refusing())
