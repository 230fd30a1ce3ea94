"""Confidence sequences: intervals that hold at all times together, however often one looks.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021): Time-uniform central limit theory and
asymptotic confidence sequences, arXiv 2103.06476. They are asymptotic: show none before each
variant has about 100 conversions. `planned` is the number of units at which an interval is to be
at its narrowest, relative to that of one look; another only makes them wider. Numbers may be arrays
of one shape.
"""

import math

import numpy as np
from scipy.special import log_ndtr

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.estimates import Effect
from augurium.statistics.group_sequential import check_alpha

LARGEST_EXPONENT = 700.0


def half_width(se: Array | float, n: Array | float, planned: float, alpha: float = 0.05) -> Array:
    """What stands to each side of an effect with standard error `se` after `n` units."""
    information = _information(n, planned, alpha)
    return _width(se, information, np.log(np.sqrt(information + 1) / alpha))


def one_sided_half_width(
    se: Array | float, n: Array | float, planned: float, alpha: float = 0.05
) -> Array:
    """The same where only one limit is wanted: it is nearer."""
    information = _information(n, planned, 2 * alpha)
    return _width(se, information, np.log1p(np.sqrt(information + 1) / (2 * alpha)))


def p_value(z: Array | float, n: Array | float, planned: float, alpha: float = 0.05) -> Array:
    """Of no effect, two-sided, valid at all times; below `alpha` where the interval leaves zero."""
    information = _information(n, planned, alpha)
    exponent = np.square(z) * information / (2 * (information + 1))
    return np.asarray(np.minimum(1.0, np.sqrt(information + 1) * np.exp(-exponent)))


def one_sided_p_value(
    z: Array | float, n: Array | float, planned: float, alpha: float = 0.05
) -> Array:
    """Of an effect that is not above zero."""
    information = _information(n, planned, 2 * alpha)
    above = np.maximum(z, 0.0)
    exponent = np.square(above) * information / (2 * (information + 1))
    odds = np.expm1(np.minimum(exponent, LARGEST_EXPONENT))
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(1.0, np.sqrt(information + 1) / (2 * odds)))


def interval(effect: Effect, planned: float, alpha: float = 0.05) -> tuple[float, float]:
    """The two-sided interval of an effect, at this time and all others."""
    width = float(half_width(effect.se, effect.n, planned, alpha))
    return effect.value - width, effect.value + width


class NormalMixture:
    """The two-sided normal mixture boundary of a sum with variance `v`, narrowest at `planned`.

    Howard, Ramdas, McAuliffe and Sekhon (2021): Time-uniform, nonparametric, nonasymptotic
    confidence sequences. Numbers may be arrays of one shape.
    """

    def __init__(self, planned: float, alpha: float = 0.05) -> None:
        check_alpha(alpha)
        self.alpha = alpha
        self.rho = planned / (2 * math.log(1 / alpha) + math.log1p(2 * math.log(1 / alpha)))

    def log_martingale(self, total: Array | float, v: Array | float) -> Array:
        """The logarithm of the evidence against a mean of zero; it may reach ln(1 / alpha)."""
        spread = np.add(v, self.rho)
        return np.asarray(0.5 * np.log(self.rho / spread) + np.square(total) / (2 * spread))

    def bound(self, v: Array | float) -> Array:
        """What the size of the sum exceeds at any time with a probability of at most alpha."""
        spread = np.add(v, self.rho)
        level = np.log(spread / self.rho) + 2 * math.log(1 / self.alpha)
        return np.asarray(np.sqrt(spread * level))


class OneSidedNormalMixture(NormalMixture):
    """The same for sums that are too large only."""

    def __init__(self, planned: float, alpha: float = 0.05) -> None:
        check_alpha(alpha)
        super().__init__(planned, min(2 * alpha, 0.5))
        self.alpha = alpha

    def log_martingale(self, total: Array | float, v: Array | float) -> Array:
        """The logarithm of the evidence against a mean of at most zero."""
        spread = np.add(v, self.rho)
        both = 0.5 * np.log(4 * self.rho / spread) + np.square(total) / (2 * spread)
        return np.asarray(both + log_ndtr(total / np.sqrt(spread)))

    def bound(self, v: Array | float) -> Array:
        """What the sum exceeds at any time with a probability of at most alpha."""
        spread = np.add(v, self.rho)
        level = np.log1p(np.sqrt(spread / self.rho) / (2 * self.alpha))
        return np.asarray(np.sqrt(2 * spread * level))


def _information(n: Array | float, planned: float, alpha: float) -> Array:
    """The product n rho^2, where rho makes the interval narrowest at `planned` units."""
    check_alpha(alpha)
    if not planned > 0:
        raise InvalidArgument(f"the planned units are {planned}; expected a positive number")
    level = -2 * math.log(alpha)
    return np.asarray(np.multiply(n, (level + math.log1p(level)) / planned))


def _width(se: Array | float, information: Array, level: Array) -> Array:
    return np.asarray(se * np.sqrt(2 * (information + 1) / information * level))
