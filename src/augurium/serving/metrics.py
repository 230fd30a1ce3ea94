"""What an engine counts, per model and version: plain sums, so that the engines of a node add up
exactly.
"""

import time
from bisect import bisect_left
from functools import cached_property

import msgspec
import numpy as np

from augurium.core.serving_policy import SloPolicy
from augurium.core.tensors import Array
from augurium.serving.score import NUMBERS
from augurium.serving.variant_metrics import OK, VariantMetrics, Variants, add_variants
from augurium.traffic.shadow_sums import ShadowSums, add_pairs

SECONDS_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
MOST_SIZES = 1024
MOST_ANSWERS = 256
# of policies that have followed one another; what is beyond counts as not chosen by any
MOST_VARIANTS = 256
MOST_WAITING = 1024
PLAIN_SUMS = (
    *("loads", "evictions", "resident", "resident_bytes", "passed_on"),
    *("overloaded", "concurrency_limit", "breakers_open"),
    *("cache_hits", "cache_misses", "cache_stale", "cache_hit_rows", "cache_miss_rows"),
    *("cache_shared_rows", "cache_hit_s", "cache_miss_s", "changes"),
)
NESTED_SUMS = ("refused", "degraded", "fallback_skipped", "fallback_exercised")
# counts by two words
Nested = dict[str, dict[str, int]]
SLO_S = SloPolicy().latency_s
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

    def observe_all(self, values: Array) -> None:
        """Counts many values, of shape (values,)."""
        places = np.searchsorted(self.bounds, values)
        found = np.bincount(places, minlength=len(self.counts)).tolist()
        self.counts = [mine + more for mine, more in zip(self.counts, found, strict=True)]
        self.total += float(values.sum())

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


class RunSums(msgspec.Struct):
    """How often something ran, and the seconds of it: to gather the inputs, to run the model, to
    take the answers apart.
    """

    count: int = 0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0

    def add(self, other: "RunSums") -> None:
        """Adds other sums to these."""
        self.count += other.count
        self.input_s += other.input_s
        self.infer_s += other.infer_s
        self.output_s += other.output_s


class AnswerSums(msgspec.Struct):
    """What became of the answers of one place in their streams, and the seconds they took."""

    ok: int = 0
    ok_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    left: int = 0
    left_s: float = 0.0

    def count(self, outcome: str, seconds: float) -> None:
        """One answer more: `ok`, `failed`, or `left` by a caller who did not wait for it."""
        setattr(self, outcome, getattr(self, outcome) + 1)
        setattr(self, f"{outcome}_s", getattr(self, f"{outcome}_s") + seconds)

    def add(self, other: "AnswerSums") -> None:
        """Adds other sums to these."""
        self.ok += other.ok
        self.ok_s += other.ok_s
        self.failed += other.failed
        self.failed_s += other.failed_s
        self.left += other.left
        self.left_s += other.left_s


# with a `__dict__` for what is not part of a report
class VersionMetrics(msgspec.Struct, dict=True):
    """The counters of one model version in one engine; times in seconds.

    `outcomes` counts requests by `ok` or error kind, `failed_s` is the time of those that were not
    `ok`. `rows` counts rows that were inferred and `executions` model runs; neither counts runs
    that failed. `inferred` counts requests that were in a run, each with the whole time of its run,
    `by_size` runs by their rows, at most `MOST_SIZES` sizes. `answers` are by their place in the
    streams of a streamed version, at most `MOST_ANSWERS`, and `first_answer_s` is how long the
    first took. `last_inference_at` is in seconds of the wall clock. `releases` counts batches by
    why they were released: `idle`, `full` or `delay`. `runner_restarts` counts how often this
    engine started its runner again, `runner_exits` the same by why the one before had ended:
    `crash`, `hang`, `memory` or `wire`, and `runner_pids` are the processes it runs in now, shared
    by all engines. `cache_hits` counts requests all of whose rows were in the
    prediction cache, `cache_misses` others that asked it, `cache_stale` those of them that were
    answered with what had expired. `warm_up_s` is how long its latest warm-up took. `loads` counts
    how often it was brought into memory, `evictions` how often it was put to sleep,
    `passed_on` how many requests another engine answered, `resident` is 1
    while it is in memory and `resident_bytes` what it takes there, `pinned` says that it stays, and
    `problem` why it could not be loaded last. `refused` counts requests that were refused as
    overloaded, by reason and priority; `overloaded` is the number of engines in which it is,
    `concurrency_limit` the sum of the limits in force, and `breakers_open` the number of engines
    that do not ask it. `degraded` counts answers of its fallback by reason and step,
    `fallback_skipped` steps that gave none by step and why, and `fallback_exercised` trials by step
    and outcome; these are no requests for it. `variants` has requests again, by what the traffic
    policy that chose the version calls it, "" for those that no policy chose it for, and `slo_s` is
    the objective by which they are counted. `shadows` are copies that it was given, beside each
    version that had answered them; they are in nothing else here. `changes` grows whenever anything
    of all this does: what has as many is as it was.

    Requests that `ended_well` are in it when it is `gathered`.
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
    warm_up_s: float = 0.0
    runner_restarts: int = 0
    runner_exits: dict[str, int] = {}
    runner_pids: list[int] = []
    failed_s: float = 0.0
    last_inference_at: float = 0.0
    inferred: RunSums = msgspec.field(default_factory=RunSums)
    by_size: dict[int, RunSums] = {}
    answers: dict[int, AnswerSums] = {}
    first_answer_s: Histogram | None = None
    loads: int = 0
    evictions: int = 0
    passed_on: int = 0
    resident: int = 0
    resident_bytes: int = 0
    pinned: bool = False
    problem: str = ""
    refused: Nested = {}
    overloaded: int = 0
    concurrency_limit: int = 0
    degraded: Nested = {}
    fallback_skipped: Nested = {}
    fallback_exercised: Nested = {}
    breakers_open: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_stale: int = 0
    cache_hit_rows: int = 0
    cache_miss_rows: int = 0
    cache_shared_rows: int = 0
    cache_hit_s: float = 0.0
    cache_miss_s: float = 0.0
    variants: Variants = {}
    slo_s: float = SLO_S
    shadows: list[ShadowSums] = []
    changes: int = 0

    def looked_up(self, hit_rows: int, miss_rows: int, seconds: float) -> None:
        """Counts a request that asked the prediction cache, and how long that took."""
        self.changes += 1
        self.cache_hit_rows += hit_rows
        self.cache_miss_rows += miss_rows
        if miss_rows:
            self.cache_misses += 1
            self.cache_miss_s += seconds
        else:
            self.cache_hits += 1
            self.cache_hit_s += seconds

    def refuse(self, reason: str, priority: str) -> None:
        """Counts a request that was refused as overloaded."""
        self.changes += 1
        _count(self.refused, reason, priority)

    def answered_stale(self) -> None:
        """Counts a request that was answered with what had expired."""
        self.changes += 1
        self.cache_stale += 1

    def found_shared(self) -> None:
        """Counts a row that was known elsewhere."""
        self.changes += 1
        self.cache_shared_rows += 1

    def degrade(self, reason: str, step: str) -> None:
        """Counts an answer of the fallback."""
        self.changes += 1
        _count(self.degraded, reason, step)

    def skip_step(self, step: str, why: str) -> None:
        """Counts a step of the fallback that gave no answer."""
        self.changes += 1
        _count(self.fallback_skipped, step, why)

    def exercise_step(self, step: str, outcome: str) -> None:
        """Counts a trial of a step of the fallback."""
        self.changes += 1
        _count(self.fallback_exercised, step, outcome)

    def released(self, reason: str) -> None:
        """Counts a batch whose entries have left the queue."""
        self.changes += 1
        self.releases[reason] = self.releases.get(reason, 0) + 1

    def loaded(self, seconds: float) -> None:
        """Counts that it was brought into memory, which took so long."""
        self.changes += 1
        self.loads += 1
        self.load_s = seconds

    def pass_on(self) -> None:
        """Counts a request that another engine answered."""
        self.changes += 1
        self.passed_on += 1

    def evicted(self) -> None:
        """Counts that it was put to sleep."""
        self.changes += 1
        self.evictions += 1

    def ended(self, outcome: str, seconds: float, variant: str = "") -> VariantMetrics:
        """Counts a request that has ended, with `ok` or an error kind; the sums of its variant."""
        self.changes += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.request_s.observe(seconds)
        if outcome != OK:
            self.failed_s += seconds
        counted = self._variant(variant)
        counted.ended(outcome, seconds, self.slo_s)
        return counted

    @cached_property
    def _waiting(self) -> dict[str, tuple[list[float], list[float]]]:
        """Seconds and scores of requests that ended well, by variant."""
        return {}

    def ended_well(self, seconds: float, variant: str = "", score: object = None) -> None:
        """Counts a request that was answered, and its score if that is a number, with those that
        are `gathered` next: all at once, because every request comes by here.
        """
        self.changes += 1
        waiting = self._waiting.get(variant)
        if waiting is None:
            waiting = self._waiting[variant] = ([], [])
        waiting[0].append(seconds)
        if isinstance(score, NUMBERS):
            waiting[1].append(score)
        if len(waiting[0]) >= MOST_WAITING:
            self.gathered()

    def gathered(self) -> "VersionMetrics":
        """These, with what ended well since the last time: what is read is read of this."""
        for variant, (ended_s, scores) in self._waiting.items():
            seconds = np.array(ended_s)
            self.outcomes[OK] = self.outcomes.get(OK, 0) + len(seconds)
            self.request_s.observe_all(seconds)
            self._variant(variant).ended_well(seconds, scores, self.slo_s)
        self._waiting.clear()
        return self

    def _variant(self, name: str) -> VariantMetrics:
        found = self.variants.get(name)
        if found is None:
            if len(self.variants) >= MOST_VARIANTS:
                name = ""
            found = self.variants.setdefault(name, VariantMetrics())
        return found

    def take_objective(self, policy: SloPolicy) -> None:
        """Counts by this objective from now on."""
        if self.slo_s != policy.latency_s:
            self.gathered()
            self.slo_s = policy.latency_s
            self.changes += 1

    def ran(
        self, rows: int, requests: int, input_s: float, infer_s: float, output_s: float
    ) -> None:
        """Counts a successful model run for some requests, and its seconds."""
        self.changes += 1
        self.executions += 1
        self.rows += rows
        self.batch_rows.observe(rows)
        self.compute_s.observe(infer_s)
        self.last_inference_at = time.time()
        inferred = self.inferred
        inferred.count += requests
        inferred.input_s += input_s * requests
        inferred.infer_s += infer_s * requests
        inferred.output_s += output_s * requests
        size = self.by_size.get(rows)
        if size is None:
            if len(self.by_size) >= MOST_SIZES:
                return
            size = self.by_size[rows] = RunSums()
        size.count += 1
        size.input_s += input_s
        size.infer_s += infer_s
        size.output_s += output_s

    def answered(self, index: int, outcome: str, seconds: float) -> None:
        """Counts the answer at one place of a stream; see `AnswerSums.count`."""
        self.changes += 1
        if index == 0 and outcome == "ok":
            if self.first_answer_s is None:
                self.first_answer_s = _seconds()
            self.first_answer_s.observe(seconds)
        if index < MOST_ANSWERS:
            self.answers.setdefault(index, AnswerSums()).count(outcome, seconds)

    def add(self, other: "VersionMetrics") -> None:
        """Adds another engine's counters of the same version to these."""
        for kind, count in other.outcomes.items():
            self.outcomes[kind] = self.outcomes.get(kind, 0) + count
        for reason, count in other.releases.items():
            self.releases[reason] = self.releases.get(reason, 0) + count
        for cause, count in other.runner_exits.items():
            self.runner_exits[cause] = self.runner_exits.get(cause, 0) + count
        self.runner_pids = sorted({*self.runner_pids, *other.runner_pids})
        self.rows += other.rows
        self.executions += other.executions
        self.pending += other.pending
        self.load_s = max(self.load_s, other.load_s)
        self.warm_up_s = max(self.warm_up_s, other.warm_up_s)
        self.runner_restarts += other.runner_restarts
        self.request_s.add(other.request_s)
        self.queue_s.add(other.queue_s)
        self.compute_s.add(other.compute_s)
        self.batch_rows.add(other.batch_rows)
        for name in PLAIN_SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.pinned = self.pinned or other.pinned
        self.problem = self.problem or other.problem
        for name in NESTED_SUMS:
            _add_nested(getattr(self, name), getattr(other, name))
        add_variants(self.variants, other.variants)
        self.slo_s = other.slo_s
        self.failed_s += other.failed_s
        self.last_inference_at = max(self.last_inference_at, other.last_inference_at)
        self.inferred.add(other.inferred)
        for rows, runs in other.by_size.items():
            self.by_size.setdefault(rows, RunSums()).add(runs)
        for index, answers in other.answers.items():
            self.answers.setdefault(index, AnswerSums()).add(answers)
        if other.first_answer_s is not None:
            if self.first_answer_s is None:
                self.first_answer_s = _seconds()
            self.first_answer_s.add(other.first_answer_s)
        add_pairs(self.shadows, other.shadows)


def _count(counts: Nested, outer: str, inner: str) -> None:
    """One more of a kind."""
    own = counts.setdefault(outer, {})
    own[inner] = own.get(inner, 0) + 1


def _add_nested(counts: Nested, others: Nested) -> None:
    for outer, found in others.items():
        own = counts.setdefault(outer, {})
        for inner, more in found.items():
            own[inner] = own.get(inner, 0) + more


def state_of(metrics: VersionMetrics) -> tuple[object, ...]:
    """What is now, and is not counted as it happens."""
    return (
        *(metrics.pending, metrics.resident, metrics.resident_bytes, metrics.pinned),
        *(metrics.problem, metrics.overloaded, metrics.concurrency_limit, metrics.breakers_open),
        *(metrics.warm_up_s, metrics.runner_restarts, tuple(metrics.runner_pids)),
    )


class EngineMetrics(msgspec.Struct):
    """One engine's counters since it started. `unrouted` counts requests, by error kind, that
    reached no version, `shared_cache_failures` how often the shared cache could not be asked,
    `cpu_s` is the CPU time of its process, all threads. Its memory, and what its versions may take
    of that (0: no limit), are not added up.
    """

    versions: list[VersionMetrics] = []
    unrouted: dict[str, int] = {}
    shared_cache_failures: int = 0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    budget_bytes: int = 0


def variants_of(metrics: EngineMetrics) -> EngineMetrics:
    """A copy that has the variants alone, and grows no more."""
    versions = []
    for version in metrics.versions:
        if version.variants:
            copy = VersionMetrics(version.model, version.version)
            add_variants(copy.variants, version.variants)
            versions.append(copy)
    return EngineMetrics(versions)


def merge(reports: list[EngineMetrics]) -> EngineMetrics:
    """The sum over engines, one entry per model and version, ordered by name and number."""
    merged: dict[tuple[str, int], VersionMetrics] = {}
    unrouted: dict[str, int] = {}
    failures, cpu_s = 0, 0.0
    for report in reports:
        failures += report.shared_cache_failures
        cpu_s += report.cpu_s
        for metrics in report.versions:
            key = (metrics.model, metrics.version)
            merged.setdefault(key, VersionMetrics(metrics.model, metrics.version)).add(metrics)
        for kind, count in report.unrouted.items():
            unrouted[kind] = unrouted.get(kind, 0) + count
    return EngineMetrics([merged[key] for key in sorted(merged)], unrouted, failures, cpu_s)
