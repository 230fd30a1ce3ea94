"""Units, power, detectable effects and plans."""

import msgspec
import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.statistics.estimates import Estimate, relative_lift
from augurium.statistics.experiment_plan import experiment_plan
from augurium.statistics.group_sequential import crossing_probabilities
from augurium.statistics.sample_size import (
    Continuous,
    Design,
    Proportion,
    Question,
    detectable_effect,
    look_inflation,
    look_limits,
    power_at,
    split_cost,
    units,
)

CONVERSION = Question(metric=Proportion(0.10), effect=0.01)
FIXED = msgspec.structs.replace(CONVERSION, design=Design.FIXED)


@pytest.mark.parametrize(
    ("metric", "effect", "power", "expected", "gpower"),
    [
        (Continuous(0.0, 10.0), 0.3, 0.85, 39_904, 39_906),
        (Proportion(0.34), 0.003, 0.85, 897_343, 897_348),
        (Proportion(0.10), 0.01, 0.80, 29_496.09, 29_496.09),
    ],
)
def test_the_units_are_those_of_the_formula_and_near_to_g_power(
    metric: Proportion | Continuous, effect: float, power: float, expected: float, gpower: float
) -> None:
    question = Question(metric=metric, effect=effect, power=power, design=Design.FIXED)

    assert units(question) == pytest.approx(expected, abs=0.5)
    assert units(question) == pytest.approx(gpower, rel=0.005)


def test_the_power_of_a_lift_is_that_of_growthbook() -> None:
    each = 3909.99977 / (400_000 / 3)
    lift = relative_lift(Estimate(10.0, each, 1e9, 1), Estimate(10.5, each, 1e9, 1))

    assert crossing_probabilities([1.0], [1.959964], lift.z)[0] == pytest.approx(0.52144, abs=5e-6)


def test_a_split_of_eighty_to_twenty_takes_one_and_a_half_times_the_units() -> None:
    question = Question(metric=Continuous(0.0, 1.0), effect=0.01, shares=(0.8, 0.2))

    assert split_cost(question) == pytest.approx(1.5625)


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (Design.FIXED, 1.0),
        (Design.OBRIEN_FLEMING, 1.032),
        (Design.POCOCK, 1.232),
        (Design.ALWAYS_VALID, 1.81),
    ],
)
def test_each_design_takes_its_times_the_units_of_one_look(design: Design, expected: float) -> None:
    assert look_inflation(design, 7, 0.05, 0.8) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("metric", [Proportion(0.10), Continuous(3.0, 1.5)])
@pytest.mark.parametrize("effect", [0.02, -0.02])
def test_units_power_and_detectable_effect_agree(
    design: Design, metric: Proportion | Continuous, effect: float
) -> None:
    question = Question(metric=metric, effect=effect, design=design, shares=(0.7, 0.3))
    total = units(question)

    assert power_at(question, total) == pytest.approx(0.8, abs=1e-5)
    assert detectable_effect(question, total) == pytest.approx(effect, rel=1e-6)


def test_no_effect_is_detectable_with_a_handful_of_units() -> None:
    assert detectable_effect(msgspec.structs.replace(CONVERSION, effect=-0.01), 4) is None


def test_cuped_saves_the_squared_correlation() -> None:
    adjusted = msgspec.structs.replace(CONVERSION, correlation=0.6)

    assert units(adjusted) / units(CONVERSION) == pytest.approx(0.64)


def test_several_treatments_share_alpha_and_the_smallest_decides() -> None:
    two = msgspec.structs.replace(FIXED, alpha=0.025, shares=(0.6, 0.4))
    three = msgspec.structs.replace(FIXED, shares=(0.5, 0.3, 0.2))

    assert three.alpha_each == 0.025
    assert units(three) > units(two)


def test_simulated_experiments_find_the_effect_as_often_as_calculated() -> None:
    rng, looks, runs = np.random.default_rng(10), 7, 20_000
    total = units(CONVERSION)
    size = round(total / 2 / looks)
    converted = [
        np.cumsum(rng.binomial(size, rate, (runs, looks)), axis=1) for rate in (0.10, 0.11)
    ]
    n = size * np.arange(1, looks + 1)
    p = [count / n for count in converted]
    z = (p[1] - p[0]) / np.sqrt((p[0] * (1 - p[0]) + p[1] * (1 - p[1])) / n)
    _, limits = look_limits(Design.OBRIEN_FLEMING, looks, 0.05)

    assert (np.abs(z) > limits).any(axis=1).mean() == pytest.approx(0.8, abs=0.02)


def test_a_plan_takes_whole_weeks() -> None:
    plan = experiment_plan(CONVERSION, units_per_day=2_000)

    assert plan.units_per_variant == (15_215, 15_215)
    assert plan.days == 21
    assert 0.8 < plan.power < 1
    assert not plan.underpowered


def test_a_plan_with_too_few_days_is_underpowered() -> None:
    plan = experiment_plan(CONVERSION, units_per_day=1_000, max_days=21)

    assert plan.underpowered
    assert plan.power < 0.8
    at_the_end = next(entry.effect for entry in plan.detectable if entry.week == 3)
    assert at_the_end is not None
    assert at_the_end > 0.01


def test_a_plan_whose_days_are_enough_is_not_underpowered() -> None:
    assert not experiment_plan(CONVERSION, units_per_day=2_000, max_days=16).underpowered


def test_each_week_detects_less_and_the_last_week_detects_the_effect() -> None:
    effects = [entry.effect for entry in experiment_plan(CONVERSION, 200).detectable]

    assert len(effects) <= 12
    assert effects == sorted((effect for effect in effects if effect), reverse=True)
    assert effects[-1] is not None
    assert effects[-1] <= 0.01


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"metric": Proportion(1.2)}, "baseline"),
        ({"metric": Proportion(0.995)}, "between 0 and 1"),
        ({"metric": Continuous(1.0, 0.0)}, "deviation"),
        ({"effect": 0.0}, "effect"),
        ({"effect": float("nan")}, "effect"),
        ({"effect": 1e-200}, "hundred years"),
        ({"shares": (0.9, 0.2)}, "add up to 1"),
        ({"shares": (1.0,)}, "two or more"),
        ({"alpha": 0.0}, "alpha"),
        ({"power": 0.01}, "power"),
        ({"looks": 0}, "looks"),
        ({"correlation": 1.0}, "correlation"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(change: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidArgument, match=hint):
        experiment_plan(msgspec.structs.replace(CONVERSION, **change), 1_000)


@pytest.mark.parametrize(("per_day", "days"), [(0.0, None), (float("nan"), None), (10.0, 0)])
def test_no_units_and_no_days_are_refused(per_day: float, days: int | None) -> None:
    with pytest.raises(InvalidArgument):
        experiment_plan(CONVERSION, per_day, days)
