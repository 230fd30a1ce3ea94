"""Shares by the probability of being best."""

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.statistics.estimates import mean, moments_of_sums
from augurium.statistics.thompson import (
    BetaPosterior,
    NormalPosterior,
    best_probabilities,
    normal_posterior,
    thompson_shares,
)


def test_shares_of_clicks_are_those_of_a_simulation() -> None:
    counts = [(20, 180), (30, 170), (25, 175)]
    rng = np.random.default_rng(11)
    draws = np.array([rng.beta(won + 1, lost + 1, 200_000) for won, lost in counts])
    simulated = np.bincount(draws.argmax(axis=0), minlength=3) / 200_000

    found = best_probabilities([BetaPosterior(*each) for each in counts])

    assert found == pytest.approx(simulated, abs=0.005)


def test_shares_of_two_normal_rewards_are_those_of_the_formula() -> None:
    found = best_probabilities([NormalPosterior(1.0, 3.0), NormalPosterior(0.0, 4.0)])

    assert found == pytest.approx([0.579260, 0.420740], abs=1e-5)  # Phi(1 / 5)


def test_a_narrow_posterior_between_wide_ones_is_counted_right() -> None:
    posteriors = [NormalPosterior(0, 1), NormalPosterior(1, 0.001), NormalPosterior(0.5, 2)]

    assert best_probabilities(posteriors)[1] == pytest.approx(0.841345 * 0.598706, abs=0.002)


def test_variants_without_data_share_evenly() -> None:
    assert best_probabilities([BetaPosterior()] * 4) == pytest.approx([0.25] * 4)


def test_a_floor_keeps_a_share_for_the_worst() -> None:
    found = thompson_shares([BetaPosterior(10, 990), BetaPosterior(500, 500)], floor=0.05)

    assert found == pytest.approx([0.05, 0.95], abs=1e-6)


def test_traffic_moves_to_the_better_variant() -> None:
    rng, rates = np.random.default_rng(12), (0.05, 0.08)
    won, lost = np.zeros(2), np.zeros(2)
    for _ in range(40):
        shares = thompson_shares(
            [BetaPosterior(*each) for each in zip(won, lost, strict=True)], floor=0.01
        )
        asked = rng.multinomial(500, shares)
        rewards = rng.binomial(asked, rates)
        won, lost = won + rewards, lost + asked - rewards

    assert won[1] + lost[1] > 0.8 * 20_000


def test_rewards_that_are_numbers_have_a_normal_posterior_around_their_mean() -> None:
    found = normal_posterior(mean(moments_of_sums(100, 500.0, 2_600.0)))

    assert found.mean == 5
    assert found.deviation == pytest.approx(np.sqrt(100 / 99) / 10)


def test_floors_that_leave_nothing_and_rewards_without_variance_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="floor"):
        thompson_shares([BetaPosterior()] * 4, floor=0.3)
    with pytest.raises(InvalidArgument, match="differ"):
        normal_posterior(mean(moments_of_sums(10, 10.0, 10.0)))
    with pytest.raises(InvalidArgument, match="variants"):
        best_probabilities([])
