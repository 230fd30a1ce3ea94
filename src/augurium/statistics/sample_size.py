"""How many units an experiment needs, what it can detect, and with which power.

For a comparison of two means, of a control a and a treatment b that get the shares w of N units,
N = (z(1 - alpha/2) + z(power))^2 (var_a / w_a + var_b / w_b) / effect^2, times what the looks cost
and what is left of the variance after CUPED.
"""

import math
from enum import StrEnum
from functools import lru_cache

import msgspec
import numpy as np
from scipy.special import ndtri

from augurium.core.errors import InvalidArgument
from augurium.statistics.confidence_sequences import half_width
from augurium.statistics.group_sequential import (
    MAX_LOOKS,
    Spending,
    bounds,
    check_alpha,
    crossing_probabilities,
    inflation,
    root,
)

LARGEST_SHARE_VARIANCE = 0.25
TOLERANCE = 1e-9


class Design(StrEnum):
    """How an experiment is looked at: once, by a spending function, or at any time."""

    FIXED = "fixed"
    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"
    ALWAYS_VALID = "always-valid"


class Proportion(msgspec.Struct, frozen=True, tag="proportion"):
    """A metric that each unit has or has not; `baseline` is the control's share of those."""

    baseline: float

    def variance(self, value: float) -> float:
        """That of one unit where the share is `value`."""
        return value * (1 - value)

    def largest_effect(self, effect: float) -> float:
        """How far the share can go in the direction of an effect."""
        return 1 - self.baseline if effect > 0 else self.baseline

    @property
    def largest_variance(self) -> float:
        """That of one unit, whatever the share is."""
        return LARGEST_SHARE_VARIANCE


class Continuous(msgspec.Struct, frozen=True, tag="continuous"):
    """A metric that is a number, with the control's mean and the deviation among units."""

    baseline: float
    deviation: float

    def variance(self, value: float) -> float:
        """That of one unit, the same whatever the mean is."""
        return self.deviation * self.deviation

    def largest_effect(self, effect: float) -> float:
        """There is no end to it."""
        return math.inf

    @property
    def largest_variance(self) -> float:
        """That of one unit."""
        return self.deviation * self.deviation


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is to find out, and how.

    `effect` is the difference of means to be detected, `shares` those of the units, the control
    first, which add up to 1. With several treatments each is held against the control at alpha by
    their number, so that all decisions together hold. `correlation` is that of the metric with what
    CUPED adjusts it by, 0 without.
    """

    metric: Proportion | Continuous
    effect: float
    shares: tuple[float, ...] = (0.5, 0.5)
    alpha: float = 0.05
    power: float = 0.8
    design: Design = Design.OBRIEN_FLEMING
    looks: int = 7
    correlation: float = 0.0

    @property
    def alpha_each(self) -> float:
        """What each comparison may err."""
        return self.alpha / (len(self.shares) - 1)

    @property
    def inflation(self) -> float:
        """How many times the units of one look the looks take."""
        return look_inflation(self.design, self.looks, self.alpha_each, self.power)


def check(question: Question) -> None:
    """Raises InvalidArgument when the question makes no sense."""
    metric, effect, shares = question.metric, question.effect, question.shares
    check_alpha(question.alpha)
    if not question.alpha < question.power < 1:
        raise InvalidArgument(
            f"the power is {question.power}; expected a number above alpha and below 1, such as 0.8"
        )
    if not 1 <= question.looks <= MAX_LOOKS:
        raise InvalidArgument(f"there are {question.looks} looks; expected 1 to {MAX_LOOKS}")
    if not (math.isfinite(effect) and effect != 0):
        raise InvalidArgument(f"the effect is {effect}; expected a number other than 0")
    if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > TOLERANCE:
        raise InvalidArgument(f"the shares are {shares}; expected two or more that add up to 1")
    if not 0 <= question.correlation < 1:
        raise InvalidArgument(f"the correlation is {question.correlation}; expected 0 to below 1")
    if isinstance(metric, Proportion):
        _check_proportion(metric.baseline, effect)
    elif not (math.isfinite(metric.baseline) and 0 < metric.deviation < math.inf):
        raise InvalidArgument(
            f"the mean is {metric.baseline} and the deviation {metric.deviation}; expected a "
            "number and a positive number"
        )


def units(question: Question) -> float:
    """How many units all variants together need for the power."""
    return _units(question, question.effect, question.metric.baseline + question.effect)


def power_at(question: Question, total: float) -> float:
    """The probability to see the effect with so many units in all, at the weakest comparison."""
    times, limits = look_limits(question.design, question.looks, question.alpha_each)
    value = question.metric.baseline + question.effect
    squared_se = _spread(question, question.metric.variance(value)) / total
    drift = abs(question.effect) / math.sqrt(squared_se)
    return float(crossing_probabilities(times, limits, drift).sum())


def detectable_effect(question: Question, total: float) -> float | None:
    """The smallest effect in the same direction that so many units detect with the power.

    None where even the largest that there can be is too small.
    """
    metric, sign = question.metric, math.copysign(1, question.effect)
    spread = _spread(question, metric.largest_variance)
    enough = math.sqrt(_needed(question) * spread / total)
    most = min(enough, metric.largest_effect(sign))

    def missing(share: float) -> float:
        return _units(question, share * most, metric.baseline + sign * share * most) - total

    if missing(1.0) > TOLERANCE * total:
        return None
    return sign * most * root(missing, 0.0, 1.0)


def split_cost(question: Question) -> float:
    """How many times the units of an even split this split takes."""
    even = (1 / len(question.shares),) * len(question.shares)
    return units(question) / units(msgspec.structs.replace(question, shares=even))


@lru_cache(maxsize=256)
def look_inflation(design: Design, looks: int, alpha: float, power: float) -> float:
    """How many times the units of a test with one look are needed, with equal looks."""
    if design is Design.FIXED:
        return 1.0
    return inflation(*look_limits(design, looks, alpha), alpha, power)


@lru_cache(maxsize=256)
def look_limits(
    design: Design, looks: int, alpha: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """When one looks, as fractions of the units, and the limit on |z| at each time."""
    if design is Design.FIXED:
        return (1.0,), (float(ndtri(1 - alpha / 2)),)
    times = tuple(look / looks for look in range(1, looks + 1))
    if design is Design.ALWAYS_VALID:
        return times, tuple(half_width(1.0, np.array(times), 1.0, alpha).tolist())
    return times, bounds(times, 1.0, alpha, Spending(design.value))


def _units(question: Question, effect: float, value: float) -> float:
    spread = _spread(question, question.metric.variance(value))
    return _needed(question) * spread / effect / effect


def _needed(question: Question) -> float:
    """The square of the drift that gives the power."""
    quantiles = ndtri(1 - question.alpha_each / 2) + ndtri(question.power)
    return float(quantiles) ** 2 * question.inflation


def _spread(question: Question, variance: float) -> float:
    """The variance of the difference times the units, at the weakest comparison."""
    control, *treatments = question.shares
    plain = question.metric.variance(question.metric.baseline) / control + variance / min(
        treatments
    )
    return plain * (1 - question.correlation**2)


def _check_proportion(baseline: float, effect: float) -> None:
    if not 0 < baseline < 1:
        raise InvalidArgument(
            f"the baseline is {baseline}; expected a share between 0 and 1, such as 0.10"
        )
    if not 0 < baseline + effect < 1:
        raise InvalidArgument(
            f"the baseline {baseline:g} and the effect {effect:g} give {baseline + effect:g}; "
            "expected a share between 0 and 1"
        )
