"""Counting many numeric features at once: one comparison with all thresholds, no loop over them.

Measured on 50 features of 10 bins, one core: 1024 rows take about 0.6 us each, 32 rows 2.5 us each;
a loop over features with `searchsorted` takes three times as long.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from augurium.core.tensors import Array
from augurium.statistics.bins import NumericBins
from augurium.statistics.moments import Moments, bounded
from augurium.statistics.profiles import FeatureProfile

CHUNK_ROWS = 1024  # what is compared at once stays in the cache


class NumericCounter:
    """The counters of features with numeric bins, in their order."""

    def __init__(self, bins: Sequence[NumericBins]) -> None:
        self._bins = tuple(bins)
        self._thresholds = _thresholds(self._bins)
        features, width = len(self._bins), len(self._thresholds)
        self._reached = np.zeros((width, features), np.int64)
        self._n = np.zeros(features, np.int64)
        self._missing = np.zeros(features, np.int64)
        self._nan = np.zeros(features, np.int64)
        self._inf = np.zeros(features, np.int64)
        self._type_errors = np.zeros(features, np.int64)
        self._min = np.full(features, np.inf)
        self._max = np.full(features, -np.inf)
        self._finite = np.zeros(features, np.int64)
        self._mean = np.zeros(features)
        self._m2 = np.zeros(features)

    def update(self, rows: Array, missing: Array, type_errors: Array) -> None:
        """Counts `rows`, float64 of shape [features, rows].

        `missing` and `type_errors` say, per feature, how many of its NaN stand for values that were
        not there or of another type.
        """
        self._n += rows.shape[1]
        self._missing += missing
        self._type_errors += type_errors
        self._nan -= missing + type_errors
        for start in range(0, rows.shape[1], CHUNK_ROWS):
            self._count(rows[:, start : start + CHUNK_ROWS])

    def profiles(self) -> list[FeatureProfile]:
        """What was counted so far."""
        return [self._profile(index) for index in range(len(self._bins))]

    def _count(self, rows: Array) -> None:
        finite = np.isfinite(rows)
        counts = np.count_nonzero(finite, axis=1)
        if not finite.all():
            nan = np.count_nonzero(np.isnan(rows), axis=1)
            self._nan += nan
            self._inf += rows.shape[1] - counts - nan
            rows = np.where(finite, rows, np.nan)
        reached = rows[np.newaxis] >= self._thresholds
        self._reached += np.add.reduce(reached, axis=2, dtype=np.int32)
        self._min = np.fmin(self._min, np.fmin.reduce(rows, axis=1))
        self._max = np.fmax(self._max, np.fmax.reduce(rows, axis=1))
        self._add_moments(rows, finite, counts)

    def _add_moments(self, rows: Array, finite: Array, counts: Array) -> None:
        """Chan's update, see `Moments`, for all features; overflow stays the largest float."""
        present = np.where(finite, rows, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            sizes = np.maximum(counts, 1)
            means = present.sum(axis=1) / sizes
            deviations = np.where(finite, rows - means[:, np.newaxis], 0.0)
            m2 = np.einsum("ij,ij->i", deviations, deviations)
            total = np.maximum(self._finite + counts, 1)
            delta = means - self._mean
            self._mean = _bounded(self._mean + delta * (counts / total))
            self._m2 = _bounded(self._m2 + m2 + delta * delta * (self._finite * (counts / total)))
        self._finite += counts

    def _profile(self, index: int) -> FeatureProfile:
        bins, finite = self._bins[index], int(self._finite[index])
        at_least = [finite, *self._reached[: bins.size - 1, index].tolist(), 0]
        return FeatureProfile(
            bins=bins,
            counts=tuple(high - low for high, low in itertools.pairwise(at_least)),
            n=int(self._n[index]),
            n_missing=int(self._missing[index]),
            n_nan=int(self._nan[index]),
            n_inf=int(self._inf[index]),
            n_type_error=int(self._type_errors[index]),
            min=float(self._min[index]) if finite else None,
            max=float(self._max[index]) if finite else None,
            moments=Moments(
                finite, bounded(float(self._mean[index])), bounded(float(self._m2[index]))
            )
            if finite
            else Moments(),
        )


def _thresholds(bins: Sequence[NumericBins]) -> Array:
    """The lower ends of all bins but the lowest, [thresholds, features, 1]; padded with infinity.

    Those above the reference begin right behind `high`, which itself belongs to the last bin.
    """
    width = max((each.size - 1 for each in bins), default=0)
    thresholds = np.full((width, len(bins), 1), np.inf)
    for index, each in enumerate(bins):
        ends = (each.low, *each.edges, math.nextafter(each.high, math.inf))
        thresholds[: len(ends), index, 0] = ends
    return thresholds


def _bounded(values: Array) -> Array:
    largest = np.finfo(np.float64).max
    bounded: Array = np.nan_to_num(values, nan=largest, posinf=largest, neginf=-largest)
    return bounded
