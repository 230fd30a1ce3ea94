"""Histograms of numbers of any size: exact sums, quantiles to less than a percent."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.tensors import Array
from augurium.statistics.number_histogram import (
    LARGEST,
    NumberCounter,
    NumberHistogram,
    ends,
    histogram_of,
)

NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=60)


def counted(*parts: Array) -> NumberCounter:
    counter = NumberCounter()
    for part in parts:
        counter.update(part)
    return counter


def float32(numbers: list[float]) -> Array:
    return np.array(numbers, np.float32)


@given(NUMBERS)
def test_every_number_lies_in_its_bin(numbers: list[float]) -> None:
    for number in numbers:
        (place,) = counted(float32([number])).histogram().places
        low, high = ends(place)
        assert low <= number <= high
        assert high - low <= abs(number) / 100 or abs(number) < 1e-36


@given(NUMBERS, NUMBERS)
def test_the_histogram_of_the_whole_is_that_of_its_parts(
    some: list[float], others: list[float]
) -> None:
    one, other = counted(float32(some)), counted(float32(others))
    whole = counted(float32([*some, *others]))
    assert one.histogram().merged(other.histogram()) == whole.histogram()
    assert other.histogram().merged(one.histogram()) == whole.histogram()
    assert one.histogram().merged(NumberHistogram()) == one.histogram()


@given(NUMBERS.filter(len))
def test_bins_ascend_as_numbers_do(numbers: list[float]) -> None:
    places = [counted(float32([number])).histogram().places[0] for number in sorted(numbers)]
    assert places == sorted(places)


def test_quantiles_are_those_of_the_numbers_to_a_percent() -> None:
    random = np.random.default_rng(3)
    for numbers in (
        random.normal(size=200_000),
        random.lognormal(3, 2, 200_000),
        random.uniform(1990, 2030, 200_000),
        -random.exponential(1e-9, 200_000),
    ):
        histogram = counted(numbers).histogram()
        for share in (0.01, 0.25, 0.75, 0.99):
            expected = float(np.quantile(numbers, share))
            assert histogram.quantile(share) == pytest.approx(expected, rel=0.02)


def test_moments_and_extremes_are_exact_and_what_is_not_finite_is_apart() -> None:
    numbers = np.array([3.0, math.nan, -1.0, math.inf, 10.0, -math.inf, math.nan])
    found = counted(numbers[:3], numbers[3:])
    assert (found.n, found.n_nan, found.n_inf, found.min, found.max) == (7, 2, 2, -1.0, 10.0)
    assert found.moments.mean == pytest.approx(4.0)
    assert found.moments.variance == pytest.approx(np.var([3.0, -1.0, 10.0], ddof=1))
    assert found.histogram().total == 3


def test_numbers_beyond_a_float_of_32_bits_count_in_the_outermost_bins() -> None:
    found = counted(np.array([1e300, -1e300, 5e-324]))
    assert [ends(place) for place in found.histogram().places][-1][1] == LARGEST
    assert found.max == 1e300
    assert found.histogram().total == 3


def test_whole_numbers_and_truths_are_counted_too() -> None:
    found = counted(np.array([2, 2, 7], np.int64), np.array([True, False]))
    lows = [ends(place)[0] for place in found.histogram().places]
    assert lows == [0.0, 1.0, 2.0, 7.0]
    assert found.histogram().counts == (1, 1, 2, 1)


@given(NUMBERS, st.integers(1, 9))
def test_cells_hold_every_number_once(numbers: list[float], cells: int) -> None:
    histogram = counted(float32(numbers)).histogram()
    found = histogram.cells(np.linspace(-10, 10, cells + 1).tolist())
    assert len(found) == cells
    assert sum(found) == pytest.approx(len(numbers))
    assert min(found) >= 0


def test_cells_follow_the_numbers() -> None:
    numbers = np.random.default_rng(1).uniform(size=100_000)
    bounds = np.linspace(0, 1, 21)
    expected = np.histogram(numbers, bounds)[0]
    assert counted(numbers).histogram().cells(bounds.tolist()) == pytest.approx(expected, rel=0.1)


def test_nothing_has_no_quantile() -> None:
    assert NumberHistogram().quantile(0.5) is None
    assert histogram_of([], []) == NumberHistogram()
