"""Estimates of an experiment: what a variant's metric is, and what another variant changes of it.

They come from sums that merge. The unit of every sum is what was assigned to a variant, a user
say: requests of one user are not independent, and an interval that counts them as such is too
narrow. Deng, Knoblich and Lu (2018): Applying the delta method in metric analytics.
"""

import math

import msgspec
from scipy.special import stdtr, stdtrit

from augurium.core.errors import InvalidArgument
from augurium.statistics.joint_moments import JointMoments
from augurium.statistics.moments import Moments

LEAST_UNITS = 2


class Estimate(msgspec.Struct, frozen=True):
    """A metric of one variant, from `n` units.

    `variance` is that of the estimate, the square of its standard error, and `df` says how many
    degrees of freedom it was itself estimated with.
    """

    value: float
    variance: float
    df: float
    n: float


class Effect(msgspec.Struct, frozen=True):
    """A difference or relative lift between two variants of together `n` units."""

    value: float
    se: float
    df: float
    n: float

    @property
    def z(self) -> float:
        """The effect in standard errors; 0 without variance, which is no evidence."""
        return self.value / self.se if self.se > 0 else 0.0

    @property
    def p_value(self) -> float:
        """Of no effect: two-sided, Student's t; for one look."""
        return float(2 * stdtr(self.df, -abs(self.z)))

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The confidence interval of 1 - alpha, Student's t; for one look."""
        return self.within(float(stdtrit(self.df, 1 - alpha / 2)))

    def within(self, bound: float) -> tuple[float, float]:
        """The interval of `bound` standard errors to both sides.

        With the bound of a look of a group-sequential test it is a repeated confidence interval
        (Jennison and Turnbull 1989), which holds at all looks together.
        """
        return self.value - bound * self.se, self.value + bound * self.se


def moments_of_sums(n: int, total: float, squares: float) -> Moments:
    """Moments from a count, a sum and a sum of squares."""
    return Moments(n, total / n, max(0.0, squares - total * total / n)) if n else Moments()


def proportion(successes: float, n: int) -> Estimate:
    """The share of units that did something. Raises InvalidArgument for fewer than two units."""
    _check_units(n)
    if not 0 <= successes <= n:
        raise InvalidArgument(f"{successes} of {n} units; expected 0 to {n}")
    share = successes / n
    return Estimate(share, share * (1 - share) / n, n - 1, n)


def mean(moments: Moments) -> Estimate:
    """The mean per unit. Raises InvalidArgument for fewer than two units."""
    _check_units(moments.n)
    return Estimate(moments.mean, moments.variance / moments.n, moments.n - 1, moments.n)


def ratio(moments: JointMoments) -> Estimate:
    """The sum of `y` by the sum of `x` over all units, such as clicks per request (delta method).

    Raises InvalidArgument for fewer than two units, and where `x` adds up to nothing.
    """
    _check_units(moments.n)
    if moments.x_mean == 0:
        raise InvalidArgument("the denominator of the ratio is zero; expected units that have some")
    value = moments.y_mean / moments.x_mean
    squares = max(0.0, moments.yy - 2 * value * moments.xy + value * value * moments.xx)
    variance = squares / (moments.n - 1) / moments.n / moments.x_mean**2
    return Estimate(value, variance, moments.n - 1, moments.n)


def difference(control: Estimate, treatment: Estimate) -> Effect:
    """How much larger the metric of the treatment is (Welch)."""
    return _effect(
        treatment.value - control.value, control.variance, treatment.variance, control, treatment
    )


def relative_lift(control: Estimate, treatment: Estimate) -> Effect:
    """How much larger it is as a share of the size of the control's metric (delta method).

    It is good where the control's metric is many standard errors from zero. Raises InvalidArgument
    where it is zero.
    """
    size = abs(control.value)
    if size == 0:
        raise InvalidArgument("the control's metric is zero; ask for the difference instead")
    return _effect(
        (treatment.value - control.value) / size,
        control.variance * treatment.value**2 / size**4,
        treatment.variance / size**2,
        control,
        treatment,
    )


def _effect(
    value: float,
    control_variance: float,
    treatment_variance: float,
    control: Estimate,
    treatment: Estimate,
) -> Effect:
    return Effect(
        value,
        math.sqrt(control_variance + treatment_variance),
        _welch(control, treatment),
        control.n + treatment.n,
    )


def _welch(one: Estimate, other: Estimate) -> float:
    """Degrees of freedom by Welch (1947) and Satterthwaite (1946)."""
    total = one.variance + other.variance
    if total == 0:
        return one.df + other.df
    shares = (one.variance / total, other.variance / total)
    return 1 / (shares[0] ** 2 / one.df + shares[1] ** 2 / other.df)


def _check_units(n: int) -> None:
    if n < LEAST_UNITS:
        raise InvalidArgument(f"{n} units tell nothing of a variant; expected at least two")
