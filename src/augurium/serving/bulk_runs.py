"""Runs of requests of many rows: beside those of single ones, and as large as they stay short.

A batch of many has `max_batch_size` rows, or more where its version runs so many in a few
milliseconds: a core is not kept from others for longer, and each run costs a hand-over to a thread.
Measured on a boosted classifier of 100 features in ONNX Runtime, two threads: 404 000 rows/s in
batches of 64, 512 000 in 256, 551 000 in 1024; in XGBoost itself 671 000 in 256, 1 405 000 in 4096.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from augurium.core.tensors import Array
from augurium.serving.executor import AsyncExecutor, Executor

# twice a short run is not yet a long one
SHORT_RUN_S = 0.003
LONG_RUN_S = 0.010
# beyond `max_batch_size`, which may be what the version's memory is good for
MOST_TIMES = 16


class BulkRuns:
    """An executor as requests of many rows use it. `rows` is how many a batch had better have; a
    version that takes one row at a time goes on doing so.
    """

    def __init__(
        self,
        executor: Executor,
        max_batch_size: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.rows = max_batch_size
        self._least = max_batch_size
        self._executor = executor
        self._clock = clock

    @property
    def most_rows(self) -> int:
        """What `rows` can become."""
        return self._least * (MOST_TIMES if self._least > 1 else 1)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One model run, which may change `rows`. Blocking. Raises ModelFailed."""
        started = self._clock()
        outputs = self._executor.run(inputs)
        self._observe(_rows(inputs), self._clock() - started)
        return outputs

    def expected_s(self, rows: int) -> float:
        """Never short: what comes next is here already, and the loop is for others."""
        return float("inf")

    def _observe(self, rows: int, seconds: float) -> None:
        # runs overlap: one that was asked for before the last step says nothing about it
        if rows != self.rows:
            return
        if seconds < SHORT_RUN_S:
            self.rows = min(2 * rows, self.most_rows)
        elif seconds > LONG_RUN_S:
            self.rows = max(rows // 2, self._least)


class BulkRunsElsewhere(BulkRuns):
    """The same for an executor that need not be waited for: two at a time, as on threads, and more
    where that has more processes.
    """

    def __init__(self, executor: AsyncExecutor, max_batch_size: int) -> None:
        super().__init__(executor, max_batch_size)
        self._elsewhere = executor

    @property
    def runs_ahead(self) -> int:
        return max(2, self._elsewhere.runs_ahead // 2)

    def begin(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, Any],
        deadline: float,
        done: Callable[[list[Array] | Exception], None],
    ) -> None:
        """See `AsyncExecutor.begin`."""
        rows = _rows(inputs)
        started = self._clock()

        def observed(found: list[Array] | Exception) -> None:
            if isinstance(found, list):
                self._observe(rows, self._clock() - started)
            done(found)

        self._elsewhere.begin(inputs, parameters, deadline, observed)


def bulk_runs(executor: Executor, max_batch_size: int) -> BulkRuns:
    """An executor as requests of many rows use it."""
    if isinstance(executor, AsyncExecutor):
        return BulkRunsElsewhere(executor, max_batch_size)
    return BulkRuns(executor, max_batch_size)


def _rows(inputs: Sequence[Array]) -> int:
    return inputs[0].shape[0] if inputs and inputs[0].ndim else 1
