"""Whether the values of one histogram tend to be larger than those of another, and by how much.

Mann and Whitney's U, exact for the bins, and the shift of Hodges and Lehmann (1963), both from
counts by bin: they cost as much for a million values as for a hundred. With bins of equal ratio a
shift by one bin is a factor. Histograms of other spread but equal ranks are the same to them.
"""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from scipy.special import ndtr, ndtri

from augurium.core.tensors import Array


class RankComparison(msgspec.Struct, frozen=True):
    """`u` counts the pairs in which the candidate's value is larger, ties half.

    `z` is that in standard errors from what it would be without a difference, and `p_value` the
    probability of so large a `z` then: one-sided, for one look.
    """

    u: float
    z: float
    p_value: float


class Shift(msgspec.Struct, frozen=True):
    """How many bins the candidate's values lie higher: the median of all pairs, and its limits."""

    value: float
    low: float
    high: float


def compared(candidate: Mapping[int, int], baseline: Mapping[int, int]) -> RankComparison:
    """Holds the candidate's counts by bin against those of the baseline."""
    mine, other = _dense(candidate, baseline)
    n, m = float(mine.sum()), float(other.sum())
    if not n or not m:
        return RankComparison(0.0, 0.0, 1.0)
    u = float(np.sum(mine * (np.cumsum(other) - other / 2)))
    both, total = mine + other, n + m
    ties = float(np.sum(both**3 - both)) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    if variance <= 0:
        return RankComparison(u, 0.0, 1.0)
    # half a pair nearer, because U has steps
    z = max(u - n * m / 2 - 0.5, 0.0) + min(u - n * m / 2 + 0.5, 0.0)
    z /= math.sqrt(variance)
    return RankComparison(u, z, float(ndtr(-z)))


def shift(
    candidate: Mapping[int, int], baseline: Mapping[int, int], alpha: float = 0.05
) -> Shift | None:
    """The shift and its two-sided interval, by the normal approximation; None without values."""
    mine, other = _dense(candidate, baseline)
    n, m = float(mine.sum()), float(other.sum())
    if not n or not m:
        return None
    pairs = np.rint(np.convolve(mine, other[::-1]))
    upto, distances = np.cumsum(pairs), np.arange(len(pairs)) - (len(other) - 1)
    width = -float(ndtri(alpha / 2)) * math.sqrt(n * m * (n + m + 1) / 12)
    least = max(1.0, math.floor(n * m / 2 - width))

    def at(rank: float) -> float:
        return float(distances[np.searchsorted(upto, rank)])

    middle = (at(math.floor((n * m + 1) / 2)) + at(math.ceil((n * m + 1) / 2))) / 2
    return Shift(middle, at(least), at(n * m + 1 - least))


def _dense(candidate: Mapping[int, int], baseline: Mapping[int, int]) -> tuple[Array, Array]:
    """Both counts in the bins from the lowest to the highest that is used."""
    places = candidate.keys() | baseline.keys()
    low, high = min(places, default=0), max(places, default=0)
    found = np.zeros((2, high - low + 1))
    for row, counts in zip(found, (candidate, baseline), strict=True):
        for place, count in counts.items():
            row[place - low] = count
    return found[0], found[1]
