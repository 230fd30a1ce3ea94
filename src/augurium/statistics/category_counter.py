"""Counting one feature with a bin per category, numbers or texts."""

from collections import Counter
from typing import Any

import numpy as np

from augurium.core.tensors import Array
from augurium.statistics.bins import CategoricalBins, category_hash
from augurium.statistics.moments import Moments, bounded
from augurium.statistics.profiles import FeatureProfile
from augurium.statistics.values import Numbers, Values, as_numbers


class NumberCategoryCounter:
    """The counters of a number with few values: equal to a category, or new."""

    def __init__(self, bins: CategoricalBins) -> None:
        self._bins = bins
        self._order = np.argsort(np.array(bins.categories, np.float64), kind="stable")
        self._levels = np.array(bins.categories, np.float64)[self._order]
        self._counts = np.zeros(bins.size, np.int64)
        self._n = self._missing = self._nan = self._inf = self._type_errors = 0
        self._min, self._max = np.inf, -np.inf
        self._moments = Moments()

    def update(self, values: Values) -> None:
        """Counts more values."""
        numbers = as_numbers(values)
        self._n += len(numbers.content)
        self._missing += numbers.missing
        self._type_errors += numbers.type_errors
        present = _finite(numbers)
        gaps = numbers.missing + numbers.type_errors
        nan = int(np.count_nonzero(np.isnan(numbers.content)))
        self._nan += nan - gaps
        self._inf += len(numbers.content) - nan - len(present)
        if len(present):
            self._counts += np.bincount(self._positions(present), minlength=self._bins.size)
            self._min = min(self._min, float(present.min()))
            self._max = max(self._max, float(present.max()))
            self._moments = self._moments.merged(moments_of(present))

    def profile(self) -> FeatureProfile:
        """What was counted so far."""
        seen = self._moments.n > 0
        return FeatureProfile(
            bins=self._bins,
            counts=tuple(self._counts.tolist()),
            n=self._n,
            n_missing=self._missing,
            n_nan=self._nan,
            n_inf=self._inf,
            n_type_error=self._type_errors,
            min=self._min if seen else None,
            max=self._max if seen else None,
            moments=self._moments,
        )

    def _positions(self, numbers: Array) -> Array:
        new = self._bins.size - 1
        if not len(self._levels):
            return np.full(len(numbers), new)
        nearest = np.minimum(np.searchsorted(self._levels, numbers), len(self._levels) - 1)
        found: Array = np.where(self._levels[nearest] == numbers, self._order[nearest], new)
        return found


class TextCounter:
    """The counters of a text."""

    def __init__(self, bins: CategoricalBins) -> None:
        self._bins = bins
        self._positions = {category: index for index, category in enumerate(bins.categories)}
        self._others = frozenset(bins.others)
        self._counts = [0] * bins.size
        self._n = self._missing = self._type_errors = 0

    def update(self, values: Values) -> None:
        """Counts more values; None is missing, and what is neither is of a wrong type."""
        self._n += len(values.content)
        if values.content.dtype != np.object_:
            gaps = 0 if values.missing is None else int(np.count_nonzero(values.missing))
            self._missing += gaps
            self._type_errors += len(values.content) - gaps
            return
        for value, count in Counter(values.content.tolist()).items():
            if value is None:
                self._missing += count
            elif not isinstance(value, str):
                self._type_errors += count
            else:
                self._counts[self._position(value)] += count

    def profile(self) -> FeatureProfile:
        """What was counted so far."""
        return FeatureProfile(
            bins=self._bins,
            counts=tuple(self._counts),
            n=self._n,
            n_missing=self._missing,
            n_type_error=self._type_errors,
        )

    def _position(self, value: str) -> int:
        found: Any = self._positions.get(value)
        if found is not None:
            return int(found)
        is_other = not self._bins.others_known or category_hash(value) in self._others
        return self._bins.size - (2 if is_other else 1)


def moments_of(numbers: Array) -> Moments:
    """Of finite numbers, at least one."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(numbers.mean())
        deviations = numbers - mean
        return Moments(len(numbers), bounded(mean), bounded(float(deviations @ deviations)))


def _finite(numbers: Numbers) -> Array:
    finite: Array = numbers.content[np.isfinite(numbers.content)]
    return finite
