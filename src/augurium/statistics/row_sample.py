"""A uniform sample of a stream: of bounded size, whatever its length.

Every row gets a random key, and the rows of the smallest keys are kept. With m kept of any number
of rows, all quantiles are off by at most sqrt(ln(2 / p) / (2 m)) of rank with probability 1 - p
(Dvoretzky-Kiefer-Wolfowitz): 0.0076 for m = 65536 and p = 0.001; none while all rows fit.
"""

import math
from collections.abc import Sequence

import numpy as np

from augurium.core.tensors import Array

SEED = 0
MAX_ROWS = 65536
MIN_ROWS = 4096
MAX_CELLS = 16 * 1024**2
CONFIDENCE = 0.999


class RowSample:
    """Rows of `columns` numbers as float64 [columns, rows]; the same in every run."""

    def __init__(self, columns: int) -> None:
        self.size = max(MIN_ROWS, min(MAX_ROWS, MAX_CELLS // max(1, columns)))
        self._rng = np.random.default_rng(SEED)
        self._keys: Array = np.empty(0)
        self._parts: list[Array] = []
        self._waiting = 0
        self._limit = np.inf
        self._columns = columns
        self.seen = 0

    @property
    def rank_error(self) -> float:
        """How far off a quantile of the sample may be, as a share of all rows."""
        if self.seen <= self.size:
            return 0.0
        return math.sqrt(math.log(2 / (1 - CONFIDENCE)) / (2 * self.size))

    def observe(self, columns: Sequence[Array]) -> None:
        """Takes more rows: one array per column, of equal length."""
        if not self._columns:
            return
        count = len(columns[0])
        self.seen += count
        keys = self._rng.random(count)
        chosen = np.flatnonzero(keys < self._limit)
        if not len(chosen):
            return
        self._keys = np.concatenate([self._keys, keys[chosen]])
        self._parts.append(np.stack([column[chosen] for column in columns]))
        if len(self._keys) > 2 * self.size:
            self._shrink()

    def rows(self) -> Array:
        """The sample."""
        if not self._parts:
            return np.empty((self._columns, 0))
        self._shrink()
        return self._parts[0]

    def _shrink(self) -> None:
        rows = np.concatenate(self._parts, axis=1)
        if len(self._keys) > self.size:
            kept = np.argpartition(self._keys, self.size - 1)[: self.size]
            self._keys, rows = self._keys[kept], rows[:, kept]
            self._limit = float(self._keys.max())
        self._parts = [rows]
