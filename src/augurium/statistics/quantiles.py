"""Quantiles that can be compared: log-histograms per bucket of units, which add up.

A histogram has bins of equal ratio, so a quantile is exact to half a bin, 1 % unless told
otherwise. Its variance comes from how the share below it differs between buckets of units, turned
into a distance by the quantiles a standard error to both sides (Woodruff 1952): neither a density
nor a bootstrap is needed, and requests of one unit may resemble each other.
"""

import math

import msgspec
import numpy as np
from scipy.special import ndtri

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.estimates import Estimate, ratio
from augurium.statistics.joint_moments import joint_moments

WOODRUFF_Z = float(ndtri(0.975))


class LogBins(msgspec.Struct, frozen=True):
    """Bins of equal ratio from `low` to `high`; what is beyond them counts in the outermost."""

    low: float = 1e-5
    high: float = 1e3
    growth: float = 1.02

    @property
    def count(self) -> int:
        """How many there are."""
        return math.ceil(math.log(self.high / self.low) / math.log(self.growth))

    def index(self, values: Array) -> Array:
        """The bins of positive values; int64 of the same shape."""
        logs = np.log(np.maximum(values, self.low) / self.low) / math.log(self.growth)
        return np.minimum(logs.astype(np.int64), self.count - 1)

    def value(self, position: float) -> float:
        """What stands at a position in bins, such as 2.5 for the middle of the third."""
        return float(self.low * self.growth**position)


def quantile(counts: Array, bins: LogBins, share: float) -> Estimate:
    """The quantile below which `share` of all values lie, from counts of shape [buckets, bins].

    Raises InvalidArgument when fewer than two buckets hold a value.
    """
    rows = counts.sum(axis=1)
    if np.count_nonzero(rows) < 2:
        raise InvalidArgument("fewer than two buckets of units hold a value; expected more units")
    below = np.concatenate(([0], np.cumsum(counts.sum(axis=0)))) / rows.sum()
    position = _position(below, share)
    upto = np.concatenate((np.zeros((len(rows), 1)), np.cumsum(counts, axis=1)), axis=1)
    whole, part = int(position), position - int(position)
    inside = upto[:, whole] + part * counts[:, min(whole, counts.shape[1] - 1)]
    spread = math.sqrt(ratio(joint_moments(rows, inside)).variance) * WOODRUFF_Z
    low, high = (bins.value(_position(below, share + side * spread)) for side in (-1, 1))
    variance = ((high - low) / (2 * WOODRUFF_Z)) ** 2
    return Estimate(bins.value(position), variance, len(rows) - 1, float(rows.sum()))


def _position(below: Array, share: float) -> float:
    """Where in the bins the share is reached, between their ends in proportion."""
    return float(np.interp(share, below, np.arange(len(below))))
