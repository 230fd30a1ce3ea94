"""Having a partition scored by a worker that may die of it, again and again until it is done.

A worker that dies is replaced, and does the partition again: what it had written nobody knows of.
When it dies once more while the model runs, the rows it ran on are scored in halves by workers that
do nothing else, until a single row is left that ends them twice. That row is set aside.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from augurium.batch.partition import Partition, PartitionResult
from augurium.batch.worker_messages import Counted, Order, Probe, Reply, Running, Score, Scored
from augurium.batch.worker_process import WorkerDied
from augurium.core.errors import Internal, ModelFailed

# once may be chance: somebody killed it, or memory was short
DEATHS_BEFORE_SEARCH = 2
# without a row that could be found; much may be killed from outside
MOST_DEATHS = 20

Warn = Callable[[str], Awaitable[None]]


class Worker(Protocol):
    """A worker that is replaced by another one when it dies."""

    async def ask(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
        """The answer; raises WorkerDied, and the next order is another process's."""
        ...


class PartitionScoring:
    """Scores partitions with one worker. `warn` is told of what a person may want to know."""

    def __init__(self, worker: Worker, batch_size: int, warn: Warn) -> None:
        self._worker = worker
        self._batch_size = batch_size
        self._warn = warn

    async def score(
        self, partition: Partition, heard: Callable[[Counted], None]
    ) -> PartitionResult:
        """What the partition came to.

        Raises ModelFailed when workers die of it and no row is to blame, and what a worker says
        went wrong.
        """
        deadly: dict[int, str] = {}
        deaths = since_found = 0
        while True:
            try:
                reply = await self._worker.ask(Score(partition, self._batch_size, deadly), heard)
            except WorkerDied as died:
                deaths += 1
                since_found += 1
                await self._warn(
                    f"a worker ended ({died.how}) at partition {partition.number}; another one"
                    " scores it again"
                )
                if since_found > MOST_DEATHS:
                    raise _no_row_found(partition, since_found, died) from died
                if deaths >= DEATHS_BEFORE_SEARCH and died.running is not None:
                    found = await self._search(partition, died.running, tuple(deadly))
                    if found is not None:
                        place, how = found
                        deadly[place] = f"the process that ran the model on it ended ({how}), twice"
                        since_found = 0
                continue
            if not isinstance(reply, Scored):
                raise Internal(f"a worker answered {type(reply).__name__} to a partition")
            return reply.result

    async def _search(
        self, partition: Partition, running: Running, known: tuple[int, ...]
    ) -> tuple[int, str] | None:
        """The place of one more row that ends workers, and how; None if they live through all."""
        seen_alone = False
        while True:
            rows = running.stop - running.start
            try:
                await self._worker.ask(
                    Probe(partition, running.start, running.stop, self._batch_size, known)
                )
            except WorkerDied as died:
                if died.running is None or (rows > 1 and not _narrows(running, died.running)):
                    return None
                running = died.running
                alone = running.stop - running.start == 1
                if alone and seen_alone:
                    return running.start, died.how
                seen_alone = alone
            else:
                return None


def _narrows(before: Running, now: Running) -> bool:
    return now.stop - now.start < before.stop - before.start


def _no_row_found(partition: Partition, deaths: int, died: WorkerDied) -> ModelFailed:
    return ModelFailed(
        f"workers ended {deaths} times ({died.how} at last) at partition {partition.number}, which"
        f" begins in {partition.fragments[0].file}, and no row of it ends one by itself; if memory"
        " is short, run the job with fewer workers or a smaller batch_size"
    )
