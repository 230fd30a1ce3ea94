"""Rates of a node: what happened between two of its activities."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

from augurium.client.results import Activity, DeviceActivity, EngineActivity, VersionActivity

# what a caller did wrong is no failure of the model
MISTAKES = frozenset(
    {"invalid_argument", "too_large", "unsupported_media", "unimplemented", "cancelled"}
)


class VersionRates(msgspec.Struct, frozen=True, kw_only=True):
    """One version: each per second, latencies in milliseconds (None: nothing was answered)."""

    name: str
    requests_per_s: float
    rows_per_s: float
    errors_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    rows_per_run: float | None
    cache_hit_share: float | None
    now: VersionActivity


class NodeRates(msgspec.Struct, frozen=True, kw_only=True):
    """The node as a whole; `cpu_cores` is how many cores its engines used."""

    seconds: float
    requests_per_s: float
    errors_per_s: float
    cpu_cores: float
    memory_bytes: int
    resident_bytes: int
    budget_bytes: int
    pending: int
    engines: int
    engines_known: int
    states: dict[str, int]
    versions: list[VersionRates]
    devices: list[DeviceActivity]


def rates(before: Activity, after: Activity) -> NodeRates:
    """What happened from `before` to `after`; a version that is new counts from zero."""
    seconds = max(after.at - before.at, 1e-9)
    known = {(one.model, one.version): one for one in before.versions}
    versions = [
        _version(known.get((one.model, one.version)), one, after.latency_bounds_s, seconds)
        for one in after.versions
    ]
    engines = [one for one in after.engines if one.connected]
    states: dict[str, int] = {}
    for one in after.versions:
        states[one.state] = states.get(one.state, 0) + 1
    return NodeRates(
        seconds=seconds,
        requests_per_s=sum(one.requests_per_s for one in versions),
        errors_per_s=sum(one.errors_per_s for one in versions),
        cpu_cores=sum(_cpu_s(before.engines, one) for one in engines) / seconds,
        memory_bytes=sum(one.memory_bytes for one in engines),
        resident_bytes=sum(one.resident_bytes for one in engines),
        budget_bytes=sum(one.budget_bytes for one in engines),
        pending=sum(one.pending for one in engines),
        engines=len(engines),
        engines_known=len(after.engines),
        states=states,
        versions=versions,
        devices=list(after.devices),
    )


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value below which that share of a histogram lies, linear within its bucket; the largest
    bound for what lies beyond, None for an empty one.

    Source: Prometheus documentation, "Query functions", `histogram_quantile`.
    """
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    for bucket, reached in enumerate(accumulate(counts)):
        if reached >= wanted and counts[bucket]:
            if bucket == len(bounds):
                return bounds[-1]
            lower = bounds[bucket - 1] if bucket else 0.0
            inside = (wanted - (reached - counts[bucket])) / counts[bucket]
            return lower + (bounds[bucket] - lower) * inside
    return bounds[-1]


def _version(
    before: VersionActivity | None, after: VersionActivity, bounds: Sequence[float], seconds: float
) -> VersionRates:
    old = before or VersionActivity(model=after.model, version=after.version, state=after.state)
    requests = _requests(after.requests) - _requests(old.requests)
    latency = _difference(after.latency, old.latency)
    runs, rows = after.runs - old.runs, after.rows - old.rows
    hits, misses = after.cache_hits - old.cache_hits, after.cache_misses - old.cache_misses
    return VersionRates(
        name=f"{after.model}@{after.version}",
        requests_per_s=max(0, requests) / seconds,
        rows_per_s=max(0, rows) / seconds,
        errors_per_s=max(0, _errors(after.requests) - _errors(old.requests)) / seconds,
        p50_ms=_milliseconds(quantile(latency, bounds, 0.5)),
        p99_ms=_milliseconds(quantile(latency, bounds, 0.99)),
        rows_per_run=rows / runs if runs > 0 else None,
        cache_hit_share=hits / (hits + misses) if hits + misses > 0 else None,
        now=after,
    )


def _requests(outcomes: Mapping[str, int]) -> int:
    return sum(outcomes.values())


def _errors(outcomes: Mapping[str, int]) -> int:
    return sum(n for outcome, n in outcomes.items() if outcome not in MISTAKES | {"ok"})


def _difference(after: Sequence[int], before: Sequence[int]) -> list[int]:
    if len(before) != len(after):
        return list(after)
    # counters fall when all of a node was restarted
    return [max(0, new - old) for new, old in zip(after, before, strict=True)]


def _cpu_s(before: Sequence[EngineActivity], after: EngineActivity) -> float:
    """CPU seconds since then; all of them for another process in the same slot."""
    old = next((one.cpu_s for one in before if one.pid == after.pid), 0.0)
    return max(0.0, after.cpu_s - old)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
