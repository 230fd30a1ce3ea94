"""Quantiles of a stream in bounded memory: the KLL sketch.

Z. Karnin, K. Lang, E. Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016. Up to
`EXACT` values everything is kept and quantiles are exact. Beyond, a rank is off by at most 0.07 %
of the number of values in 99 of 100 cases (2.296 / K**0.9723, as Apache DataSketches measured it
for this K).
"""

from typing import Self

import numpy as np

from augurium.core.tensors import Array

K = 4096
EXACT = 100_000
SHRINKING = 2 / 3
SMALLEST_LEVEL = 8


class QuantileSketch:
    """Takes numbers in batches; `seed` makes its coin flips the same in every fit."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._exact: list[Array] = []
        self._levels: list[Array] = []
        self._count = 0

    @property
    def is_exact(self) -> bool:
        return not self._levels

    def add(self, values: Array) -> None:
        """Adds numbers; none of them missing."""
        self._count += len(values)
        if self.is_exact:
            self._exact.append(values.astype(np.float64))
            if self._count > EXACT:
                self._levels = [np.concatenate(self._exact)]
                self._exact = []
                self._compact()
            return
        self._levels[0] = np.concatenate([self._levels[0], values])
        self._compact()

    def items(self) -> tuple[Array, Array]:
        """The kept numbers in rising order, and how many values of the stream each stands for."""
        if self.is_exact:
            values = np.concatenate(self._exact) if self._exact else np.empty(0)
            return np.sort(values), np.ones(len(values), np.int64)
        values = np.concatenate(self._levels)
        weights = np.repeat(1 << np.arange(len(self._levels)), [len(x) for x in self._levels])
        order = np.argsort(values, kind="stable")
        return values[order], weights[order]

    def merge(self, other: Self) -> None:
        """Adds what another sketch has seen."""
        if other.is_exact:
            for values in other._exact:
                self.add(values)
            return
        if self.is_exact:
            self._levels, self._exact = [np.concatenate([np.empty(0), *self._exact])], []
        while len(self._levels) < len(other._levels):
            self._levels.append(np.empty(0))
        for level, values in enumerate(other._levels):
            self._levels[level] = np.concatenate([self._levels[level], values])
        self._count += other._count
        self._compact()

    def _compact(self) -> None:
        level = 0
        while level < len(self._levels):
            if len(self._levels[level]) > self._capacity(level):
                self._halve(level)
            level += 1

    def _halve(self, level: int) -> None:
        """Every second number goes up and counts double; an odd one stays."""
        values = np.sort(self._levels[level])
        kept = len(values) % 2
        if level + 1 == len(self._levels):
            self._levels.append(np.empty(0))
        start = kept + int(self._rng.integers(2))
        self._levels[level + 1] = np.concatenate([self._levels[level + 1], values[start::2]])
        self._levels[level] = values[:kept]

    def _capacity(self, level: int) -> int:
        depth = len(self._levels) - 1 - level
        return max(SMALLEST_LEVEL, int(K * SHRINKING**depth))


def quantiles(values: Array, weights: Array, shares: Array) -> Array:
    """Quantiles of sorted numbers that stand for `weights` values each, with NumPy's linear
    interpolation between neighbours.
    """
    ends = np.cumsum(weights)
    positions = np.asarray(shares, np.float64) * (ends[-1] - 1)
    low = np.floor(positions)
    below = values[np.searchsorted(ends, low, side="right")]
    above = values[np.searchsorted(ends, np.minimum(low + 1, ends[-1] - 1), side="right")]
    with np.errstate(invalid="ignore"):
        between = below + (above - below) * (positions - low)
    return np.asarray(np.where(below == above, below, between))
