"""Bounds of group-sequential tests, against published tables and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.statistics.group_sequential import (
    Spending,
    bounds,
    crossing_probabilities,
    inflation,
)

POCOCK = Spending.POCOCK


def equal(looks: int) -> list[float]:
    return [look / looks for look in range(1, looks + 1)]


@pytest.mark.parametrize(
    ("looks", "spending", "expected"),
    [
        (5, Spending.OBRIEN_FLEMING, [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        (
            7,
            Spending.OBRIEN_FLEMING,
            [5.8153, 4.0333, 3.2351, 2.7672, 2.4554, 2.2294, 2.0562],
        ),
        (7, POCOCK, [2.5435, 2.5202, 2.4943, 2.4733, 2.4566, 2.4431, 2.4320]),
        (1, Spending.OBRIEN_FLEMING, [1.95996]),
    ],
)
def test_bounds_of_equal_looks_are_those_of_lan_and_demets(
    looks: int, spending: Spending, expected: list[float]
) -> None:
    assert bounds(equal(looks), 1.0, spending=spending) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "limits", [[2.413] * 5, [2.040 * math.sqrt(5 / look) for look in range(1, 6)]]
)
def test_the_constants_of_jennison_and_turnbull_keep_five_percent(limits: list[float]) -> None:
    assert crossing_probabilities(equal(5), limits).sum() == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(("looks", "expected"), [(5, 0.142), (10, 0.193)])
def test_looking_again_and_again_errs_as_armitage_mcpherson_and_rowe_say(
    looks: int, expected: float
) -> None:
    found = crossing_probabilities(equal(looks), [1.96] * looks).sum()

    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("spending", "expected"), [(Spending.OBRIEN_FLEMING, 1.032), (POCOCK, 1.232)]
)
def test_seven_looks_cost_the_units_of_the_tables(spending: Spending, expected: float) -> None:
    times = equal(7)

    found = inflation(times, bounds(times, 1.0, spending=spending))

    assert found == pytest.approx(expected, abs=1e-3)


def test_a_drift_gives_the_power_of_a_normal_test() -> None:
    found = crossing_probabilities([1.0], [1.959964], drift=1.959964 + 0.841621)

    assert found[0] == pytest.approx(0.8, abs=1e-5)


@settings(max_examples=25)
@given(
    steps=st.lists(st.floats(0.01, 0.4), min_size=1, max_size=6),
    spending=st.sampled_from(Spending),
)
def test_unequal_looks_never_err_more_than_alpha(steps: list[float], spending: Spending) -> None:
    times = np.cumsum(steps).tolist()

    found = bounds(times, 1.0, spending=spending)

    spent = crossing_probabilities(times, found).sum()
    assert spent == pytest.approx(spending.spent(times[-1], 0.05), abs=1e-6)


def test_bounds_of_earlier_looks_never_change() -> None:
    looks = [1_000.0, 1_700.0, 4_000.0, 4_100.0, 9_000.0, 12_000.0]
    final = bounds(looks, 10_000)

    for count in range(1, len(looks)):
        assert bounds(looks[:count], 10_000) == final[:count]


def test_the_first_look_beyond_the_plan_spends_what_is_left_and_later_ones_have_nothing() -> None:
    looks = [0.5, 1.2, 1.5]
    found = bounds(looks, 1.0)

    assert found[2] == math.inf
    assert crossing_probabilities(looks[:2], found[:2]).sum() == pytest.approx(0.05, abs=1e-7)


def test_a_declared_end_before_the_plan_spends_what_is_left() -> None:
    looks = [0.3, 0.6, 0.8]
    ended, going_on = bounds(looks, 1.0, ended=True), bounds(looks, 1.0)

    assert ended[:2] == going_on[:2]
    assert ended[2] < going_on[2]
    assert crossing_probabilities(looks, ended).sum() == pytest.approx(0.05, abs=1e-7)


def test_a_look_without_news_cannot_stop_and_spends_nothing() -> None:
    found = bounds([0.5, 0.5, 0.50001, 1.0], 1.0)

    assert found[1:3] == (math.inf, math.inf)
    assert (found[0], found[3]) == bounds([0.5, 1.0], 1.0)


def test_a_year_of_daily_looks_keeps_alpha() -> None:
    times = equal(365)

    assert crossing_probabilities(times, bounds(times, 1.0)).sum() == pytest.approx(0.05, abs=1e-6)


def test_simulated_experiments_without_an_effect_err_in_five_percent() -> None:
    looks, runs = 7, 20_000
    steps = np.random.default_rng(1).normal(size=(runs, looks))
    z = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, looks + 1))

    crossed = (np.abs(z) > bounds(equal(looks), 1.0)).any(axis=1).mean()
    naive = (np.abs(z) > 1.96).any(axis=1).mean()

    assert 0.045 < crossed <= 0.055
    assert naive > 0.15


@pytest.mark.parametrize(
    ("looks", "planned", "alpha", "hint"),
    [
        ([2.0, 1.0], 10, 0.05, "fewer units than those before"),
        ([0.0, 1.0], 10, 0.05, "no units"),
        ([1.0], 0, 0.05, "planned units"),
        ([1.0], 10, 1.0, "alpha"),
        ([1.0] * 401, 1, 0.05, "look less often"),
    ],
)
def test_looks_that_make_no_sense_are_refused(
    looks: list[float], planned: float, alpha: float, hint: str
) -> None:
    with pytest.raises(InvalidArgument, match=hint):
        bounds(looks, planned, alpha)
