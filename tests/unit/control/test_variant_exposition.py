from prometheus_client.parser import text_string_to_metric_families

from augurium.control.metrics import NodeFacts, render
from augurium.control.variant_exposition import BOUNDS_S, coarse
from augurium.serving.metrics import EngineMetrics, VersionMetrics
from augurium.statistics.log_histogram import LogHistogram


def version(model: str, number: int, *variants: str) -> VersionMetrics:
    metrics = VersionMetrics(model, number)
    for variant in variants:
        metrics.ended("ok", 0.02, variant).scored(0.5)
        metrics.ended("model_failed", 0.02, variant)
        metrics.ended("ok", 0.3, variant).degraded += 1
    return metrics


def samples(*versions: VersionMetrics) -> dict[tuple[str, ...], float]:
    page = render(EngineMetrics(list(versions)), NodeFacts(1, 1)).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("augurium_variant_")
    }


def test_a_split_model_shows_its_variants() -> None:
    page = samples(version("churn", 1, "v1", ""), version("churn", 2, "challenger"))

    of = ("churn", "2", "challenger")
    assert page["augurium_variant_requests_total", *of, "ok"] == 2
    assert page["augurium_variant_requests_total", *of, "model_failed"] == 1
    assert page["augurium_variant_slo_breaches_total", *of] == 1
    assert page["augurium_variant_degraded_total", *of] == 1
    assert page["augurium_variant_request_seconds_bucket", *of, "0.025"] == 1
    assert page["augurium_variant_request_seconds_count", *of] == 2
    assert page["augurium_variant_score_sum", *of] == 0.5
    assert page["augurium_variant_score_count", *of] == 1
    assert page["augurium_variant_requests_total", "churn", "1", "", "ok"] == 2


def test_a_model_that_nobody_compares_shows_none() -> None:
    assert not samples(version("iris", 1, ""))


def test_few_buckets_have_all_values() -> None:
    histogram = LogHistogram()
    for seconds in (0.0001, 0.02, 0.02, 99.0):
        histogram.observe(seconds)
    found = coarse(histogram)

    assert found.count == 4
    assert len(found.counts) == len(BOUNDS_S) + 1
    assert (found.counts[0], found.counts[-1]) == (1, 1)
    assert found.total == histogram.total
