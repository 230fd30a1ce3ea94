"""CUPED: less variance, by what was known of every unit before it met the experiment.

Deng, Xu, Kohavi and Walker (2013): Improving the sensitivity of online controlled experiments. The
variance shrinks by the square of the correlation. What is used must date from before the exposure:
a variant that changes it makes the result wrong.
"""

import functools
from collections.abc import Sequence

import msgspec

from augurium.statistics.estimates import Estimate, mean
from augurium.statistics.joint_moments import JointMoments


class Adjusted(msgspec.Struct, frozen=True):
    """The estimates after the adjustment by `theta`, and what of the variance is left.

    `variance_ratio` is 1 - rho^2, rho being the correlation within the variants.
    """

    theta: float
    variance_ratio: float
    estimates: tuple[Estimate, ...]


def cuped(variants: Sequence[JointMoments]) -> Adjusted:
    """The means of `y`, adjusted by `x`, the metric before; in the order of the variants.

    `theta` is common to all, from deviations within the variants. Raises InvalidArgument for fewer
    than two units in a variant.
    """
    xx, xy, yy = (sum(getattr(one, name) for one in variants) for name in ("xx", "xy", "yy"))
    theta = xy / xx if xx > 0 else 0.0
    whole = functools.reduce(JointMoments.merged, variants, JointMoments())
    return Adjusted(
        theta,
        1 - theta * xy / yy if yy > 0 else 1.0,
        tuple(_adjusted(one, theta, whole.x_mean) for one in variants),
    )


def _adjusted(moments: JointMoments, theta: float, center: float) -> Estimate:
    plain = mean(moments.y)
    squares = max(0.0, moments.yy - 2 * theta * moments.xy + theta * theta * moments.xx)
    return Estimate(
        plain.value - theta * (moments.x_mean - center),
        squares / (moments.n - 1) / moments.n,
        plain.df,
        plain.n,
    )
