from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from augurium.serving.metrics import (
    MOST_ANSWERS,
    MOST_SIZES,
    MOST_WAITING,
    EngineMetrics,
    VersionMetrics,
    merge,
)

# powers of two add up exactly
SECONDS = st.integers(0, 64).map(lambda count: count / 64)
RUNS = st.tuples(st.integers(1, 5), st.integers(1, 3), SECONDS, SECONDS, SECONDS)
ENDS = st.tuples(st.sampled_from(["ok", "cancelled", "model_failed"]), SECONDS)
ANSWERS = st.tuples(st.integers(0, 3), st.sampled_from(["ok", "failed", "left"]), SECONDS)
EVENTS = st.lists(st.one_of(RUNS, ENDS, ANSWERS), max_size=40)


def counted(events: list[tuple[Any, ...]]) -> VersionMetrics:
    metrics = VersionMetrics("iris", 1)
    for event in events:
        if len(event) == 5:
            metrics.ran(*event)
        elif len(event) == 2:
            metrics.ended(*event)
        else:
            metrics.answered(*event)
    metrics.last_inference_at = 0.0
    return metrics


def total(reports: list[VersionMetrics]) -> VersionMetrics:
    (found,) = merge([EngineMetrics([report]) for report in reports]).versions
    return found


@given(EVENTS, EVENTS, EVENTS)
def test_engines_add_up_to_what_one_would_have_counted(
    first: list[Any], second: list[Any], third: list[Any]
) -> None:
    apart = total([counted(first), counted(second), counted(third)])

    assert msgspec.to_builtins(apart) == msgspec.to_builtins(counted(first + second + third))


@given(EVENTS)
def test_counters_come_through_the_link_as_they_were(events: list[Any]) -> None:
    metrics = counted(events)

    content = msgspec.msgpack.encode(metrics)

    assert msgspec.msgpack.decode(content, type=VersionMetrics) == metrics


@given(
    st.lists(
        st.tuples(
            st.one_of(SECONDS, st.sampled_from([0.0, 1e-6, 1e-5, 0.0025, 1e4])),
            st.sampled_from(["", "v1", "v2"]),
            st.one_of(st.none(), SECONDS, st.sampled_from([7, True, "cat", 1e200])),
        ),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_requests_that_are_gathered_count_as_one_by_one(ends: list[Any], place: int) -> None:
    alone, together = VersionMetrics("iris", 1), VersionMetrics("iris", 1)
    for number, (seconds, variant, score) in enumerate(ends):
        own = alone.ended("ok", seconds, variant)
        if isinstance(score, int | float):
            own.scored(score)
        together.ended_well(seconds, variant, score)
        if number == place:
            together.gathered()

    assert _rounded(together.gathered()) == _rounded(alone)
    assert together.gathered() == together


def _rounded(metrics: VersionMetrics) -> VersionMetrics:
    """Sums of what is no power of two depend on the order."""
    metrics.request_s.total = round(metrics.request_s.total, 9)
    for variant in metrics.variants.values():
        variant.latency.total = round(variant.latency.total, 9)
    return metrics


def test_the_number_that_wait_to_be_counted_is_bounded() -> None:
    metrics = VersionMetrics("iris", 1)
    for _ in range(MOST_WAITING + 3):
        metrics.ended_well(0.5)

    assert metrics.outcomes == {"ok": MOST_WAITING}
    assert metrics.gathered().outcomes == {"ok": MOST_WAITING + 3}


def test_each_request_counts_with_the_whole_time_of_its_run() -> None:
    metrics = counted([(8, 3, 0.125, 0.5, 0.25)])

    assert (metrics.executions, metrics.rows) == (1, 8)
    assert metrics.inferred.count == 3
    assert metrics.inferred.infer_s == 1.5
    assert metrics.by_size[8].infer_s == 0.5


def test_the_time_of_failures_is_kept_apart() -> None:
    metrics = counted([("ok", 0.25), ("cancelled", 0.5), ("model_failed", 0.125)])

    assert metrics.request_s.total - metrics.failed_s == 0.25


def test_the_last_inference_of_any_engine_counts() -> None:
    reports = [VersionMetrics("iris", 1, last_inference_at=at) for at in (5.0, 9.0, 7.0)]

    assert total(reports).last_inference_at == 9.0


def test_the_number_of_sizes_and_of_places_in_streams_is_bounded() -> None:
    metrics = VersionMetrics("iris", 1)
    for number in range(MOST_SIZES + 10):
        metrics.ran(number, 1, 0, 0, 0)
    for index in range(MOST_ANSWERS + 10):
        metrics.answered(index, "ok", 0)

    assert len(metrics.by_size) == MOST_SIZES
    assert len(metrics.answers) == MOST_ANSWERS
    assert metrics.executions == MOST_SIZES + 10


def test_the_first_answer_of_a_stream_is_timed() -> None:
    metrics = counted([(0, "ok", 0.25), (1, "ok", 0.5), (0, "failed", 0.125)])

    assert metrics.first_answer_s is not None
    assert (metrics.first_answer_s.count, metrics.first_answer_s.total) == (1, 0.25)
