"""Partitions scored by processes of this machine."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial

from augurium.batch.engine import Desk
from augurium.batch.job_plan import JobPlan
from augurium.batch.partition import Partition
from augurium.batch.partition_scoring import PartitionScoring
from augurium.batch.worker_pool import PooledWorker, WorkerPool


class LocalEngine:
    """An `Engine` with the workers of a pool, each of which scores one partition after another."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    @property
    def workers(self) -> int:
        return len(self._pool.workers)

    async def score(self, plan: JobPlan, partitions: Sequence[Partition], desk: Desk) -> None:
        waiting = deque(partitions)

        async def serve(worker: PooledWorker) -> None:
            scoring = PartitionScoring(worker, plan.batch_size, desk.warn)
            while waiting:
                partition = waiting.popleft()
                heard = partial(desk.hear, partition.number)
                await desk.take(await scoring.score(partition, heard))

        async with asyncio.TaskGroup() as tasks:
            for worker in self._pool.workers:
                tasks.create_task(serve(worker))
