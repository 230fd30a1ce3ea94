"""The sums of an experiment, from the prediction log and the feedback, by DuckDB.

What counts:
- A unit belongs to the phase and the variant of its first exposure. One that met two variants in
  that phase is in no sum, and is counted.
- Its requests count as long as the phase lasts, so that what another weight did to it does not.
- Feedback counts that happened within the window after the unit's first exposure: that of a
  prediction if the prediction counts, that of a unit as long as the phase lasts. Of several rows
  for the same prediction or unit, name and id the last one received holds.

Nothing depends on the order of rows, so that what comes late or again changes nothing but what it
says. All is read anew each time: there is no state that could differ from the records. Memory is
bounded by that of the connection, and what does not fit goes to its temporary files; ten million
predictions and as many rows of feedback take 40 seconds of CPU with 512 MiB.

How the loop calls it, with the records of `records/`:

    with records.open({"predictions": ..., "feedback": ...}) as connection:
        sums = experiment_sums(connection, design, phases, now)
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from augurium.control.experiment_join import Joined, join, records_from
from augurium.control.metric_queries import Columns, bin_of
from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.core.tensors import Array
from augurium.statistics.joint_moments import JointMoments
from augurium.statistics.unit_buckets import BUCKETS, UnitBuckets
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import (
    VALUE_BINS,
    ExperimentSums,
    MetricSums,
    PhaseSums,
    VariantSums,
    bucket_histogram,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# phase and variant of a sum
Place = tuple[int, int]
_BY_BUCKET = """
SELECT phase, variant, unit % {buckets} AS bucket, count(*) AS units,
       sum(requests) AS requests{terms}
FROM known WHERE NOT mixed GROUP BY ALL
"""
_BY_VARIANT = """
SELECT phase, variant, count(*), avg({x}), avg({y}), regr_sxx({y}, {x}), regr_syy({y}, {x}),
       regr_sxy({y}, {x})
FROM known WHERE NOT mixed GROUP BY ALL
"""
_HISTOGRAM = """
SELECT phase, variant, (unit % {buckets})::BIGINT * {bins} + {bin} AS cell, count(*) AS count
FROM {rows} GROUP BY ALL ORDER BY cell
"""
_REQUESTS = """
(SELECT units.phase, units.variant, units.unit, exposed.{column} AS number
 FROM exposed JOIN units ON exposed.unit = units.unit AND exposed.phase = units.phase
 WHERE NOT mixed AND exposed.{column} IS NOT NULL)
"""
_VALUES = """
(SELECT phase, variant, unit, "value" AS number FROM matched
 WHERE name = {place} AND counts AND NOT mixed AND "value" > 0)
"""


def experiment_sums(
    connection: "DuckDBPyConnection",
    design: ExperimentDesign,
    phases: Sequence[ExperimentPhase],
    until: float,
) -> ExperimentSums:
    """The sums of what happened before `until`, in seconds since 1970.

    The connection has tables `predictions` (at, prediction_id, variant, unit, score, seconds,
    outcome) and `feedback` (seq, at, prediction_id, unit, name, feedback_id, value), those of the
    model since `first_needed` at least, and gets temporary ones. Raises as its statements do.
    """
    columns = Columns(design.measured)
    feedback = join(Joined(connection, design, columns, phases, until))
    metrics: dict[Place, dict[str, MetricSums]] = defaultdict(dict)
    counts = _means(connection, columns, metrics)
    _adjusted(connection, columns, metrics)
    _histograms(connection, columns, metrics)
    found = {
        place: VariantSums(units, requests, metrics[place])
        for place, (units, requests) in counts.items()
    }
    (mixed,) = connection.execute("SELECT count(*) FROM units WHERE mixed").fetchall()[0]
    return ExperimentSums(
        tuple(_phase(design, number, phase, found) for number, phase in enumerate(phases)),
        int(mixed),
        feedback,
    )


def first_needed(design: ExperimentDesign, started_at: float) -> float:
    """From when on records are needed: the start, or before it where there are covariates."""
    return records_from(Columns(design.measured), started_at)


def _phase(
    design: ExperimentDesign, number: int, phase: ExperimentPhase, found: dict[Place, VariantSums]
) -> PhaseSums:
    labels = [variant.label for variant in design.variants]
    return PhaseSums(
        dict(phase.shares),
        {
            label: found[number, place]
            for place, label in enumerate(labels)
            if (number, place) in found
        },
    )


def _means(
    connection: "DuckDBPyConnection",
    columns: Columns,
    metrics: dict[Place, dict[str, MetricSums]],
) -> dict[Place, tuple[int, int]]:
    """Puts in sums per bucket; units and requests of each phase and variant."""
    terms = [columns.terms(metric) for metric in columns.means]
    summed = "".join(
        f", sum({one.value})::DOUBLE AS value_{place}, sum({one.weight})::DOUBLE AS weight_{place}"
        for place, one in enumerate(terms)
    )
    table = connection.execute(_BY_BUCKET.format(buckets=BUCKETS, terms=summed)).fetchnumpy()
    counts: dict[Place, tuple[int, int]] = {}
    for place, rows in _places(table):
        counts[place] = (int(table["units"][rows].sum()), int(table["requests"][rows].sum()))
        buckets = table["bucket"][rows].astype(np.int64)
        for number, metric in enumerate(columns.means):
            if metric.covariate is None:
                metrics[place][metric.name] = MetricSums(
                    UnitBuckets(
                        _by_bucket(buckets, table[f"value_{number}"][rows]),
                        _by_bucket(buckets, table[f"weight_{number}"][rows]),
                    )
                )
    return counts


def _adjusted(
    connection: "DuckDBPyConnection",
    columns: Columns,
    metrics: dict[Place, dict[str, MetricSums]],
) -> None:
    for metric in columns.means:
        terms = columns.terms(metric)
        if terms.before is None:
            continue
        query = _BY_VARIANT.format(x=f"({terms.before})::DOUBLE", y=f"({terms.value})::DOUBLE")
        for phase, variant, n, *moments in connection.execute(query).fetchall():
            metrics[phase, variant][metric.name] = MetricSums(
                adjusted=JointMoments(n, *(one or 0.0 for one in moments))
            )


def _histograms(
    connection: "DuckDBPyConnection",
    columns: Columns,
    metrics: dict[Place, dict[str, MetricSums]],
) -> None:
    for metric in columns.histograms:
        query = _HISTOGRAM.format(
            buckets=BUCKETS,
            bins=VALUE_BINS.count,
            bin=bin_of("number"),
            rows=_values_of(metric, columns),
        )
        table = connection.execute(query).fetchnumpy()
        for place, rows in _places(table):
            metrics[place][metric.name] = MetricSums(
                histogram=bucket_histogram(table["cell"][rows], table["count"][rows])
            )


def _values_of(metric: ExperimentMetric, columns: Columns) -> str:
    """The rows that a quantile is taken of."""
    if metric.source == "feedback":
        return _VALUES.format(place=columns.place(metric.feedback_name))
    return _REQUESTS.format(column="seconds" if metric.source == "latency" else "score")


def _places(table: dict[str, Array]) -> list[tuple[Place, Array]]:
    """Phases and variants that have rows, and the numbers of these."""
    keys = table["phase"].astype(np.int64) * 256 + table["variant"].astype(np.int64)
    return [
        ((int(key) // 256, int(key) % 256), np.flatnonzero(keys == key)) for key in np.unique(keys)
    ]


def _by_bucket(buckets: Array, sums: Array) -> tuple[float, ...]:
    return tuple(np.bincount(buckets, sums, BUCKETS).tolist())
