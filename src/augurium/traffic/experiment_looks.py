"""The planned looks of an experiment: when one is due, and what alpha lets it find.

Alpha is spent by the part of the plan that is over, days or units, and the bounds take account of
the units that each look has really seen (`statistics/group_sequential.py`). What is over at the end
is all of the plan, so the last look spends what is left, whatever came.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from augurium.core.experiment_design import DAY_S, ExperimentDesign
from augurium.statistics.estimates import Effect
from augurium.statistics.group_sequential import Spending, bounds_of_spending
from augurium.traffic.experiment_result import ExperimentRun, Look

LEAST_P = 1e-9
MOST_P = 1.0 - 1e-9
HALVINGS = 24  # of the logarithm of a p-value: six digits
LARGEST_SCORE = 30.0
LEAST_GROWTH = 1.001
ROUNDING = 1e-9


def time_of(design: ExperimentDesign, run: ExperimentRun, at: float, units: int) -> float:
    """The part of the plan that is over: 1 when the experiment is."""
    days = (at - run.started_at) / DAY_S
    most = design.most_days
    if run.ended or (most is not None and days >= most - ROUNDING):
        return 1.0
    if design.units is None:
        return max(0.0, days / (most or math.inf))
    last_but_one = (design.looks - 1) / design.looks
    time = units / design.units
    return min(time, 1.0 if days >= design.least_days - ROUNDING else last_but_one)


def look_due(design: ExperimentDesign, run: ExperimentRun, time: float) -> bool:
    """Whether it is time for the next planned look; looks that were missed become one."""
    passed = _steps(design, run.looks[-1].time) if run.looks else 0
    return _steps(design, time) > passed


def pair_units(design: ExperimentDesign, run: ExperimentRun, treatment: str) -> float | None:
    """Of the planned units those of the control and a treatment; None before that is known."""
    if run.planned_units is None:
        return None
    labels = (design.control, treatment)
    share = sum(variant.weight for variant in design.variants if variant.label in labels) / 100
    return run.planned_units * share


def look_bounds(looks: Sequence[Look], alpha: float, spending: Spending) -> tuple[float, ...]:
    """The bounds on |z| at the looks so far; those of earlier ones never change.

    A look without new units may have new feedback, and the last one has alpha to spend, so each
    counts as if a thousandth had come.
    """
    units, most = [], 0.0
    for look in looks:
        most = max(most * LEAST_GROWTH, look.units)
        units.append(most)
    return _bounds(tuple(units), tuple(look.time for look in looks), alpha, spending)


def look_p_value(looks: Sequence[Look], name: str, sign: int, spending: Spending) -> float:
    """The least alpha at which a look so far has found `name` to be better (1) or worse (-1).

    Two-sided, at all looks together; Liu and Anderson (2008): On adaptive extensions of
    group-sequential trials. Between 1e-9 and 1.
    """
    scores = [sign * look.scores.get(name, 0.0) for look in looks]

    def found(alpha: float) -> bool:
        return any(map(float.__ge__, scores, look_bounds(looks, alpha, spending)))

    if not looks or max(scores) <= 0 or not found(MOST_P):
        return 1.0
    low, high = math.log(LEAST_P), 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(math.exp(middle)) else (middle, high)
    return math.exp(high)


def score(effect: Effect) -> float:
    """The effect in standard errors, as a normal number is as far out as Student's t."""
    if effect.z == 0:
        return 0.0
    tail = float(stdtr(effect.df, -abs(effect.z)))
    size = min(LARGEST_SCORE, -float(ndtri(tail))) if tail > 0 else LARGEST_SCORE
    return math.copysign(size, effect.z)


def student_bound(bound: float, df: float) -> float:
    """The bound of Student's t that is as far out as that of a normal number."""
    return -float(stdtrit(df, ndtr(-bound))) if math.isfinite(bound) else math.inf


@lru_cache(maxsize=4096)
def _bounds(
    units: tuple[float, ...], times: tuple[float, ...], alpha: float, spending: Spending
) -> tuple[float, ...]:
    return bounds_of_spending(units, [spending.spent(time, alpha) for time in times])


def _steps(design: ExperimentDesign, time: float) -> int:
    return math.floor(time * design.looks + ROUNDING)
