"""Differences of rates over many ticks."""

import math

import numpy as np
import pytest

from augurium.statistics.confidence_sequences import one_sided_half_width
from augurium.statistics.stratified_difference import PLANNED, StratifiedDifference


def test_one_tick_gives_the_plain_difference() -> None:
    found = StratifiedDifference().updated(30, 1000, 200, 10_000)

    assert found.value == pytest.approx(0.01)
    assert found.baseline == pytest.approx(0.02)


def test_rates_that_rise_while_the_weight_grows_are_no_difference() -> None:
    found = StratifiedDifference().updated(1, 100, 9, 900).updated(40, 500, 40, 500)

    assert found.value == pytest.approx(0)
    assert 41 / 600 - 49 / 1400 > 0.03


def test_a_tick_of_one_arm_says_nothing() -> None:
    found = StratifiedDifference().updated(5, 100, 0, 0)

    assert found == StratifiedDifference()
    assert found.interval(0.01) == (-1, 1)


def test_without_errors_the_limit_comes_down_with_the_requests() -> None:
    limits = [
        StratifiedDifference().updated(0, n, 0, 19 * n).interval(0.01)[1]
        for n in (100, 1000, 10_000)
    ]

    assert limits == sorted(limits, reverse=True)
    assert limits[1] > 0.002 > limits[2] > 0.001


def test_a_limit_is_as_far_away_as_its_own_standard_errors_say() -> None:
    found = StratifiedDifference().updated(30, 3000, 190, 19_000)
    low, high = found.interval(0.01)

    level = float(one_sided_half_width(1, 3000, PLANNED, 0.01))
    for limit in (low, high):
        se = math.sqrt((0.01 + limit) / 3000 + 0.01 / 19_000)
        assert abs(limit - found.value) / se == pytest.approx(level)


@pytest.mark.parametrize("rate", [0.0, 0.002, 0.01])
def test_a_candidate_at_the_margin_is_let_through_in_at_most_one_of_a_hundred(rate: float) -> None:
    """However often one looks, and from the first thousand requests on."""
    rng, runs, margin, wrong = np.random.default_rng(5), 400, 0.001, 0
    for _ in range(runs):
        known = StratifiedDifference()
        for _ in range(120):
            known = known.updated(
                int(rng.binomial(500, rate + margin)), 500, int(rng.binomial(9500, rate)), 9500
            )
            if known.n >= 1000 and known.interval(0.01)[1] < margin:
                wrong += 1
                break

    assert wrong / runs <= 0.01
