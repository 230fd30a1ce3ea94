"""Distances between counts: known values, SciPy's answers, and what chance does."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, entropy

from augurium.statistics.divergences import chance_js, chance_psi, js_distance, psi

REFERENCE = [100] * 10
WINDOW = [120, 110, 105, 100, 95, 95, 95, 95, 95, 90]
COUNTS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=2, max_size=25)


def test_the_numbers_of_a_known_window() -> None:
    assert psi(REFERENCE, WINDOW) == pytest.approx(0.0071095, abs=1e-6)
    assert js_distance(REFERENCE, WINDOW) == pytest.approx(0.0359670, abs=1e-6)


def test_an_empty_bin_costs_little() -> None:
    assert psi([99_999, 1, 0], [99_999, 0, 1]) == pytest.approx(2.197e-5, abs=1e-8)


def test_bins_that_nobody_uses_change_nothing() -> None:
    assert psi([*REFERENCE, 0, 0], [*WINDOW, 0, 0]) == psi(REFERENCE, WINDOW)
    assert chance_psi([*REFERENCE, 0], [*WINDOW, 0]) == chance_psi(REFERENCE, WINDOW)


@given(COUNTS)
def test_distances_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    before = np.array([one for one, _ in pairs if _ or one], np.float64)
    now = np.array([other for one, other in pairs if one or other], np.float64)
    found_psi, found_js = psi(before.tolist(), now.tolist()), js_distance(list(before), list(now))
    if not before.sum() or not now.sum():
        assert (found_psi, found_js) == (0.0, 0.0)
        return
    assert found_js == pytest.approx(jensenshannon(before, now, base=2), abs=1e-7)
    # PSI is the symmetric relative entropy of the smoothed shares
    smooth = [(side + 0.5) / (side + 0.5).sum() for side in (before, now)]
    expected = entropy(smooth[0], smooth[1]) + entropy(smooth[1], smooth[0])
    assert found_psi == pytest.approx(expected, abs=1e-9)


def test_what_chance_reaches_is_the_quantile_of_yurdakul() -> None:
    reference, current = [10_000] * 10, [100] * 10
    assert chance_psi(reference, current) == pytest.approx(0.0281559, abs=1e-6)
    expected = (1 / 1000 + 1 / 100_000) * chi2.isf(0.001, 9)
    assert chance_psi(reference, current) == pytest.approx(expected)


def test_samples_of_the_same_numbers_stay_below_it() -> None:
    random = np.random.default_rng(5)
    shares = np.full(10, 0.1)
    beyond = [0, 0]
    for _ in range(2000):
        before, now = (random.multinomial(n, shares).tolist() for n in (50_000, 2000))
        beyond[0] += psi(before, now) > chance_psi(before, now)
        beyond[1] += js_distance(before, now) > chance_js(before, now)
    # one in a thousand: two are expected, more than nine once in ten thousand times
    assert max(beyond) <= 9


def test_one_bin_cannot_drift() -> None:
    assert psi([10], [900]) == 0.0
    assert chance_psi([10], [900]) == 0.0
    assert math.isclose(js_distance([10], [900]), 0.0)
