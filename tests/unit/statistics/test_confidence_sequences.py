"""Intervals that hold at all times."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from augurium.core.errors import InvalidArgument
from augurium.statistics.confidence_sequences import (
    NormalMixture,
    OneSidedNormalMixture,
    half_width,
    interval,
    one_sided_half_width,
    one_sided_p_value,
    p_value,
)
from augurium.statistics.estimates import difference, mean, moments_of_sums, relative_lift

# of gbstats, tests/frequentist/test_tests.py
CONTROL = mean(moments_of_sums(3000, 1396.87, 52377.9767))
TREATMENT = mean(moments_of_sums(3461, 2422.7, 134698.29))


def test_the_two_sided_interval_is_that_of_growthbook() -> None:
    effect = relative_lift(CONTROL, TREATMENT)

    assert effect.value == pytest.approx(0.50336, abs=5e-6)
    assert interval(effect, 1000) == pytest.approx((-0.55844, 1.56516), abs=5e-6)
    assert p_value(effect.z, effect.n, 1000) == 1


def test_the_one_sided_limits_are_those_of_growthbook() -> None:
    effect = difference(CONTROL, TREATMENT)

    width = one_sided_half_width(effect.se, effect.n, 5000)

    assert effect.value - width == pytest.approx(-0.12656844, abs=1e-7)
    assert effect.value + width == pytest.approx(0.59532178, abs=1e-7)


def test_the_normal_mixture_is_that_of_confseq() -> None:
    mixture = NormalMixture(100)

    assert mixture.rho == pytest.approx(12.60056, abs=1e-5)
    assert mixture.log_martingale(10, 100) == pytest.approx(-0.6510052, abs=1e-5)
    assert mixture.bound(100) == pytest.approx(30.35209, abs=1e-5)


def test_the_evidence_of_a_mixture_at_its_bound_is_one_by_alpha() -> None:
    mixture = NormalMixture(100, 0.01)

    assert mixture.log_martingale(mixture.bound(50), 50) == pytest.approx(math.log(100))


def test_the_one_sided_bound_is_nearer_and_never_crossed_too_early() -> None:
    mixture, both = OneSidedNormalMixture(100), NormalMixture(100)

    v = np.array([10.0, 100.0, 1000.0])
    assert (mixture.bound(v) < both.bound(v)).all()
    assert (mixture.log_martingale(mixture.bound(v), v) >= math.log(20) - 1e-9).all()


def test_the_p_value_is_alpha_where_the_interval_ends_at_zero() -> None:
    z = float(half_width(1.0, 700, 1000)), float(one_sided_half_width(1.0, 700, 1000))

    assert p_value(z[0], 700, 1000) == pytest.approx(0.05)
    assert one_sided_p_value(z[1], 700, 1000) == pytest.approx(0.05)


def test_there_is_no_one_sided_evidence_in_an_effect_of_the_other_side() -> None:
    found = one_sided_p_value(np.array([-9.0, 0.0, 90.0]), 700, 1000)

    assert found == pytest.approx([1, 1, 0])


def test_a_sequence_is_narrowest_relative_to_one_look_at_the_planned_units() -> None:
    n = np.arange(100, 5000, 100)

    narrowest = n[np.argmin(half_width(1.0, n, 1000))]

    assert abs(narrowest - 1000) <= 100


def test_five_thousand_looks_err_in_less_than_five_percent() -> None:
    runs, looks = 2000, 5000
    rng, n = np.random.default_rng(7), np.arange(1, looks + 1)
    width = half_width(np.sqrt(1 / n), n, looks)
    naive_width = 1.96 * np.sqrt(1 / n)
    crossed = naive = 0
    for _ in range(runs // 500):
        means = np.abs(np.cumsum(rng.normal(size=(500, looks)), axis=1) / n)
        crossed += int((means > width).any(axis=1).sum())
        naive += int((means > naive_width).any(axis=1).sum())

    assert crossed / runs <= 0.05
    assert naive / runs > 0.4


def test_at_one_look_a_sequence_is_more_careful_than_a_test_of_one_look() -> None:
    z = np.linspace(0, 5, 51)

    assert (p_value(z, 1000, 1000) >= 2 * ndtr(-z) - 1e-12).all()


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="planned units"):
        half_width(1.0, 10, 0)
