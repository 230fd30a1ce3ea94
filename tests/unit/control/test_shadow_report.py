"""The report on shadows, and their metrics, from counters."""

import pytest
from scipy.stats import binomtest

from augurium.control.exposition import Exposition
from augurium.control.shadow_metrics import shadows
from augurium.control.shadow_report import ShadowReport, shadow_report
from augurium.core.shadow import Comparison, Shadow
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.serving.metrics import EngineMetrics, VersionMetrics
from augurium.serving.snapshot import DesiredModel, Snapshot
from augurium.traffic.shadow_sums import Example, OutputSums, ShadowSums

SHADOW = Shadow(3, 10)


def sums(baseline: int, until: float = 60.0, compare: Comparison = SHADOW.compare) -> ShadowSums:
    found = ShadowSums(baseline, compare, since=1.0, until=until)
    found.answered, found.failed, found.rescued = 8, {"model_failed": 2}, {"internal": 1}
    found.dropped = {"engine_busy": 5}
    found.rows, found.agreeing = 100, 90
    output = found.outputs["y"] = OutputSums(rows=100, differing=10, values=100, not_finite=20)
    output.total, output.largest, output.largest_relative = 4.0, 0.5, 0.25
    output.differences.observe(0.5, 80)
    for number in range(1, 101):
        found.baseline_s.observe(number / 1000)
        found.shadow_s.observe(number / 500)
    found.keep([Example(0.5, 2.0, "y", '{"x":1.0}', '{"y":1.0}', '{"y":1.5}')])
    return found


def report(*found: ShadowSums) -> ShadowReport:
    metrics = EngineMetrics(
        [VersionMetrics("price", 3, shadows=list(found)), VersionMetrics("other", 3)]
    )
    revision = TrafficRevision(revision=1, policy=TrafficPolicy(shadows=(SHADOW,)))
    snapshot = Snapshot(1, (DesiredModel("other"), DesiredModel("price", traffic=revision)))
    return shadow_report("price", snapshot, metrics)


def test_a_report_says_what_was_counted() -> None:
    found = report(sums(2))
    (pair,) = found.pairs

    assert found.shadows == (SHADOW,)
    assert (pair.version, pair.baseline, pair.copied, pair.answered) == (3, 2, 11, 8)
    assert (pair.failed, pair.rescued) == ({"model_failed": 2}, {"internal": 1})
    assert pair.agreement is not None
    interval = binomtest(90, 100).proportion_ci(method="wilson")
    expected = (0.9, interval.low, interval.high)
    assert (pair.agreement.value, pair.agreement.low, pair.agreement.high) == pytest.approx(
        expected, abs=1e-6
    )
    (output,) = pair.outputs
    assert (output.mean_difference, output.largest_difference) == (0.05, 0.5)
    assert output.largest_relative == 0.25
    # four bins a decade
    assert output.p99_difference == pytest.approx(0.5, rel=0.34)
    assert pair.baseline_latency is not None
    assert pair.shadow_latency is not None
    assert pair.baseline_latency.p99_ms == pytest.approx(99, rel=0.03)
    assert pair.shadow_latency.p50_ms == pytest.approx(100, rel=0.03)
    assert [example.input for example in pair.examples] == ['{"x":1.0}']


def test_what_was_counted_last_comes_first() -> None:
    assert [pair.baseline for pair in report(sums(1, 10), sums(2, 30), sums(4, 20)).pairs] == [
        *(2, 4, 1)
    ]


def test_without_a_shadow_there_is_nothing_to_say() -> None:
    assert shadow_report("gone", Snapshot(), EngineMetrics()) == ShadowReport("gone", (), ())
    (pair,) = report(ShadowSums(2, until=1.0, since=1.0)).pairs
    assert (pair.agreement, pair.shadow_latency, pair.outputs) == (None, None, ())


def test_metrics_are_of_a_version_and_its_baseline_whatever_the_tolerance() -> None:
    page = Exposition()
    version = VersionMetrics("price", 3, shadows=[sums(2), sums(2, compare=Comparison(relative=1))])
    shadows(page, [version, VersionMetrics("other", 1)])
    text = page.text().decode()
    of = 'model="price",version="3",baseline="2"'

    assert f'augurium_shadow_copies_total{{{of},outcome="answered"}} 16' in text
    assert f'augurium_shadow_dropped_total{{{of},reason="engine_busy"}} 10' in text
    assert f'augurium_shadow_rows_total{{{of},answer="other"}} 20' in text
    assert "other" not in text.replace('answer="other"', "")
