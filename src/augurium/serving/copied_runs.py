"""The queue of copies in front of a version: its runs are counted nowhere, begin on no event loop
and are kept by nobody for a warm-up.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor as ThreadPool

import msgspec

from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving.batcher import Batcher
from augurium.serving.executor import AsyncExecutor, Executor, Recording
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import BatchingPolicy
from augurium.serving.validation import Prepared


class CopiedRuns:
    """Runs copies on an executor, one run after the other. Lives on the event loop `loop`."""

    def __init__(
        self,
        executor: Executor,
        policy: BatchingPolicy,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
    ) -> None:
        """`metrics` names the version, and is left as it is."""
        if not isinstance(executor, AsyncExecutor):
            executor = _OnThreads(executor)
        self._batcher = Batcher(
            executor,
            msgspec.structs.replace(policy, target_queue_delay_ms=0.0),
            VersionMetrics(metrics.model, metrics.version),
            loop,
            threads,
            max_concurrent_runs=1,
        )

    def submit(self, prepared: Prepared, deadline: float) -> "asyncio.Future[Answer]":
        """Queues one copy. Raises as `Batcher.submit`."""
        return self._batcher.submit(
            prepared.inputs, prepared.rows, deadline, prepared.key, Priority.BATCH
        )

    @property
    def pending(self) -> int:
        """Copies that wait or run."""
        return self._batcher.pending

    async def drain(self) -> None:
        """Returns when there are none."""
        await self._batcher.drain()


class _OnThreads:
    """The same runs, never on the event loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        if isinstance(self._executor, Recording):
            return self._executor.run_unrecorded(inputs)
        return self._executor.run(inputs)

    def expected_s(self, rows: int) -> float:
        return float("inf")
