"""What is remembered of a column during the pass over the training rows: sums, not rows.

Each summary can be asked what it would be had missing values been `filled`, so that an impute and
what follows it are fitted in the same pass.
"""

from collections import Counter, defaultdict
from typing import Any, Protocol, Self

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.preprocessing.fitted import MISSING_TEXT, Level
from augurium.preprocessing.quantile_sketch import QuantileSketch, quantiles
from augurium.preprocessing.reference import is_missing


class Summary(Protocol):
    """Takes a column batch by batch, the target beside it where a transform needs one."""

    def add(self, values: Array, target: Array | None) -> None: ...

    def filled(self, value: Any) -> "Summary":
        """The summary of the column with `value` where it is missing."""
        ...


class Moments:
    """Count, mean, squared deviations and range. T. Chan et al., "Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances", 1979.
    """

    def __init__(self) -> None:
        self.count = 0
        self.missing = 0
        self.mean = 0.0
        self._squares = 0.0
        self.low = np.inf
        self.high = -np.inf

    @property
    def deviation(self) -> float:
        """The population standard deviation; 1 for a column that does not vary."""
        variance = self._squares / self.count if self.count else 0.0
        # as scikit-learn: what rounding leaves of a constant column is not a spread
        noise = self.count * np.finfo(np.float64).eps * variance
        noise += (self.count * self.mean * np.finfo(np.float64).eps) ** 2
        return 1.0 if variance <= noise else float(np.sqrt(variance))

    def add(self, values: Array, target: Array | None = None) -> None:
        known = values[np.isfinite(values)]
        self.missing += int(np.isnan(values).sum())
        if len(known):
            mean = float(known.mean())
            squares = float(((known - mean) ** 2).sum())
            self._merge(len(known), mean, squares, float(known.min()), float(known.max()))

    def filled(self, value: float) -> Self:
        found = type(self)()
        found._merge(self.count, self.mean, self._squares, self.low, self.high)
        if self.missing:
            found._merge(self.missing, value, 0.0, value, value)
        return found

    def _merge(self, count: int, mean: float, squares: float, low: float, high: float) -> None:
        total = self.count + count
        if not total:
            return
        distance = mean - self.mean
        self._squares += squares + distance**2 * self.count * count / total
        self.mean += distance * count / total
        self.count = total
        self.low, self.high = min(self.low, low), max(self.high, high)


class Quantiles:
    """The sorted numbers, or a sketch of them."""

    def __init__(self) -> None:
        self._sketch = QuantileSketch()
        self.missing = 0
        self._fill: float | None = None

    def add(self, values: Array, target: Array | None = None) -> None:
        self._sketch.add(values[np.isfinite(values)])
        self.missing += int(np.isnan(values).sum())

    def filled(self, value: float) -> Self:
        found = type(self)()
        found._sketch = self._sketch
        found.missing = self.missing
        found._fill = value
        return found

    def items(self) -> tuple[Array, Array]:
        """Numbers in rising order and how many values each stands for."""
        values, weights = self._sketch.items()
        if self._fill is None or not self.missing:
            return values, weights
        place = int(np.searchsorted(values, self._fill))
        return np.insert(values, place, self._fill), np.insert(weights, place, self.missing)

    def at(self, shares: Any) -> Array:
        """The quantiles at these shares. Raises InvalidArgument for a column without numbers."""
        values, weights = self.items()
        return quantiles(values, weights, np.asarray(shares))


class Levels:
    """How often each level occurs, and the sum of the target over it.

    Keeps at most `room` levels: with more of them, rare ones are dropped and counts are too low by
    at most rows / room. J. Misra, D. Gries, "Finding Repeated Elements", 1982; merged as in
    P. Agarwal et al., "Mergeable Summaries", PODS 2012.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.counts: Counter[Level] = Counter()
        self.sums: defaultdict[Level, float] = defaultdict(float)
        self.rows = 0
        self.missing = 0
        self.missing_sum = 0.0
        self.overflowed = False

    def add(self, values: Array, target: Array | None) -> None:
        missing = is_missing(values)
        self.rows += len(values)
        self.missing += int(missing.sum())
        if target is not None:
            self.missing_sum += float(target[missing].sum())
            self._add_sums(values[~missing].tolist(), target[~missing].tolist())
        self.counts.update(_levels(values[~missing]))
        if len(self.counts) > self.room:
            self._shrink()

    def filled(self, value: Level) -> Self:
        found = type(self)(self.room)
        found.counts, found.sums = self.counts.copy(), self.sums.copy()
        found.rows, found.overflowed = self.rows, self.overflowed
        if self.missing:
            found.counts[value] += self.missing
            found.sums[value] += self.missing_sum
        return found

    def _add_sums(self, values: list[Level], target: list[float]) -> None:
        for value, answer in zip(values, target, strict=True):
            self.sums[value] += answer

    def _shrink(self) -> None:
        self.overflowed = True
        least = sorted(self.counts.values(), reverse=True)[self.room]
        kept = {level: count - least for level, count in self.counts.items() if count > least}
        self.counts = Counter(kept)
        sums = {level: self.sums[level] for level in kept if level in self.sums}
        self.sums = defaultdict(float, sums)


def ordered(levels: Any) -> tuple[Level, ...]:
    """Levels in rising order."""
    return tuple(sorted(levels))


def no_values(column: str) -> InvalidArgument:
    """The error for a column that has nothing to learn from."""
    return InvalidArgument(
        f"column '{column}' has no value in the training table; drop it, or impute a constant"
    )


def _levels(values: Array) -> list[Level]:
    if values.dtype == np.object_:
        return [value for value in values.tolist() if value != MISSING_TEXT]
    with np.errstate(over="ignore"):
        found: list[Level] = values.astype(np.float32).tolist()
    return found
