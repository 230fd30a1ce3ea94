"""A failed run: repeated in halves to find the row that breaks it, unless it took its runner."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.serving.batch_run import Entry, run_batch
from augurium.serving.executor import RunLost


class Breaking:
    """Fails for every batch with a 13 in it."""

    def __init__(self, failure: ModelFailed) -> None:
        self.runs = 0
        self._failure = failure

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.runs += 1
        if (inputs[0] == 13).any():
            raise self._failure
        return [inputs[0] * 2]

    def expected_s(self, rows: int) -> float:
        return 0.0


def entries(*values: int) -> list[Entry]:
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + 10
    return [Entry([np.array([value])], 1, deadline, loop.create_future()) for value in values]


async def test_one_bad_row_fails_alone() -> None:
    executor = Breaking(ModelFailed("no"))
    result = run_batch(executor, entries(1, 13, 2, 3))
    failed = [isinstance(outcome, Exception) for _, outcome in result.outcomes]
    assert failed == [False, True, False, False]


async def test_a_run_that_took_its_runner_is_not_repeated() -> None:
    executor = Breaking(RunLost("the runner is gone"))
    result = run_batch(executor, entries(1, 13, 2, 3))
    assert executor.runs == 1
    assert [type(outcome) for _, outcome in result.outcomes] == [RunLost] * 4
