"""Partitions scored by a Ray cluster, which a child of the job's process drives."""

from collections.abc import Sequence
from contextlib import aclosing
from importlib.util import find_spec

from augurium.batch.engine import Desk
from augurium.batch.job_plan import JobPlan
from augurium.batch.partition import Partition
from augurium.batch.worker_messages import Finished, Gathered, Noticed, ScoreAll, Scoring
from augurium.batch.worker_pool import WorkerPool
from augurium.batch.worker_process import WorkerDied, WorkerProcess
from augurium.batch.worker_start import WorkerStart
from augurium.core.errors import Internal, InvalidArgument, NotReady

# it does little, and others wait for it
NORMAL = WorkerStart("normal")
DRIVER = "augurium.batch.ray_driver"
# read when Ray is imported: nothing is told to its makers, little to the log of the node
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_LOG_LEVEL": "WARNING",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
# without a partition scored in between
MOST_DEATHS = 3
# a cluster of this machine alone is taken down in less
PATIENCE_S = 10.0


NOT_INSTALLED = (
    "jobs with the engine 'ray' need Ray, which is not installed on the server; install it with"
    " `pip install 'augurium[ray]'`, or leave the engine out"
)


def check_installed() -> None:
    """Raises InvalidArgument where there is no Ray."""
    if find_spec("ray") is None:
        raise InvalidArgument(NOT_INSTALLED)


class RayEngine:
    """An `Engine` over the cluster at `address`, with so many `workers` there, 0 for one per
    processor of the cluster; without an address, on a cluster of this machine alone that ends with
    the job. The pool has found out how to score, and is not needed any more.

    The child is let go of at a stop, and is replaced when it dies: what it was at is scored again.
    """

    def __init__(self, pool: WorkerPool, workers: int, address: str) -> None:
        self._pool = pool
        self._workers = workers
        self._address = address
        self._scorers = workers

    @property
    def workers(self) -> int:
        return self._scorers

    async def score(self, plan: JobPlan, partitions: Sequence[Partition], desk: Desk) -> None:
        check_installed()
        load = self._pool.load
        if load is None:
            raise Internal("the pool of a job on Ray does not know what to load")
        await self._pool.resize(0)
        waiting = {partition.number: partition for partition in partitions}
        deaths = 0
        while waiting:
            before = len(waiting)
            left = tuple(waiting.values())
            order = ScoreAll(
                load, self._pool.how, left, plan.batch_size, self._workers, self._address
            )
            try:
                await self._drive(order, waiting, desk)
            except WorkerDied as died:
                deaths = 1 if len(waiting) < before else deaths + 1
                if deaths == MOST_DEATHS:
                    raise NotReady(
                        f"the process that drives Ray ended ({died.how}), {deaths} times"
                    ) from died
                await desk.warn(f"the process that drives Ray ended ({died.how})")

    async def _drive(self, order: ScoreAll, waiting: dict[int, Partition], desk: Desk) -> None:
        """One child's life; what it has scored waits no more. Raises WorkerDied."""
        driver = WorkerProcess(NORMAL, DRIVER, VARIABLES)
        try:
            await driver.start()
            async with aclosing(driver.said(order)) as said:
                async for message in said:
                    match message:
                        case Gathered(scorers):
                            self._scorers = scorers
                        case Finished(result):
                            # Ray does work again whose result was lost
                            if waiting.pop(result.number, None) is not None:
                                await desk.take(result)
                        case Scoring(number, counted):
                            if number in waiting:
                                desk.hear(number, counted)
                        case Noticed(text):
                            await desk.warn(text)
        finally:
            await driver.close(PATIENCE_S)
