"""Sample ratio mismatch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.statistics.sample_ratio import SampleRatio, sample_ratio, sample_ratio_p_value

COUNTS = st.lists(st.integers(0, 500), min_size=3, max_size=3)


def test_the_sequential_test_is_that_of_ssrm() -> None:
    found = SampleRatio((0.4, 0.4, 0.2), (1.0, 1.0, 1.0))
    for counts in ([20, 17, 9], [18, 21, 8], [4, 6, 4], [18, 19, 11]):
        found = found.updated(counts)

    assert found.log_mismatch == pytest.approx(-19.96484521090386, abs=1e-9)
    assert found.log_match == pytest.approx(-15.781031228536165, abs=1e-9)
    assert found.p_value == 1


def test_the_test_of_one_look_is_a_chi_square() -> None:
    assert sample_ratio_p_value([500, 600], [0.5, 0.5]) == pytest.approx(0.00256883, abs=1e-8)


def test_before_any_unit_there_is_no_mismatch() -> None:
    assert sample_ratio_p_value([0, 0], [0.5, 0.5]) == 1
    assert sample_ratio([0.5, 0.5]).updated([0, 0]).p_value == 1


def test_a_mismatch_of_two_percent_is_found() -> None:
    rng, found = np.random.default_rng(8), sample_ratio([0.5, 0.5])
    for _ in range(100):
        treated = int(rng.binomial(1000, 0.51))
        found = found.updated([1000 - treated, treated])

    assert found.p_value < 0.001


def test_large_counts_do_not_overflow() -> None:
    assert sample_ratio([0.5, 0.5]).updated([10**9, 2 * 10**9]).p_value == 0


@given(st.lists(COUNTS, max_size=8))
def test_the_p_value_never_rises(blocks: list[list[int]]) -> None:
    found = sample_ratio([0.5, 0.3, 0.2])
    for counts in blocks:
        later = found.updated(counts)
        assert 0 <= later.p_value <= found.p_value
        found = later


@pytest.mark.parametrize(
    ("counts", "shares"),
    [([1, 2, 3], [0.5, 0.5]), ([-1, 2], [0.5, 0.5]), ([1, 2], [0.5, 0.4]), ([1], [1.0])],
)
def test_counts_and_shares_that_make_no_sense_are_refused(
    counts: list[int], shares: list[float]
) -> None:
    with pytest.raises(InvalidArgument):
        sample_ratio_p_value(counts, shares)
    with pytest.raises(InvalidArgument):
        sample_ratio(shares).updated(counts)
