import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.statistics import log_histogram
from augurium.statistics.log_histogram import LAST_BIN, LogHistogram, packed, unpacked
from augurium.statistics.quantiles import LogBins

# parts of a power of two add up exactly
SECONDS = st.integers(0, 1 << 22).map(lambda count: count / (1 << 16))
MANY = st.lists(SECONDS, max_size=60)


def counted(values: list[float]) -> LogHistogram:
    histogram = LogHistogram()
    for value in values:
        histogram.observe(value)
    return histogram


def test_the_bins_are_those_of_the_quantiles_of_experiments() -> None:
    bins = LogBins()
    values = np.geomspace(1e-6, 1e4, 2001)

    assert (bins.low, bins.high, bins.growth) == (
        log_histogram.LOW_S,
        log_histogram.HIGH_S,
        log_histogram.GROWTH,
    )
    assert bins.count - 1 == LAST_BIN
    assert [next(iter(counted([float(value)]).counts)) for value in values] == list(
        bins.index(values)
    )


@given(MANY, MANY)
def test_parts_add_up_to_the_whole(first: list[float], second: list[float]) -> None:
    whole = counted(first)
    whole.add(counted(second))

    assert whole == counted(first + second)


@given(MANY, MANY)
def test_what_came_since_is_what_was_counted_since(first: list[float], second: list[float]) -> None:
    assert counted(first + second).since(counted(first)) == counted(second)


@given(st.lists(st.floats(1e-4, 900.0), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_right_to_one_percent(values: list[float], share: float) -> None:
    exact = float(np.quantile(values, share, method="inverted_cdf"))

    assert counted(values).quantile(share) == pytest.approx(exact, rel=0.0101)


@given(MANY)
def test_what_is_packed_comes_back(values: list[float]) -> None:
    histogram = counted(values)

    assert unpacked(packed(histogram), histogram.total) == histogram


def test_what_is_packed_is_small() -> None:
    histogram = counted([0.01 * 1.02**place for place in range(200)])

    assert len(packed(histogram)) <= 3 * len(histogram.counts)


def test_nothing_has_no_quantile() -> None:
    assert LogHistogram().quantile(0.5) is None
    assert LogHistogram().count == 0


def test_how_many_are_at_most_a_bound() -> None:
    assert counted([0.001, 0.02, 0.02, 5000.0]).cumulative((0.01, 0.1, 1e4)) == [1, 3, 4]


def test_what_is_out_of_range_counts_in_the_outermost_bins() -> None:
    assert counted([0.0, 1e-9, 1e9]).counts == {0: 2, LAST_BIN: 1}
