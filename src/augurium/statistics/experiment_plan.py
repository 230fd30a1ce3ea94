"""The plan of an experiment: how long it takes, what it would detect by when, what its split costs.

Durations are whole weeks, because people behave otherwise on Sundays.
"""

import math

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.statistics.sample_size import (
    Question,
    check,
    detectable_effect,
    look_limits,
    power_at,
    split_cost,
    units,
)

WEEK_DAYS = 7
MOST_WEEKS = 12  # of the curve
LEAST_WEEKS = 4
MOST_DAYS = 36_500


class Detectable(msgspec.Struct, frozen=True):
    """The smallest effect that would be detected at the end of a week; None when there is none."""

    week: int
    units: int
    effect: float | None


class ExperimentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment takes.

    `units_per_variant` is in the order of the shares. `days` are whole weeks. `limits` are those on
    |z| at equal looks, and `inflation` is how many times the units of one look they take;
    `split_cost` is that of the split against an even one. `power` is that after `max_days`, the
    days that there are, or else after `days`; `underpowered` says that they are too few.
    """

    question: Question
    units_per_variant: tuple[int, ...]
    days: int
    limits: tuple[float, ...]
    inflation: float
    split_cost: float
    power: float
    detectable: tuple[Detectable, ...]
    max_days: int | None
    underpowered: bool


def experiment_plan(
    question: Question, units_per_day: float, max_days: int | None = None
) -> ExperimentPlan:
    """The plan for so many units that come to all variants together in a day.

    Raises InvalidArgument when the question makes no sense.
    """
    check(question)
    if not (math.isfinite(units_per_day) and units_per_day > 0):
        raise InvalidArgument(f"{units_per_day} units come per day; expected a positive number")
    if max_days is not None and max_days < 1:
        raise InvalidArgument(f"there are {max_days} days; expected at least one")
    needed = units(question)
    if not needed / units_per_day <= MOST_DAYS:
        raise InvalidArgument(
            f"the effect {question.effect:g} takes {needed:.3g} units, more than come in a hundred "
            "years; expected a larger effect or more units per day"
        )
    weeks = max(1, math.ceil(needed / units_per_day / WEEK_DAYS))
    days = weeks * WEEK_DAYS
    return ExperimentPlan(
        question=question,
        units_per_variant=tuple(math.ceil(needed * share) for share in question.shares),
        days=days,
        limits=look_limits(question.design, question.looks, question.alpha_each)[1],
        inflation=question.inflation,
        split_cost=split_cost(question),
        power=power_at(question, (max_days or days) * units_per_day),
        detectable=_curve(
            question, units_per_day, max(weeks, LEAST_WEEKS, (max_days or 0) // WEEK_DAYS)
        ),
        max_days=max_days,
        underpowered=max_days is not None and needed > max_days * units_per_day,
    )


def _curve(question: Question, units_per_day: float, weeks: int) -> tuple[Detectable, ...]:
    """By week, or by so many weeks that the curve stays short."""
    step = math.ceil(weeks / MOST_WEEKS)
    ends = [*range(step, weeks, step), weeks]
    found = []
    for week in ends:
        total = week * WEEK_DAYS * units_per_day
        found.append(Detectable(week, int(total), detectable_effect(question, total)))
    return tuple(found)
