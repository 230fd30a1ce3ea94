"""Predictions and feedback of an experiment, joined: what is known of each of its units.

It makes temporary tables. Units and predictions are 64 bits of DuckDB's hash from the first one on,
which is a fraction of the memory of their texts; of ten million predictions two are taken for one
in one of three hundred thousand experiments. A unit's bucket comes of the same hash. It need not be
that of `statistics/unit_buckets.py`: buckets only have to keep a unit together and units apart from
what assigned them (measured: MD5, which DuckDB has as well, takes 0.6 microseconds a row, more than
all the rest).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from augurium.control.metric_queries import Columns
from augurium.core.errors import FAULTS
from augurium.core.experiment_design import DAY_S, ExperimentDesign
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import FeedbackCounts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# the phase of what was before the first one, where only covariates come from
BEFORE = -2
_FAULTS = ", ".join(f"'{kind}'" for kind in sorted(FAULTS))
_EXPOSED = """
CREATE TEMP VIEW exposed AS
SELECT hash(prediction_id) AS prediction,
       hash(coalesce(nullif(unit, ''), prediction_id)) AS unit, "at", {phase} AS phase,
       labels.place AS variant, seconds, score, outcome IN ({faults}) AS fault
FROM predictions LEFT JOIN labels ON predictions.variant = labels.name
WHERE "at" >= {first!r} AND "at" < {until!r} AND (labels.place IS NOT NULL OR "at" < {start!r})
"""
_UNITS = """
CREATE TEMP TABLE unit_phases AS
SELECT unit, phase, min(variant) AS variant, min(variant) <> max(variant) AS mixed,
       min("at") AS first_at, count(*) AS requests, count_if(fault) AS errors,
       sum(seconds) AS seconds, sum(score) AS score, count(score) AS scored
FROM exposed WHERE "at" >= {start!r} GROUP BY unit, phase
"""
_FIRST_PHASES = """
CREATE TEMP TABLE units AS SELECT * FROM unit_phases
SEMI JOIN (SELECT unit, min(phase) AS phase FROM unit_phases GROUP BY unit) USING (unit, phase)
"""
_TOLD = """
CREATE TEMP TABLE told AS
SELECT subject, of_prediction, name, arg_max("at", seq) AS "at", arg_max("value", seq) AS "value"
FROM (SELECT coalesce(prediction_id, '') <> '' AS of_prediction, names.place AS name,
             CASE WHEN of_prediction THEN hash(prediction_id) ELSE hash(unit) END AS subject,
             hash(feedback_id) AS id, seq, "at", "value"
      FROM feedback JOIN names ON feedback.name = names.name)
GROUP BY subject, of_prediction, name, id
"""
# what is of a unit has no phase of its own; what is of a prediction came after it, say clocks what
# they will
_ATTRIBUTED = """
CREATE TEMP VIEW attributed AS
SELECT name, told."at", "value", exposed.unit, exposed.phase
FROM told LEFT JOIN exposed ON exposed.prediction = told.subject WHERE of_prediction
UNION ALL
SELECT name, "at", "value", subject, -1 FROM told WHERE NOT of_prediction
"""
_MATCHED = """
CREATE TEMP VIEW matched AS
SELECT attributed.name, attributed."at", "value", units.unit, units.variant, units.phase,
       units.mixed,
       coalesce(attributed."at" < first_at + {window!r} AND attributed."at" < {until!r}
         AND CASE WHEN attributed.phase = -1
           THEN attributed."at" >= first_at AND attributed."at" < {phase_end}
           ELSE attributed.phase = units.phase END, FALSE)
         AS counts
FROM attributed LEFT JOIN units ON attributed.unit = units.unit
"""
_OF_UNITS = """
CREATE TEMP TABLE told_of AS
SELECT unit, any_value(mixed) AS excluded, count(*) AS told, count_if(counts) AS counted, {told}
FROM matched GROUP BY unit
"""
_FATES = """
SELECT coalesce(sum(counted) FILTER (NOT excluded), 0),
       coalesce(sum(told) FILTER (unit IS NULL), 0),
       coalesce(sum(told - counted) FILTER (NOT excluded), 0),
       coalesce(sum(told) FILTER (excluded), 0)
FROM told_of
"""


class Joined(NamedTuple):
    """What the join has to know; `columns` are those that the metrics need."""

    connection: "DuckDBPyConnection"
    design: ExperimentDesign
    columns: Columns
    phases: Sequence[ExperimentPhase]
    until: float

    @property
    def start(self) -> float:
        """That of the first phase."""
        return self.phases[0].at


def join(joined: Joined) -> FeedbackCounts:
    """Makes `known`, a row per unit, beside `exposed`, `units` and `matched`, of predictions, units
    and feedback.
    """
    labels = [variant.label for variant in joined.design.variants]
    _relate(joined, "labels (name VARCHAR, place TINYINT)", labels)
    _relate(joined, "names (name VARCHAR, place TINYINT)", joined.columns.feedback)
    _expose(joined)
    counts = _match(joined) if joined.columns.feedback else FeedbackCounts()
    _know(joined)
    return counts


def records_from(columns: Columns, started_at: float) -> float:
    """From when on records are needed: the start, or before it where there are covariates."""
    return started_at - columns.most_days * DAY_S


def _relate(joined: Joined, table: str, names: Sequence[str]) -> None:
    """A table that gives names their numbers, so that none stands in a statement."""
    joined.connection.execute(f"CREATE TEMP TABLE {table}")
    name = table.split()[0]
    for place, text in enumerate(names):
        joined.connection.execute(f"INSERT INTO {name} VALUES (?, ?)", [text, place])  # noqa: S608


def _expose(joined: Joined) -> None:
    phase = _of_phase(joined, '"at"', range(len(joined.phases)))
    statement = _EXPOSED.format(
        phase=f'CASE WHEN "at" < {joined.start!r} THEN {BEFORE} ELSE {phase} END',
        faults=_FAULTS,
        first=records_from(joined.columns, joined.start),
        until=joined.until,
        start=joined.start,
    )
    joined.connection.execute(statement)
    joined.connection.execute(_UNITS.format(start=joined.start))
    one = "CREATE TEMP VIEW units AS SELECT * FROM unit_phases"
    joined.connection.execute(one if len(joined.phases) == 1 else _FIRST_PHASES)


def _match(joined: Joined) -> FeedbackCounts:
    joined.connection.execute(_TOLD)
    joined.connection.execute(_ATTRIBUTED)
    ends = [phase.at for phase in joined.phases[1:]] + [joined.until]
    statement = _MATCHED.format(
        window=joined.design.attribution_s,
        until=joined.until,
        phase_end=_of_phase(joined, "units.first_at", ends),
    )
    joined.connection.execute(statement)
    told = ", ".join(joined.columns.of_feedback(joined.start))
    joined.connection.execute(_OF_UNITS.format(told=told))
    (found,) = joined.connection.execute(_FATES).fetchall()
    return FeedbackCounts(*map(int, found))


def _know(joined: Joined) -> None:
    """All columns of a unit in one table."""
    query = "CREATE TEMP TABLE known AS SELECT * FROM units"
    if joined.columns.feedback:
        query += " LEFT JOIN told_of USING (unit)"
    if joined.columns.score_days:
        scored = ", ".join(joined.columns.of_scores(joined.start))
        query += (
            f' LEFT JOIN (SELECT unit, {scored} FROM exposed WHERE "at" < {joined.start!r}'  # noqa: S608
            " GROUP BY unit) USING (unit)"
        )
    joined.connection.execute(query)


def _of_phase(joined: Joined, column: str, values: Iterable[float]) -> str:
    """What belongs to the phase that a time falls into."""
    *others, last = values
    cases = "".join(
        f" WHEN {column} < {phase.at!r} THEN {value!r}"
        for phase, value in zip(joined.phases[1:], others, strict=True)
    )
    return f"CASE{cases} ELSE {last!r} END" if cases else repr(last)
