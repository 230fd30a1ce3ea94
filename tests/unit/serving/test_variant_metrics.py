from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import FAULTS, ErrorKind
from augurium.core.serving_policy import SloPolicy
from augurium.serving.metrics import MOST_VARIANTS, EngineMetrics, VersionMetrics, merge
from augurium.serving.variant_metrics import MISTAKES, VariantMetrics

# powers of two add up exactly
SECONDS = st.integers(0, 64).map(lambda count: count / 64)
KINDS = st.sampled_from(["ok", *ErrorKind])
SCORES = st.one_of(st.none(), st.integers(-64, 64).map(lambda count: count / 8))
ENDS = st.tuples(KINDS, SECONDS, st.sampled_from(["", "v1", "challenger"]), SCORES)
EVENTS = st.lists(ENDS, max_size=40)


def counted(events: list[Any]) -> VersionMetrics:
    metrics = VersionMetrics("iris", 1)
    for outcome, seconds, variant, score in events:
        sums = metrics.ended(outcome, seconds, variant)
        if score is not None:
            sums.scored(score)
    return metrics


def plain(variants: dict[str, VariantMetrics]) -> object:
    return msgspec.to_builtins(variants)


@given(EVENTS, EVENTS, EVENTS)
def test_engines_add_up_to_what_one_would_have_counted(
    first: list[Any], second: list[Any], third: list[Any]
) -> None:
    reports = [EngineMetrics([counted(events)]) for events in (first, second, third)]
    (apart,) = merge(reports).versions

    assert plain(apart.variants) == plain(counted(first + second + third).variants)
    assert all(
        report.versions == [counted(events)]
        for report, events in zip(reports, (first, second, third), strict=True)
    )


@given(EVENTS, EVENTS)
def test_what_came_since_is_what_was_counted_since(first: list[Any], second: list[Any]) -> None:
    before, after = counted(first).variants, counted(first + second).variants
    since = {name: sums.since(before.get(name, VariantMetrics())) for name, sums in after.items()}

    expected = counted(second).variants
    assert plain({name: sums for name, sums in since.items() if sums.requests}) == plain(expected)


@given(EVENTS)
def test_variants_have_every_request_of_their_version(events: list[Any]) -> None:
    metrics = counted(events)
    variants = metrics.variants.values()

    assert sum(sums.requests for sums in variants) == sum(metrics.outcomes.values())
    assert all(sums.errors + sums.mistakes <= sums.requests for sums in variants)
    assert all(sums.slo_breaches <= sums.latency.count for sums in variants)


def test_every_kind_of_error_is_a_fault_a_mistake_or_a_caller_who_left() -> None:
    assert FAULTS | MISTAKES | {ErrorKind.CANCELLED} == set(ErrorKind)
    assert not FAULTS & MISTAKES


@pytest.mark.parametrize(
    ("kind", "errors", "mistakes"),
    [
        ("ok", 0, 0),
        ("model_failed", 1, 0),
        ("internal", 1, 0),
        ("deadline_exceeded", 1, 0),
        ("overloaded", 1, 0),
        ("not_ready", 1, 0),
        ("cancelled", 0, 0),
        ("invalid_argument", 0, 1),
        ("not_found", 0, 1),
        ("unauthenticated", 0, 1),
    ],
)
def test_what_the_caller_did_is_no_error_of_the_variant(
    kind: str, errors: int, mistakes: int
) -> None:
    sums = counted([(kind, 0.25, "v1", None)]).variants["v1"]

    assert (sums.requests, sums.errors, sums.mistakes) == (1, errors, mistakes)


def test_who_waited_longer_than_the_objective_is_counted() -> None:
    metrics = VersionMetrics("iris", 1)
    metrics.take_objective(SloPolicy(latency_ms=50))
    for outcome, seconds in (
        ("ok", 0.05),
        ("ok", 0.051),
        ("deadline_exceeded", 1.0),
        ("cancelled", 0.2),
        ("model_failed", 0.2),
        ("invalid_argument", 0.2),
    ):
        metrics.ended(outcome, seconds, "v1")

    assert metrics.variants["v1"].slo_breaches == 3
    assert metrics.variants["v1"].latency.count == 4


def test_another_objective_is_told() -> None:
    metrics = VersionMetrics("iris", 1)
    metrics.take_objective(SloPolicy())
    assert metrics.changes == 0
    metrics.take_objective(SloPolicy(latency_ms=20))
    assert metrics.changes == 1
    (merged,) = merge([EngineMetrics([metrics])]).versions
    assert merged.slo_s == 0.02


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), 1e200])
def test_what_is_no_number_is_no_score(score: float) -> None:
    sums = VariantMetrics()
    sums.scored(score)
    sums.scored(2.0)

    assert (sums.score_count, sums.score_sum, sums.score_squares) == (1, 2.0, 4.0)


def test_the_number_of_variants_is_bounded() -> None:
    metrics = VersionMetrics("iris", 1)
    for number in range(MOST_VARIANTS + 10):
        metrics.ended("ok", 0.0, f"v{number}")

    assert len(metrics.variants) <= MOST_VARIANTS + 1
    assert sum(sums.requests for sums in metrics.variants.values()) == MOST_VARIANTS + 10
