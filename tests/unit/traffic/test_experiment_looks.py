"""Planned looks: when they are due, and the least alpha that finds something at them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.statistics.estimates import Effect
from augurium.statistics.group_sequential import Spending, bounds, bounds_of_spending
from augurium.traffic.experiment_looks import (
    look_bounds,
    look_due,
    look_p_value,
    score,
    student_bound,
    time_of,
)
from augurium.traffic.experiment_result import Look
from tests.support.experiments import DAY_S, START, design, run

OBF = Spending.OBRIEN_FLEMING


def looks(*scores: float) -> list[Look]:
    return [
        Look(START, 100 * number, number / 7, {"m/v2": one}) for number, one in enumerate(scores, 1)
    ]


def test_looks_come_day_by_day_and_missed_ones_are_one() -> None:
    made, remembered, taken = design(), run(), []

    for hour in (1, 23, 24, 25, 49, 120, 121, 168, 169):
        time = time_of(made, remembered, START + hour * 3600, 1000)
        if look_due(made, remembered, time):
            taken.append(hour)
            look = Look(START, 1000, time, {})
            remembered = run(looks=(*remembered.looks, look))

    assert taken == [24, 49, 120, 168]


@pytest.mark.parametrize(
    ("days", "units", "time"),
    [(1, 250, 0.25), (10, 1000, 1.0), (3, 1000, 6 / 7), (3, 5000, 6 / 7), (8, 1200, 1.0)],
)
def test_a_plan_of_units_ends_when_they_are_there_and_a_week_is_over(
    days: float, units: int, time: float
) -> None:
    found = time_of(design(units=1000), run(), START + days * DAY_S, units)

    assert found == pytest.approx(time)


def test_a_plan_of_units_and_days_ends_with_the_first_of_them() -> None:
    found = time_of(design(units=1000, days=14), run(), START + 14 * DAY_S, 300)

    assert found == 1.0


def test_spending_by_units_gives_the_bounds_of_lan_and_demets() -> None:
    units = [100.0, 260.0, 300.0, 700.0]

    spent = [OBF.spent(each / 700, 0.05) for each in units]

    assert bounds_of_spending(units, spent) == pytest.approx(bounds(units, 700.0), abs=1e-6)


def test_the_unit_of_what_was_seen_does_not_matter() -> None:
    spent = [0.01, 0.02, 0.05]

    assert bounds_of_spending([1, 2, 3], spent) == pytest.approx(
        bounds_of_spending([700, 1400, 2100], spent)
    )


@settings(max_examples=15)
@given(st.lists(st.floats(-4, 6), min_size=1, max_size=7))
def test_the_p_value_of_looks_is_the_least_alpha_that_finds_it(scores: list[float]) -> None:
    taken = looks(*scores)

    p = look_p_value(taken, "m/v2", 1, OBF)

    if 1e-8 < p < 0.99:
        found = [
            any(z >= limit for z, limit in zip(scores, look_bounds(taken, level, OBF), strict=True))
            for level in (p * 0.999, min(0.999, p * 1.001))
        ]
        assert found == [False, True]


def test_a_p_value_never_rises_with_more_looks() -> None:
    scores = [1.0, 2.9, 3.4, 1.0, 0.1]

    found = [look_p_value(looks(*scores[:n]), "m/v2", 1, OBF) for n in range(1, 6)]

    assert found == sorted(found, reverse=True)
    assert look_p_value(looks(*scores), "m/v2", -1, OBF) == 1.0


def test_what_one_look_alone_says_is_its_p_value() -> None:
    only = [Look(START, 100, 1.0, {"m/v2": 1.959964})]

    assert look_p_value(only, "m/v2", 1, OBF) == pytest.approx(0.05, abs=1e-5)


def test_scores_are_as_far_out_as_students_t_is() -> None:
    effect = Effect(-2.2, 1.0, 10, 12)

    assert score(effect) == pytest.approx(-1.9395, abs=1e-4)
    assert student_bound(-score(effect), 10) == pytest.approx(2.2)
    assert score(Effect(500.0, 1.0, 1e6, 1e6)) == 30.0
    assert student_bound(np.inf, 10) == np.inf
