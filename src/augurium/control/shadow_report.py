"""What shadows of a model have shown, from the counters of all engines."""

from datetime import UTC, datetime

import msgspec

from augurium.core.shadow import Comparison, Shadow
from augurium.serving.metrics import EngineMetrics
from augurium.serving.snapshot import Snapshot
from augurium.statistics.log_counts import LogCounts
from augurium.statistics.proportions import wilson
from augurium.traffic.shadow_sums import Example, OutputSums, ShadowSums, largest

MILLISECONDS = 1000.0


class Share(msgspec.Struct, frozen=True):
    """A share, between the ends of its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float


class Latency(msgspec.Struct, frozen=True):
    """How long answers took, in milliseconds."""

    p50_ms: float
    p99_ms: float


class OutputReport(msgspec.Struct, frozen=True, kw_only=True):
    """One output: rows that were compared, and how many differ by more than is allowed.

    `unlike` are those of another shape or type, or that are missing. Of numbers there are the
    differences; of labels the counts of pairs, the baseline's first; of rankings Kendall's tau and
    the share of the highest items that are the same, on average.
    """

    name: str
    rows: int
    differing: int
    unlike: dict[str, int]
    values: int
    mean_difference: float | None
    p99_difference: float | None
    largest_difference: float | None
    largest_relative: float | None
    not_finite: int
    labels: dict[str, dict[str, int]]
    other_labels: int
    kendall_tau: float | None
    overlap: float | None


class ShadowPair(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow beside the version `baseline`, compared as `compare` says.

    `answered` copies were answered by both, `failed` where the baseline answered, by error kind,
    `rescued` answered where the baseline failed, by its kind. `dropped` are requests of which no
    copy was made, by reason. `agreement` is the share of `rows` that are the same.
    """

    version: int
    baseline: int
    compare: Comparison
    copied: int
    answered: int
    failed: dict[str, int]
    rescued: dict[str, int]
    both_failed: int
    dropped: dict[str, int]
    rows: int
    agreeing: int
    agreement: Share | None
    outputs: tuple[OutputReport, ...]
    baseline_latency: Latency | None
    shadow_latency: Latency | None
    examples: tuple[Example, ...]
    since: datetime
    until: datetime


class ShadowReport(msgspec.Struct, frozen=True):
    """The shadows that a model has now, and what it and earlier ones have shown; what was counted
    last comes first.
    """

    model: str
    shadows: tuple[Shadow, ...]
    pairs: tuple[ShadowPair, ...]


def shadow_report(model: str, snapshot: Snapshot, metrics: EngineMetrics) -> ShadowReport:
    """The report on one model, as engines are told and have counted."""
    pairs = [
        _pair(version.version, sums)
        for version in metrics.versions
        if version.model == model
        for sums in version.shadows
    ]
    pairs.sort(key=lambda pair: (pair.until, pair.version), reverse=True)
    return ShadowReport(model, _shadows(model, snapshot), tuple(pairs))


def _shadows(model: str, snapshot: Snapshot) -> tuple[Shadow, ...]:
    for desired in snapshot.models:
        if desired.name == model and desired.traffic is not None:
            policy = desired.traffic.policy
            return policy.shadows if policy is not None else ()
    return ()


def _pair(version: int, sums: ShadowSums) -> ShadowPair:
    return ShadowPair(
        version=version,
        baseline=sums.baseline,
        compare=sums.compare,
        copied=sums.copied,
        answered=sums.answered,
        failed=sums.failed,
        rescued=sums.rescued,
        both_failed=sums.both_failed,
        dropped=sums.dropped,
        rows=sums.rows,
        agreeing=sums.agreeing,
        agreement=_share(sums.agreeing, sums.rows),
        outputs=tuple(_output(name, found) for name, found in sums.outputs.items()),
        baseline_latency=_latency(sums.baseline_s),
        shadow_latency=_latency(sums.shadow_s),
        examples=tuple(largest(sums.examples)),
        since=datetime.fromtimestamp(sums.since, UTC),
        until=datetime.fromtimestamp(sums.until, UTC),
    )


def _output(name: str, sums: OutputSums) -> OutputReport:
    finite = sums.values - sums.not_finite
    return OutputReport(
        name=name,
        rows=sums.rows,
        differing=sums.differing,
        unlike=sums.unlike,
        values=sums.values,
        mean_difference=sums.total / finite if finite else None,
        p99_difference=_at_most(sums.differences.quantile(0.99), sums.largest),
        largest_difference=sums.largest if finite else None,
        largest_relative=sums.largest_relative if finite else None,
        not_finite=sums.not_finite,
        labels=sums.labels,
        other_labels=sums.other_labels,
        kendall_tau=sums.tau / sums.ranked if sums.ranked else None,
        overlap=sums.overlap / sums.ranked if sums.ranked else None,
    )


def _at_most(value: float | None, most: float) -> float | None:
    """The middle of a bin, which may lie above all that is in it."""
    return None if value is None else min(value, most)


def _latency(seconds: LogCounts) -> Latency | None:
    p50, p99 = seconds.quantile(0.5), seconds.quantile(0.99)
    if p50 is None or p99 is None:
        return None
    return Latency(p50 * MILLISECONDS, p99 * MILLISECONDS)


def _share(hits: int, n: int) -> Share | None:
    return Share(hits / n, *wilson(hits, n)) if n else None
