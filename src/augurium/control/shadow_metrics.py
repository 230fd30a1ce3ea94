"""Shadow traffic in Prometheus' format."""

from collections import Counter
from collections.abc import Callable, Iterator

from augurium.control.exposition import Exposition, labels
from augurium.serving.metrics import VersionMetrics
from augurium.traffic.shadow_sums import ShadowSums

FAMILIES: tuple[tuple[str, str, str, Callable[[ShadowSums], dict[str, int]]], ...] = (
    (
        "augurium_shadow_copies_total",
        "Copies of requests for a shadow that have ended: answered by both, failed, rescued where"
        " the baseline failed, both_failed",
        "outcome",
        lambda sums: {
            "answered": sums.answered,
            "failed": sum(sums.failed.values()),
            "rescued": sum(sums.rescued.values()),
            "both_failed": sums.both_failed,
        },
    ),
    (
        "augurium_shadow_dropped_total",
        "Requests of which a shadow got no copy, by reason",
        "reason",
        lambda sums: sums.dropped,
    ),
    (
        "augurium_shadow_rows_total",
        "Rows that a shadow answered: the same as the baseline, or not",
        "answer",
        lambda sums: {"same": sums.agreeing, "other": sums.rows - sums.agreeing},
    ),
)


def shadows(page: Exposition, versions: list[VersionMetrics]) -> None:
    """All families; whatever tolerance was in force, counts are of the version and its baseline."""
    shadowed = [version for version in versions if version.shadows]
    for name, description, label, counts in FAMILIES:
        page.family(name, "counter", description)
        for pairs, count in _samples(shadowed, label, counts):
            page.sample(pairs, count)


def _samples(
    versions: list[VersionMetrics], label: str, counts: Callable[[ShadowSums], dict[str, int]]
) -> Iterator[tuple[str, int]]:
    for version in versions:
        totals: Counter[tuple[int, str]] = Counter()
        for sums in version.shadows:
            for value, count in counts(sums).items():
                totals[sums.baseline, value] += count
        for (baseline, value), count in sorted(totals.items()):
            of = labels(model=version.model, version=version.version, baseline=baseline)
            yield f"{of},{labels(**{label: value})}", count
