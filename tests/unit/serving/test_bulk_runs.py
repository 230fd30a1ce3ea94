"""How many rows a batch of many has: more while runs are short, never fewer than a batch."""

from collections.abc import Sequence

import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.serving.bulk_runs import LONG_RUN_S, MOST_TIMES, BulkRuns


class Slow:
    """Takes as long as it is told, by its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0
        self.fails = False

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        if self.fails:
            raise ModelFailed("broken")
        self.now += self.seconds
        return list(inputs)

    def expected_s(self, rows: int) -> float:
        return 0.0


def runs_of(slow: Slow, max_batch_size: int) -> BulkRuns:
    return BulkRuns(slow, max_batch_size, lambda: slow.now)


def run(runs: BulkRuns, rows: int | None = None) -> None:
    runs.run([np.zeros((rows or runs.rows, 2))])


def test_batches_grow_while_runs_are_short_up_to_a_multiple() -> None:
    runs = runs_of(Slow(), 4)
    sizes = []
    for _ in range(8):
        sizes.append(runs.rows)
        run(runs)

    assert sizes == [4, 8, 16, 32, 64, 64, 64, 64]
    assert runs.most_rows == 4 * MOST_TIMES == 64


def test_batches_shrink_when_runs_are_long_down_to_a_batch() -> None:
    slow = Slow()
    runs = runs_of(slow, 4)
    run(runs)
    run(runs)
    slow.seconds = 1.2 * LONG_RUN_S
    sizes = []
    for _ in range(4):
        sizes.append(runs.rows)
        run(runs)

    assert sizes == [16, 8, 4, 4]


def test_a_run_of_another_size_changes_nothing() -> None:
    runs = runs_of(Slow(), 4)
    run(runs, 3)
    run(runs, 64)

    assert runs.rows == 4


def test_a_version_that_takes_one_row_at_a_time_goes_on_doing_so() -> None:
    runs = runs_of(Slow(), 1)
    for _ in range(5):
        run(runs)

    assert runs.rows == runs.most_rows == 1


def test_a_run_never_keeps_the_loop_and_its_error_is_passed_on() -> None:
    slow = Slow()
    runs = runs_of(slow, 4)
    slow.fails = True

    assert runs.expected_s(1) == float("inf")
    with pytest.raises(ModelFailed):
        run(runs)
