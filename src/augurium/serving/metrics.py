"""What an engine counts, per model and version: plain sums, so that the engines of a node add up
exactly.
"""

from bisect import bisect_left

import msgspec

SECONDS_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
ROWS_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)


class Histogram(msgspec.Struct):
    """Counts per bucket and the sum of all values; the last bucket has no upper bound.

    `counts[i]` counts values above `bounds[i-1]` and at most `bounds[i]` (not cumulative).
    """

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    @classmethod
    def of(cls, bounds: tuple[float, ...]) -> "Histogram":
        """An empty histogram with these upper bounds, ascending."""
        return cls(bounds, [0] * (len(bounds) + 1))

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def add(self, other: "Histogram") -> None:
        """Adds another histogram with the same bounds to this one."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total


def _seconds() -> Histogram:
    return Histogram.of(SECONDS_BOUNDS)


def _rows() -> Histogram:
    return Histogram.of(ROWS_BOUNDS)


class VersionMetrics(msgspec.Struct):
    """The counters of one model version in one engine; times in seconds.

    `outcomes` counts requests by `ok` or error kind. `rows` counts rows that were inferred and
    `executions` model runs; neither counts runs that failed. `releases` counts batches by why they
    were released: `idle`, `full` or `delay`. `runner_restarts` counts how often this engine
    started its runner again.
    """

    model: str
    version: int
    outcomes: dict[str, int] = {}
    rows: int = 0
    executions: int = 0
    releases: dict[str, int] = {}
    request_s: Histogram = msgspec.field(default_factory=_seconds)
    queue_s: Histogram = msgspec.field(default_factory=_seconds)
    compute_s: Histogram = msgspec.field(default_factory=_seconds)
    batch_rows: Histogram = msgspec.field(default_factory=_rows)
    pending: int = 0
    load_s: float = 0.0
    runner_restarts: int = 0

    def add(self, other: "VersionMetrics") -> None:
        """Adds another engine's counters of the same version to these."""
        for kind, count in other.outcomes.items():
            self.outcomes[kind] = self.outcomes.get(kind, 0) + count
        for reason, count in other.releases.items():
            self.releases[reason] = self.releases.get(reason, 0) + count
        self.rows += other.rows
        self.executions += other.executions
        self.pending += other.pending
        self.load_s = max(self.load_s, other.load_s)
        self.runner_restarts += other.runner_restarts
        self.request_s.add(other.request_s)
        self.queue_s.add(other.queue_s)
        self.compute_s.add(other.compute_s)
        self.batch_rows.add(other.batch_rows)


class EngineMetrics(msgspec.Struct):
    """One engine's counters since it started. `unrouted` counts requests, by error kind, that
    reached no version.
    """

    versions: list[VersionMetrics] = []
    unrouted: dict[str, int] = {}


def merge(reports: list[EngineMetrics]) -> EngineMetrics:
    """The sum over engines, one entry per model and version, ordered by name and number."""
    merged: dict[tuple[str, int], VersionMetrics] = {}
    unrouted: dict[str, int] = {}
    for report in reports:
        for metrics in report.versions:
            key = (metrics.model, metrics.version)
            merged.setdefault(key, VersionMetrics(metrics.model, metrics.version)).add(metrics)
        for kind, count in report.unrouted.items():
            unrouted[kind] = unrouted.get(kind, 0) + count
    return EngineMetrics([merged[key] for key in sorted(merged)], unrouted)
