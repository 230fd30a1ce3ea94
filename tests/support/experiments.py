"""Sums of made-up experiments: arrays of units to what a verdict is made of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.core.tensors import Array
from augurium.core.traffic_policy import Variant
from augurium.statistics.joint_moments import joint_moments
from augurium.statistics.unit_buckets import BUCKETS, unit_buckets
from augurium.traffic.experiment_result import ExperimentRun
from augurium.traffic.variant_sums import (
    VALUE_BINS,
    ExperimentSums,
    MetricSums,
    PhaseSums,
    VariantSums,
    bucket_histogram,
)

DAY_S = 86_400.0
START = 1_800_000_000.0
HALVES = (Variant(1, 50), Variant(2, 50))
BOUGHT = ExperimentMetric("bought", effect=0.1)


class Seen(NamedTuple):
    """A metric of units: its values, and the weights or what was known of them before."""

    values: Array
    weights: Array | None = None
    before: Array | None = None


def design(**changes: Any) -> ExperimentDesign:
    whole: dict[str, Any] = {
        "hypothesis": "the new version sells more",
        "variants": HALVES,
        "metrics": (BOUGHT,),
        "guardrails": (),
    }
    return ExperimentDesign(**(whole | changes))


def run(**changes: Any) -> ExperimentRun:
    return ExperimentRun(**({"started_at": START} | changes))


def variant_sums(rng: np.random.Generator, units: int, seen: Mapping[str, Seen]) -> VariantSums:
    buckets = rng.integers(0, BUCKETS, units)
    return VariantSums(
        units, units, {name: metric_sums(buckets, one) for name, one in seen.items()}
    )


def metric_sums(buckets: Array, seen: Seen) -> MetricSums:
    if seen.before is not None:
        return MetricSums(adjusted=joint_moments(seen.before, seen.values))
    return MetricSums(buckets=unit_buckets(buckets, seen.values, seen.weights))


def quantile_sums(rng: np.random.Generator, values: Array) -> MetricSums:
    cells = rng.integers(0, BUCKETS, len(values)) * VALUE_BINS.count + VALUE_BINS.index(values)
    return MetricSums(histogram=bucket_histogram(cells, np.ones(len(values))))


def phase(shares: Mapping[str, float], variants: Mapping[str, VariantSums]) -> PhaseSums:
    return PhaseSums(dict(shares), dict(variants))


def sums(**variants: VariantSums) -> ExperimentSums:
    """One phase, shared evenly."""
    return ExperimentSums((phase({label: 1 / len(variants) for label in variants}, variants),))


def bought(rng: np.random.Generator, units: int, *rates: float) -> ExperimentSums:
    """As many units of each variant v1, v2, ..., a share of which bought."""
    return sums(
        **{
            f"v{number}": variant_sums(
                rng, units, {"bought": Seen(rng.binomial(1, rate, units).astype(np.float64))}
            )
            for number, rate in enumerate(rates, 1)
        }
    )
