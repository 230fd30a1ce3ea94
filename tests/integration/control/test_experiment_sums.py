"""Sums of an experiment, from predictions and feedback in DuckDB."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.control.experiment_sums import experiment_sums, first_needed
from augurium.core.clock import ManualClock
from augurium.core.experiment_design import (
    ERROR_GUARDRAIL,
    LATENCY_GUARDRAIL,
    Covariate,
    ExperimentDesign,
    ExperimentMetric,
)
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.records.location import open_records
from augurium.records.query import RecordQuery, RecordRange
from augurium.records.schema import Schema
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import ExperimentSums, FeedbackCounts, MetricSums, VariantSums
from tests.support.experiments import DAY_S, START, design

HALF = {"v1": 0.5, "v2": 0.5}
BOUGHT = ExperimentMetric("bought")
REVENUE = ExperimentMetric("revenue", "continuous")
WHOLE = (ExperimentPhase(START, HALF),)
END = START + 7 * DAY_S


class Prediction(NamedTuple):
    """A row of the prediction log; times are hours after the start."""

    hour: float
    prediction_id: str
    unit: str = ""
    variant: str = "v1"
    score: float | None = 0.5
    seconds: float = 0.01
    outcome: str = "ok"


class Told(NamedTuple):
    """A row of feedback; what stands later in a list was received later."""

    hour: float
    prediction_id: str = ""
    unit: str = ""
    name: str = "bought"
    value: float = 1.0
    feedback_id: str = ""


PREDICTION_SCHEMA: Schema = {
    "at": "number",
    "prediction_id": "text",
    "unit": "texts",
    "variant": "texts",
    "score": "number",
    "seconds": "number",
    "outcome": "text",
}
FEEDBACK_SCHEMA: Schema = {
    "seq": "integer",
    "at": "number",
    "prediction_id": "texts",
    "unit": "texts",
    "name": "text",
    "value": "number",
    "feedback_id": "texts",
}
Records = tuple[Sequence[Prediction], Sequence[tuple[int, Told]]]


def received(rows: Iterable[Told]) -> list[tuple[int, Told]]:
    return list(enumerate(rows, 1))


def sums_of(
    predictions: Sequence[Prediction],
    feedback: Sequence[tuple[int, Told]],
    made: ExperimentDesign | None = None,
    phases: Sequence[ExperimentPhase] = WHOLE,
) -> ExperimentSums:
    with duckdb.connect() as connection:
        connection.execute(
            'CREATE TABLE predictions ("at" DOUBLE, prediction_id VARCHAR, unit VARCHAR, '
            "variant VARCHAR, score DOUBLE, seconds DOUBLE, outcome VARCHAR)"
        )
        connection.execute(
            'CREATE TABLE feedback (seq BIGINT, "at" DOUBLE, prediction_id VARCHAR, unit VARCHAR, '
            'name VARCHAR, "value" DOUBLE, feedback_id VARCHAR)'
        )
        for one in predictions:
            connection.execute(
                "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?)", [_at(one.hour), *one[1:]]
            )
        for seq, told in feedback:
            connection.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)",
                [seq, _at(told.hour), *told[1:]],
            )
        return experiment_sums(connection, made or design(metrics=(BOUGHT,)), phases, END)


def _at(hour: float) -> float:
    return START + hour * 3600


def variant(found: ExperimentSums, label: str, phase: int = 0) -> VariantSums:
    return found.phases[phase].of(label)


def total(found: ExperimentSums, metric: str, label: str = "v1") -> tuple[float, float]:
    """The sum of values and of weights."""
    buckets = variant(found, label).metrics[metric].buckets
    assert buckets is not None
    return sum(buckets.values), sum(buckets.weights)


def test_units_and_requests_are_those_of_their_variant() -> None:
    found = sums_of(
        [
            Prediction(1, "p1", "ada"),
            Prediction(2, "p2", "ada"),
            Prediction(3, "p3", "bob", "v2"),
            Prediction(3, "p4", "eve", "other"),
            Prediction(-1, "p5", "joe"),
            Prediction(7 * 24, "p6", "sue"),
        ],
        [],
    )

    assert (variant(found, "v1").units, variant(found, "v1").requests) == (1, 2)
    assert (variant(found, "v2").units, variant(found, "v2").requests) == (1, 1)
    assert found.units == 2


def test_a_request_without_a_unit_is_one_of_its_own() -> None:
    found = sums_of([Prediction(1, "p1"), Prediction(2, "p2")], received([Told(3, "p2")]))

    assert variant(found, "v1").units == 2
    assert total(found, "bought") == (1, 2)


def test_a_unit_that_met_two_variants_is_left_out_and_counted() -> None:
    found = sums_of(
        [
            Prediction(1, "p1", "ada"),
            Prediction(2, "p2", "ada", "v2"),
            Prediction(2, "p3", "bob", "v2"),
        ],
        received([Told(3, "p1"), Told(3, unit="bob")]),
    )

    assert (found.mixed_units, found.units) == (1, 1)
    assert found.feedback == FeedbackCounts(joined=1, excluded=1)


def test_feedback_joins_by_prediction_or_by_unit() -> None:
    found = sums_of(
        [Prediction(1, "p1", "ada"), Prediction(1, "p2", "bob"), Prediction(1, "p3", "eve")],
        received([Told(2, "p1"), Told(2, unit="bob"), Told(2, "p9"), Told(2, unit="zoe")]),
    )

    assert total(found, "bought") == (2, 3)
    assert found.feedback == FeedbackCounts(joined=2, unjoined=2)


def test_feedback_counts_within_the_window_after_the_first_exposure() -> None:
    found = sums_of(
        [Prediction(10, "p1", "ada"), Prediction(20, "p2", "ada")],
        received(
            [
                Told(9.9, unit="ada", feedback_id="before"),
                Told(10, unit="ada", feedback_id="at once"),
                Told(33.9, "p2", feedback_id="in time"),
                Told(34, "p2", feedback_id="late"),
            ]
        ),
        design(metrics=(ExperimentMetric("bought", "continuous"),), attribution_s=DAY_S),
    )

    assert total(found, "bought") == (2, 1)
    assert found.feedback == FeedbackCounts(joined=2, outside=2)


def test_an_outcome_of_a_prediction_is_after_it_whatever_clocks_say() -> None:
    found = sums_of([Prediction(1, "p1", "ada")], received([Told(0.999, "p1")]))

    assert total(found, "bought") == (1, 1)


def test_the_last_row_for_an_outcome_holds_and_ids_tell_outcomes_apart() -> None:
    rows = [
        Told(2, "p1", name="revenue", value=10),
        Told(2, "p1", name="revenue", value=20),
        Told(2, "p1", name="revenue", value=5, feedback_id="second basket"),
    ]

    found = sums_of([Prediction(1, "p1", "ada")], received(rows), design(metrics=(REVENUE,)))

    assert total(found, "revenue") == (25, 1)


def test_a_unit_has_a_binary_metric_once_and_a_request_each_time() -> None:
    often = ExperimentMetric("clicks", feedback="bought", per="request")
    rows = [Told(2, "p1"), Told(2, "p2"), Told(2, "p3", value=0)]

    found = sums_of(
        [Prediction(1, f"p{number}", "ada") for number in range(1, 5)],
        received(rows),
        design(metrics=(BOUGHT, often)),
    )

    assert total(found, "bought") == (1, 1)
    assert total(found, "clicks") == (2, 4)


def test_errors_latency_and_score_come_of_the_predictions() -> None:
    metrics = (
        ExperimentMetric("failed", "binary", "errors", "lower"),
        ExperimentMetric("latency", "continuous", "latency", "lower"),
        ExperimentMetric("latency_each", "continuous", "latency", "lower", "request"),
        ExperimentMetric("score", "continuous", "score"),
        ExperimentMetric("score_each", "continuous", "score", per="request"),
    )
    rows = [
        Prediction(1, "p1", "ada", seconds=0.25, score=0.5),
        Prediction(2, "p2", "ada", seconds=0.75, score=None, outcome="model_failed"),
        Prediction(2, "p3", "ada", seconds=0.5, score=1.0, outcome="invalid_argument"),
        Prediction(2, "p4", "bob", seconds=1.0, score=None),
    ]

    found = sums_of(rows, [], design(metrics=metrics, guardrails=(ERROR_GUARDRAIL,)))

    assert total(found, "failed") == (1, 2)
    assert total(found, "error_rate") == (1, 4)
    assert total(found, "latency") == (1.5, 2)
    assert total(found, "latency_each") == (2.5, 4)
    assert total(found, "score") == (0.75, 1)
    assert total(found, "score_each") == (1.5, 2)


def test_a_ratio_is_divided_by_another_feedback_or_by_requests() -> None:
    basket = ExperimentMetric("basket", "ratio", feedback="revenue", denominator="orders")
    rate = ExperimentMetric("rate", "ratio", feedback="revenue", denominator="requests")
    rows = [Told(2, "p1", name="revenue", value=30), Told(2, "p1", name="orders", value=2)]

    found = sums_of(
        [Prediction(1, "p1", "ada"), Prediction(1, "p2", "bob")],
        received(rows),
        design(metrics=(basket, rate)),
    )

    assert total(found, "basket") == (30, 2)
    assert total(found, "rate") == (30, 2)


def test_quantiles_are_counted_in_bins() -> None:
    p90 = ExperimentMetric("p90", "quantile", feedback="revenue", share=0.9)
    rows = [Prediction(1, f"p{n}", f"u{n}", seconds=0.02 if n else 5.0) for n in range(50)]

    found = sums_of(
        rows,
        received([Told(2, "p1", name="revenue", value=12.5)]),
        design(metrics=(p90,), guardrails=(LATENCY_GUARDRAIL,)),
    )

    latency = histogram(variant(found, "v1").metrics["p99_latency"])
    assert sorted(latency.values()) == [1, 49]
    assert len(histogram(variant(found, "v1").metrics["p90"])) == 1


def histogram(sums: MetricSums) -> dict[int, int]:
    """Counts by bin, of all buckets."""
    assert sums.histogram is not None
    counts = sums.histogram.table().sum(axis=0)
    return {number: int(count) for number, count in enumerate(counts) if count}


def test_a_covariate_is_what_was_before_the_start() -> None:
    covered = ExperimentMetric("revenue", "continuous", covariate=Covariate(days=2))
    scored = ExperimentMetric("bought", covariate=Covariate("score", days=2))
    made = design(metrics=(covered, scored), guardrails=(LATENCY_GUARDRAIL,))

    found = sums_of(
        [
            Prediction(-24, "old", "ada", "", score=0.25),
            Prediction(-72, "older", "ada", "", score=0.75),
            Prediction(1, "p1", "ada"),
            Prediction(1, "p2", "bob"),
        ],
        received(
            [
                Told(-20, "old", name="revenue", value=7),
                Told(-47, unit="ada", name="revenue", value=5),
                Told(-49, unit="ada", name="revenue", value=100, feedback_id="too old"),
                Told(2, "p1", name="revenue", value=40),
                Told(2, "p2"),
            ]
        ),
        made,
    )

    revenue = variant(found, "v1").metrics["revenue"].adjusted
    assert revenue is not None
    assert (revenue.n, revenue.x_mean, revenue.y_mean) == (2, 6, 20)
    assert (revenue.xx, revenue.yy, revenue.xy) == pytest.approx((72, 800, 240))
    bought = variant(found, "v1").metrics["bought"].adjusted
    assert bought is not None
    assert (bought.x_mean, bought.y_mean) == (0.125, 0.5)
    assert sum(histogram(variant(found, "v1").metrics["p99_latency"]).values()) == 2
    assert first_needed(made, START) == START - 2 * DAY_S


def test_a_unit_belongs_to_the_phase_of_its_first_exposure() -> None:
    phases = (ExperimentPhase(START, {"v1": 0.9, "v2": 0.1}), ExperimentPhase(_at(24), HALF))

    found = sums_of(
        [
            Prediction(1, "p1", "ada"),
            Prediction(30, "p2", "ada", "v2"),
            Prediction(31, "p3", "bob", "v2"),
        ],
        received([Told(40, "p1"), Told(40, "p2"), Told(25, unit="ada"), Told(40, unit="bob")]),
        design(metrics=(ExperimentMetric("bought", "continuous"),)),
        phases,
    )

    assert found.mixed_units == 0
    assert [variant(found, "v1", phase).units for phase in (0, 1)] == [1, 0]
    assert [variant(found, "v2", phase).units for phase in (0, 1)] == [0, 1]
    assert variant(found, "v1").requests == 1
    assert total(found, "bought") == (1, 1)
    assert found.feedback == FeedbackCounts(joined=2, outside=2)


def test_names_from_outside_are_no_part_of_a_statement() -> None:
    odd = ExperimentMetric("odd", feedback="'); DROP TABLE feedback; --")

    found = sums_of(
        [Prediction(1, "p1", 'it\'s "ada"')],
        received([Told(2, unit='it\'s "ada"', name=odd.feedback_name)]),
        design(metrics=(odd,)),
    )

    assert total(found, "odd") == (1, 1)


def test_sums_come_out_of_the_records_of_a_node(tmp_path: Path) -> None:
    clock = ManualClock(datetime.fromtimestamp(START, UTC))
    partitions = open_records(StorageSettings(), Home(tmp_path), clock, {})
    predictions = [Prediction(hour, f"p{hour}", "ada" if hour % 2 else "bob") for hour in range(9)]
    told = [Told(hour + 1, f"p{hour}", name="revenue", value=hour) for hour in range(9)]
    partitions.write("predictions", "churn", PREDICTION_SCHEMA, columns(predictions))
    partitions.write("feedback", "churn", FEEDBACK_SCHEMA, columns(told) | {"seq": range(9)})

    ranges = {
        "predictions": RecordRange("predictions", "churn", PREDICTION_SCHEMA),
        "feedback": RecordRange("feedback", "churn", FEEDBACK_SCHEMA),
    }
    with RecordQuery(partitions).open(ranges) as connection:
        found = experiment_sums(connection, design(metrics=(REVENUE,)), WHOLE, END)

    assert (variant(found, "v1").units, variant(found, "v1").requests) == (2, 9)
    assert total(found, "revenue") == (36, 2)


def columns(rows: Sequence[Prediction | Told]) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {"at": [_at(row.hour) for row in rows]}
    for name in rows[0]._fields[1:]:
        found[name] = [getattr(row, name) for row in rows]
    return found


def test_nothing_at_all_gives_empty_sums() -> None:
    found = sums_of([], [])

    assert (found.units, found.mixed_units, found.feedback) == (0, 0, FeedbackCounts())


UNITS = st.sampled_from(["ada", "bob", "eve", "joe"])
PREDICTIONS = st.lists(
    st.tuples(st.integers(0, 160), UNITS, st.sampled_from(["v1", "v2"])), max_size=12
)
TOLD = st.lists(
    st.tuples(st.integers(0, 160), st.integers(0, 14), UNITS, st.booleans(), st.integers(0, 5)),
    max_size=12,
)


def records(
    predictions: list[tuple[int, str, str]], told: list[tuple[int, int, str, bool, int]]
) -> Records:
    rows = [
        Prediction(hour, f"p{number}", unit, label)
        for number, (hour, unit, label) in enumerate(predictions)
    ]
    feedback = received(
        Told(
            hour, f"p{number}" if of_prediction else "", "" if of_prediction else unit, value=value
        )
        for hour, number, unit, of_prediction, value in told
    )
    return rows, feedback


def plain(sums: ExperimentSums) -> Iterator[tuple[str, int, int, float, float]]:
    for label in HALF:
        one = variant(sums, label)
        if one.units:
            yield (label, one.units, one.requests, *total(sums, "bought", label))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PREDICTIONS, TOLD, st.randoms(use_true_random=False))
def test_what_comes_late_and_in_another_order_gives_the_same_sums(
    predictions: list[tuple[int, str, str]],
    told: list[tuple[int, int, str, bool, int]],
    chance: random.Random,
) -> None:
    made = design(metrics=(ExperimentMetric("bought", "continuous"),), attribution_s=DAY_S)
    rows, feedback = records(predictions, told)

    ordered = sums_of(rows, feedback, made)
    shuffled = sums_of(
        chance.sample(list(rows), len(rows)), chance.sample(list(feedback), len(feedback)), made
    )

    assert shuffled == ordered
    assert list(plain(ordered)) == list(by_hand(rows, feedback, DAY_S))


def by_hand(
    predictions: Sequence[Prediction], feedback: Sequence[tuple[int, Told]], window_s: float
) -> Iterator[tuple[str, int, int, float, float]]:
    """The same in loops over units."""
    last = {(one.prediction_id, one.unit): one for _, one in sorted(feedback)}
    unit_of = {one.prediction_id: one.unit for one in predictions}
    for label in HALF:
        units, requests, value = 0, 0, 0.0
        for unit in {one.unit for one in predictions}:
            mine = [one for one in predictions if one.unit == unit]
            if {one.variant for one in mine} != {label}:
                continue
            units, requests = units + 1, requests + len(mine)
            first = min(one.hour for one in mine)
            value += sum(
                one.value
                for one in last.values()
                if (one.unit or unit_of.get(one.prediction_id)) == unit
                and (one.hour - first) * 3600 < window_s
                and (one.hour >= first or not one.unit)
            )
        if units:
            yield label, units, requests, value, units
