"""Sums of an experiment: per variant and phase what its metrics are estimated from.

Sums of disjoint units add up, in any order: those of parts are those of the whole. A phase is a
time in which weights were the same; a unit belongs to the phase of its first exposure.
"""

import functools
from collections.abc import Iterable
from typing import Self, TypeVar

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.joint_moments import JointMoments
from augurium.statistics.quantiles import LogBins
from augurium.statistics.unit_buckets import BUCKETS, UnitBuckets

# for any positive value: microseconds, seconds, prices
VALUE_BINS = LogBins(1e-6, 1e9)


class BucketHistogram(msgspec.Struct, frozen=True):
    """How many values lie in which of `VALUE_BINS`, per bucket of units; empty cells are left out.

    A cell is `bucket * VALUE_BINS.count + bin`; cells ascend.
    """

    cells: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    buckets: int = BUCKETS

    def merged(self, other: Self) -> "BucketHistogram":
        """Both together. Raises InvalidArgument for another number of buckets."""
        if self.buckets != other.buckets:
            raise InvalidArgument(
                f"{self.buckets} and {other.buckets} buckets cannot be merged; expected as many"
            )
        return bucket_histogram(
            np.array((*self.cells, *other.cells), np.int64),
            np.array((*self.counts, *other.counts), np.int64),
            self.buckets,
        )

    def table(self) -> Array:
        """Int64 counts of shape [buckets, bins]."""
        found = np.zeros(self.buckets * VALUE_BINS.count, np.int64)
        found[list(self.cells)] = self.counts
        return found.reshape(self.buckets, -1)


def bucket_histogram(cells: Array, counts: Array, buckets: int = BUCKETS) -> BucketHistogram:
    """From cells and counts of shape [rows]; a cell may come several times."""
    found, places = np.unique(cells, return_inverse=True)
    sums = np.bincount(places, counts, len(found)).astype(np.int64)
    return BucketHistogram(tuple(found.tolist()), tuple(sums.tolist()), buckets)


Part = TypeVar("Part", UnitBuckets, JointMoments, BucketHistogram)


class MetricSums(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one metric of one variant is estimated from: one of the three.

    `buckets` for means and ratios; `adjusted` where there is a covariate, with it as `x` and the
    metric as `y` of every unit; `histogram` for quantiles.
    """

    buckets: UnitBuckets | None = None
    adjusted: JointMoments | None = None
    histogram: BucketHistogram | None = None

    def merged(self, other: Self) -> "MetricSums":
        """Of disjoint units together."""
        return MetricSums(
            _both(self.buckets, other.buckets),
            _both(self.adjusted, other.adjusted),
            _both(self.histogram, other.histogram),
        )


class VariantSums(msgspec.Struct, frozen=True):
    """Of one variant in one phase; `metrics` are by name."""

    units: int = 0
    requests: int = 0
    metrics: dict[str, MetricSums] = {}

    def merged(self, other: Self) -> "VariantSums":
        """Of disjoint units together."""
        names = [*self.metrics, *(name for name in other.metrics if name not in self.metrics)]
        return VariantSums(
            self.units + other.units,
            self.requests + other.requests,
            {
                name: functools.reduce(
                    MetricSums.merged,
                    [one.metrics[name] for one in (self, other) if name in one.metrics],
                )
                for name in names
            },
        )


class PhaseSums(msgspec.Struct, frozen=True):
    """Of a time with the same weights; `shares` are those, by variant, and add up to 1."""

    shares: dict[str, float]
    variants: dict[str, VariantSums]

    def merged(self, other: Self) -> "PhaseSums":
        """Of disjoint units together. Raises InvalidArgument for other shares."""
        if self.shares != other.shares:
            raise InvalidArgument("phases with different shares cannot be merged")
        return PhaseSums(
            self.shares,
            {label: self.of(label).merged(other.of(label)) for label in self.shares},
        )

    def of(self, label: str) -> VariantSums:
        """Those of a variant; empty where nothing came to it."""
        return self.variants.get(label, VariantSums())

    @property
    def units(self) -> int:
        """Of all variants."""
        return sum(variant.units for variant in self.variants.values())


class FeedbackCounts(msgspec.Struct, frozen=True):
    """What became of the feedback: each row is counted once.

    `unjoined` named a prediction or unit that is none of the experiment, `outside` came before the
    first exposure or after the window, `excluded` belongs to a unit that was excluded.
    """

    joined: int = 0
    unjoined: int = 0
    outside: int = 0
    excluded: int = 0

    def merged(self, other: Self) -> "FeedbackCounts":
        """Both together."""
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return FeedbackCounts(*map(int.__add__, mine, others))


class ExperimentSums(msgspec.Struct, frozen=True):
    """All of an experiment so far. `mixed_units` were seen in two variants, and are in no sum."""

    phases: tuple[PhaseSums, ...]
    mixed_units: int = 0
    feedback: FeedbackCounts = FeedbackCounts()

    def merged(self, other: Self) -> "ExperimentSums":
        """Of disjoint units together. Raises InvalidArgument for other phases."""
        if len(self.phases) != len(other.phases):
            raise InvalidArgument("sums of different phases cannot be merged")
        return ExperimentSums(
            tuple(map(PhaseSums.merged, self.phases, other.phases)),
            self.mixed_units + other.mixed_units,
            self.feedback.merged(other.feedback),
        )

    @property
    def units(self) -> int:
        """Those in all sums together."""
        return sum(phase.units for phase in self.phases)

    def units_of(self, label: str) -> int:
        """Those of a variant in all phases."""
        return sum(phase.of(label).units for phase in self.phases)


def merged(parts: Iterable[ExperimentSums]) -> ExperimentSums:
    """Those of all parts together, at least one."""
    return functools.reduce(ExperimentSums.merged, parts)


def _both(one: Part | None, other: Part | None) -> Part | None:
    if one is None or other is None:
        return other if one is None else one
    return one.merged(other)
