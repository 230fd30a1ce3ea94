"""The counters of variants as Prometheus text, of models that a traffic policy has split: those of
a thousand models that nobody compares would be the longest part of the page.
"""

from collections.abc import Callable, Iterator, Sequence

from augurium.control.exposition import Exposition, labels
from augurium.serving.metrics import Histogram, VersionMetrics
from augurium.serving.variant_metrics import VariantMetrics
from augurium.statistics.log_histogram import LogHistogram

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COUNTERS: tuple[tuple[str, str, Callable[[VariantMetrics], int]], ...] = (
    (
        "augurium_variant_slo_breaches_total",
        "Requests of a variant that took longer than the model's objective",
        lambda v: v.slo_breaches,
    ),
    (
        "augurium_variant_degraded_total",
        "Requests for a variant that the fallback answered",
        lambda v: v.degraded,
    ),
)
# the pairs of labels of a variant, and what was counted of it
Labelled = Sequence[tuple[str, VariantMetrics]]


def add_variants(page: Exposition, versions: Sequence[VersionMetrics]) -> None:
    """The families of all variants."""
    counted: Labelled = list(_labelled(versions))
    page.family(
        "augurium_variant_requests_total",
        "counter",
        "Requests by variant of a traffic policy and outcome: ok or an error kind",
    )
    for pairs, variant in counted:
        for outcome, count in variant.outcomes.items():
            page.sample(f"{pairs},{labels(outcome=outcome)}", count)
    for name, description, value in COUNTERS:
        page.family(name, "counter", description)
        for pairs, variant in counted:
            page.sample(pairs, value(variant))
    page.family("augurium_variant_request_seconds", "histogram", "Time of requests of a variant, s")
    for pairs, variant in counted:
        page.histogram(pairs, coarse(variant.latency))
    page.family("augurium_variant_score", "summary", "First number of the answers of a variant")
    for pairs, variant in counted:
        page.summary(pairs, variant.score_count, variant.score_sum)


def coarse(histogram: LogHistogram) -> Histogram:
    """The histogram with a few buckets; which one a value is in is told to 1 % of its bound."""
    below = histogram.cumulative(BOUNDS_S)
    counts = [upto - under for under, upto in zip([0, *below], below, strict=False)]
    return Histogram(BOUNDS_S, [*counts, histogram.count - below[-1]], histogram.total)


def _labelled(versions: Sequence[VersionMetrics]) -> Iterator[tuple[str, VariantMetrics]]:
    split = {version.model for version in versions if any(version.variants)}
    for version in versions:
        if version.model in split:
            for name, variant in sorted(version.variants.items()):
                named = labels(model=version.model, version=version.version, variant=name)
                yield named, variant
