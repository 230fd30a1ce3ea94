"""Means, variances and covariance of two numbers per unit, that merge.

Chan, Golub, LeVeque (1979), as in `moments`.
"""

from typing import Self

import msgspec
import numpy as np

from augurium.core.tensors import Array
from augurium.statistics.moments import Moments


class JointMoments(msgspec.Struct, frozen=True):
    """Count, means and sums of products of deviations of `x` and `y` of the same units."""

    n: int = 0
    x_mean: float = 0.0
    y_mean: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def merged(self, other: Self) -> "JointMoments":
        """Those of both samples together."""
        if not (self.n and other.n):
            return self if self.n else other
        n = self.n + other.n
        share, x, y = other.n / n, other.x_mean - self.x_mean, other.y_mean - self.y_mean
        weight = self.n * share
        return JointMoments(
            n=n,
            x_mean=self.x_mean + x * share,
            y_mean=self.y_mean + y * share,
            xx=self.xx + other.xx + x * x * weight,
            yy=self.yy + other.yy + y * y * weight,
            xy=self.xy + other.xy + x * y * weight,
        )

    @property
    def x(self) -> Moments:
        """Those of `x` alone."""
        return Moments(self.n, self.x_mean, self.xx)

    @property
    def y(self) -> Moments:
        """Those of `y` alone."""
        return Moments(self.n, self.y_mean, self.yy)


def joint_moments(x: Array, y: Array) -> JointMoments:
    """Those of two arrays of shape [units]."""
    if len(x) == 0:
        return JointMoments()
    x_mean, y_mean = float(np.mean(x)), float(np.mean(y))
    dx, dy = x - x_mean, y - y_mean
    return JointMoments(len(x), x_mean, y_mean, float(dx @ dx), float(dy @ dy), float(dx @ dy))
