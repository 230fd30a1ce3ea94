"""What the metrics of an experiment are in each variant, from its sums.

Where weights were changed, there are phases. Units of different phases are not to be thrown
together: a variant that got more of the weekend would look like the weekend. So every phase is
estimated by itself, and a variant's metric is the mean over the phases, each with the share of
all units that came in it, the same in every variant (Cochran 1977, Sampling techniques, 5.4). A
phase in which a variant has fewer than two units compares nothing and is left out. Of a quantile it
is the mean of the phases' quantiles.
"""

from collections.abc import Sequence

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.experiment_design import ExperimentMetric
from augurium.statistics.cuped import cuped
from augurium.statistics.estimates import LEAST_UNITS, Estimate
from augurium.statistics.quantiles import quantile
from augurium.traffic.variant_sums import VALUE_BINS, ExperimentSums, MetricSums, PhaseSums

LEAST_SHOWN = 100  # units, and conversions of a binary metric: below, limits are not to be believed


class MetricEstimates(msgspec.Struct, frozen=True):
    """A metric by variant, `n` counting units; `variance_ratio` is what its covariate left."""

    by_variant: dict[str, Estimate]
    variance_ratio: float | None = None


def metric_estimates(
    metric: ExperimentMetric, sums: ExperimentSums, labels: Sequence[str]
) -> MetricEstimates | None:
    """None where no phase has the metric in every variant."""
    found = [
        (phase.units, one)
        for phase in sums.phases
        if (one := _of_phase(metric, phase, labels)) is not None
    ]
    if not found:
        return None
    total = sum(units for units, _ in found)
    weights = [units / total for units, _ in found]
    ratios = [one.variance_ratio for _, one in found]
    return MetricEstimates(
        {
            label: _stratified(weights, [one.by_variant[label] for _, one in found])
            for label in labels
        },
        None
        if metric.covariate is None
        else sum(weight * (ratio or 0.0) for weight, ratio in zip(weights, ratios, strict=True)),
    )


def events(metric: ExperimentMetric, sums: ExperimentSums, label: str) -> float:
    """How much there is of a metric in a variant: what a normal approximation stands on.

    Units; of a binary metric those that had it or those that had it not, whichever are fewer; of a
    quantile the values on the side where there are fewer, tenfold.
    """
    parts = [phase.of(label).metrics.get(metric.name, MetricSums()) for phase in sums.phases]
    if metric.kind == "quantile":
        values = sum(sum(part.histogram.counts) for part in parts if part.histogram is not None)
        return 10 * values * min(metric.share, 1 - metric.share)
    units = sums.units_of(label)
    if metric.kind != "binary":
        return units
    had = sum(_total(part) for part in parts)
    weights = sum(_weight(part) for part in parts)
    return min(units, had, weights - had)


def _of_phase(
    metric: ExperimentMetric, phase: PhaseSums, labels: Sequence[str]
) -> MetricEstimates | None:
    variants = [phase.of(label) for label in labels]
    if min(variant.units for variant in variants) < LEAST_UNITS:
        return None
    sums = [variant.metrics.get(metric.name, MetricSums()) for variant in variants]
    try:
        if metric.covariate is not None:
            moments = [one.adjusted for one in sums if one.adjusted is not None]
            adjusted = cuped(moments)
            ratio, found = adjusted.variance_ratio, list(adjusted.estimates)
        else:
            ratio, found = None, [_estimate(metric, one) for one in sums]
    except InvalidArgument:
        # nothing of it was seen yet in one of the variants
        return None
    counted = [
        msgspec.structs.replace(one, n=variant.units)
        for one, variant in zip(found, variants, strict=True)
    ]
    return MetricEstimates(dict(zip(labels, counted, strict=True)), ratio)


def _estimate(metric: ExperimentMetric, sums: MetricSums) -> Estimate:
    if sums.histogram is not None:
        return quantile(sums.histogram.table(), VALUE_BINS, metric.share)
    if sums.buckets is not None:
        return sums.buckets.estimate()
    raise InvalidArgument(f"there are no sums of metric '{metric.name}'; expected buckets")


def _stratified(weights: Sequence[float], parts: Sequence[Estimate]) -> Estimate:
    shares = [weight * weight * part.variance for weight, part in zip(weights, parts, strict=True)]
    variance = sum(shares)
    spread = sum(share * share / part.df for share, part in zip(shares, parts, strict=True))
    return Estimate(
        sum(weight * part.value for weight, part in zip(weights, parts, strict=True)),
        variance,
        variance * variance / spread if spread > 0 else sum(part.df for part in parts),
        sum(part.n for part in parts),
    )


def _total(sums: MetricSums) -> float:
    if sums.adjusted is not None:
        return sums.adjusted.n * sums.adjusted.y_mean
    return sum(sums.buckets.values) if sums.buckets is not None else 0.0


def _weight(sums: MetricSums) -> float:
    if sums.adjusted is not None:
        return sums.adjusted.n
    return sum(sums.buckets.weights) if sums.buckets is not None else 0.0
