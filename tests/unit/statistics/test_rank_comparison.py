"""Ranks of two histograms."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from augurium.statistics.rank_comparison import compared, shift

VALUES = st.lists(st.integers(0, 40), min_size=1, max_size=40)


@given(VALUES, VALUES)
def test_counts_by_bin_give_what_the_values_give(mine: list[int], other: list[int]) -> None:
    found = compared(Counter(mine), Counter(other))

    assert found.u == mannwhitneyu(mine, other).statistic
    if len({*mine, *other}) > 1 and found.z > 0:
        expected = mannwhitneyu(mine, other, alternative="greater", method="asymptotic").pvalue
        assert found.p_value == pytest.approx(expected)


def test_the_shift_and_its_limits_are_those_of_kayenta() -> None:
    found = shift(Counter([10, 20, 30, 40]), Counter([1, 2, 3, 4]))

    assert found is not None
    assert (found.value, found.low, found.high) == (22.5, 6, 39)


@given(VALUES, VALUES)
def test_the_shift_is_the_median_of_all_pairs(mine: list[int], other: list[int]) -> None:
    found = shift(Counter(mine), Counter(other))

    assert found is not None
    assert found.value == np.median(np.subtract.outer(mine, other))
    assert found.low <= found.value <= found.high


def test_seven_of_ten_values_that_are_a_hundred_times_larger_are_seen() -> None:
    found = compared(Counter({100: 7, 1: 3}), Counter({1: 10}))

    assert found.p_value == pytest.approx(0.0008, abs=5e-5)


def test_values_that_only_spread_more_are_not_seen() -> None:
    found = compared(Counter({1: 50, 99: 50}), Counter({50: 100}))

    assert (found.z, found.p_value) == (0, 0.5)


def test_nothing_is_compared_with_nothing() -> None:
    assert compared({}, {3: 1}).p_value == 1
    assert shift({3: 1}, {}) is None
