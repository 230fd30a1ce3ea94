"""What an experiment can find: with the units so far, and at its planned end.

From the variances that were seen, so it gets better from day to day; planning before the start is
`statistics/experiment_plan.py`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import ndtr, ndtri

from augurium.core.experiment_design import ExperimentDesign
from augurium.statistics.group_sequential import crossing_probabilities
from augurium.statistics.sample_size import Design, look_inflation, look_limits
from augurium.traffic.experiment_comparisons import Measured, alpha_each

LEAST_TIME = 1e-3


class Forecast(NamedTuple):
    """`power` at the planned end and `so_far`, for the first primary metric with an effect; the
    effect that is `detectable` at the end, by metric, as a share of the control's metric.
    """

    power: float | None
    so_far: float | None
    detectable: dict[str, float]


def forecast(
    design: ExperimentDesign, metrics: Sequence[Measured], units: int, time: float
) -> Forecast:
    """From estimates of so many units, when `time` of the plan was over.

    Of several treatments the one that is known worst counts.
    """
    expected = units / max(time, LEAST_TIME) if design.units is None else design.units
    last = units if time >= 1 else max(expected, units)
    shrink = math.sqrt(units / last) if last else 1.0
    errors = {one.metric.name: error for one in metrics if (error := _error(design, one))}
    wanted = [one for one in design.primaries if one.effect is not None and one.name in errors]
    effect = (wanted[0].effect or 0.0) / errors[wanted[0].name] if wanted else None
    alpha = alpha_each(design)
    needed = _needed(design, alpha)
    return Forecast(
        None if effect is None else _sequential_power(design, effect / shrink, alpha),
        None if effect is None else _power(effect, alpha),
        {name: needed * error * shrink for name, error in errors.items()},
    )


def _error(design: ExperimentDesign, one: Measured) -> float | None:
    """The largest standard error of the effects, as a share of the control's metric."""
    if one.found is None:
        return None
    size = abs(one.found.by_variant[design.control].value)
    effects = [one.effect(design.control, treatment) for treatment in design.treatments]
    found = max((effect.se for effect in effects if effect is not None), default=0.0)
    return found / size if size > 0 and found > 0 else None


def _power(effect: float, alpha: float) -> float:
    bound = float(ndtri(1 - alpha / 2))
    return float(ndtr(effect - bound) + ndtr(-effect - bound))


def _sequential_power(design: ExperimentDesign, effect: float, alpha: float) -> float:
    times, limits = look_limits(Design(design.spending), design.looks, alpha)
    return float(crossing_probabilities(times, limits, min(effect, 40.0)).sum())


def _needed(design: ExperimentDesign, alpha: float) -> float:
    """How many standard errors an effect has that is found with the wanted power."""
    inflation = look_inflation(Design(design.spending), design.looks, alpha, design.power)
    return float(ndtri(1 - alpha / 2) + ndtri(design.power)) * math.sqrt(inflation)
