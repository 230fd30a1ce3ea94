"""What happened between two looks at a node."""

import pytest

from augurium.cli.rates import quantile, rates
from augurium.client.results import Activity, EngineActivity, VersionActivity

BOUNDS = (0.001, 0.01, 0.1)


def node(at: float, cpu_s: float, pid: int, **version: object) -> Activity:
    known = {"model": "fraud", "version": 3, "state": "resident", **version}
    return Activity(
        at=at,
        engines=(
            EngineActivity(engine="engine-0", pid=pid, cpu_s=cpu_s, memory_bytes=100, pending=2),
            EngineActivity(engine="engine-1", pid=9, connected=False, memory_bytes=50),
        ),
        versions=(VersionActivity(**known),),  # type: ignore[arg-type]
        latency_bounds_s=BOUNDS,
    )


def test_rates_are_differences_by_seconds() -> None:
    before = node(10, 5, 7, requests={"ok": 100}, rows=100, runs=100, latency=(0, 100, 0, 0))
    after = node(
        12, 8, 7,
        requests={"ok": 300, "overloaded": 20, "invalid_argument": 5}, rows=500, runs=200,
        latency=(100, 200, 0, 25), cache_hits=30, cache_misses=10,
    )  # fmt: skip
    found = rates(before, after)
    (version,) = found.versions
    assert version.name == "fraud@3"
    assert (version.requests_per_s, version.rows_per_s, version.errors_per_s) == (112.5, 200, 10)
    assert (version.rows_per_run, version.cache_hit_share) == (4.0, 0.75)
    assert version.p50_ms == pytest.approx(1 + 9 * 12.5 / 100)
    assert version.p99_ms == 100
    assert (found.cpu_cores, found.memory_bytes, found.pending) == (1.5, 100, 2)
    assert (found.engines, found.engines_known, found.states) == (1, 2, {"resident": 1})


def test_a_version_that_is_new_counts_from_zero_and_one_without_requests_has_no_latency() -> None:
    after = node(2, 1, 7, requests={"ok": 10}, latency=(10, 0, 0, 0))
    found = rates(Activity(at=1), after).versions[0]
    assert found.requests_per_s == 10
    quiet = rates(after, node(3, 1, 7, requests={"ok": 10}, latency=(10, 0, 0, 0))).versions[0]
    assert (quiet.requests_per_s, quiet.p50_ms, quiet.rows_per_run) == (0, None, None)


def test_a_restart_makes_nothing_negative() -> None:
    before = node(1, 100, 7, requests={"ok": 50}, rows=50, latency=(50, 0, 0, 0))
    found = rates(before, node(2, 0.5, 8, requests={"ok": 3}, rows=3, latency=(3, 0, 0, 0)))
    assert found.cpu_cores == 0.5
    assert found.versions[0].requests_per_s == 0
    assert found.versions[0].rows_per_s == 0


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((4, 0, 0, 0), 0.5, 0.0005),
        ((0, 10, 0, 0), 0.5, 0.0055),
        ((0, 0, 0, 3), 0.5, 0.1),
        ((1, 0, 1, 0), 1.0, 0.1),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(
    counts: tuple[int, ...], share: float, value: float | None
) -> None:
    assert quantile(counts, BOUNDS, share) == (None if value is None else pytest.approx(value))
