"""The number of rows that are scored at once, found by trying."""

import pytest

from augurium.batch.batch_size import find_batch_size
from augurium.core.clock import ManualClock


class Model:
    """Takes a time per call and a time per row, and more for each row beyond `cached`."""

    def __init__(self, call_s: float, row_s: float, cached: int = 10**9) -> None:
        self._clock = ManualClock()
        self._call_s, self._row_s, self._cached = call_s, row_s, cached
        self.largest = 0

    def score(self, rows: int) -> None:
        self.largest = max(self.largest, rows)
        beyond = max(0, rows - self._cached)
        self._clock.advance(self._call_s + self._row_s * (rows + beyond))

    def best(self, most: int = 100_000) -> int:
        return find_batch_size(self.score, most, self._clock.monotonic)[0]


@pytest.mark.parametrize(
    ("call_s", "row_s", "expected"),
    [
        # what a call costs does not matter among many rows
        (1e-4, 1e-6, 16_384),
        (1e-3, 1e-6, 65_536),
        # a slow model: a row more is never cheaper
        (0.0, 1e-3, 64),
    ],
)
def test_the_smallest_size_that_is_nearly_the_fastest(
    call_s: float, row_s: float, expected: int
) -> None:
    assert Model(call_s, row_s).best() == expected


def test_rows_beyond_what_a_cache_holds_are_no_gain() -> None:
    assert Model(1e-4, 1e-6, cached=1024).best() == 1024


def test_never_more_rows_than_there_are() -> None:
    model = Model(1e-1, 1e-6)

    assert model.best(most=100) == 100
    assert model.largest == 100


def test_a_batch_that_takes_long_is_the_last_that_is_tried() -> None:
    model = Model(0.0, 0.01)

    model.best()

    assert model.largest == 64
