"""Mean and variance that merge.

Chan, Golub, LeVeque (1979): Updating formulae and a pairwise algorithm for computing sample
variances.
"""

import math
import sys

import msgspec

LARGEST = sys.float_info.max


class Moments(msgspec.Struct, frozen=True):
    """Count, mean and sum of squared deviations `m2`; what overflows stays the largest float."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def merged(self, other: "Moments") -> "Moments":
        """Those of both samples together; the same whichever comes first."""
        # the formula is symmetric in numbers but not in floats, so the order is fixed
        first, second = sorted((self, other), key=_key)
        if second.n == 0:
            return first
        n = first.n + second.n
        delta = second.mean - first.mean
        return Moments(
            n,
            bounded(first.mean + delta * (second.n / n)),
            bounded(first.m2 + second.m2 + delta * delta * (first.n * second.n / n)),
        )

    @property
    def variance(self) -> float:
        """Of the sample, with n - 1; 0 for fewer than two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0


def bounded(value: float) -> float:
    """The value, or the largest float of its sign where it overflowed: JSON knows no infinity."""
    if math.isfinite(value):
        return value
    return LARGEST if value > 0 or math.isnan(value) else -LARGEST


def _key(moments: Moments) -> tuple[int, float, float]:
    return (-moments.n, moments.mean, moments.m2)
