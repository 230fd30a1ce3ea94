"""The last values: of all rows for one outcome, the one that was received last, by DuckDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from augurium.feedback.journal import Kept
from augurium.feedback.row import LAST_SECOND, StoredRow
from augurium.feedback.segments import SCHEMA, arrays, needed, record_of
from augurium.records.partitions import Partitions
from augurium.records.schema import quoted_text, selected

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ALWAYS = (0.0, LAST_SECOND + 1)
# a later row of the same outcome takes the place of an earlier one, whatever its own time. Told
# apart by 64 bits of their texts: measured, ten million outcomes take a fifth of the memory then,
# and two of them are taken for one with a probability of 3 in a million
_LAST = """
CREATE TEMP VIEW last_values AS
SELECT arg_max(prediction_id, seq) AS prediction_id, arg_max(unit, seq) AS unit, name,
       arg_max(feedback_id, seq) AS feedback_id, max(seq) AS seq, arg_max("at", seq) AS "at",
       arg_max(received_at, seq) AS received_at, arg_max("value", seq) AS "value",
       count(*) AS received, min("value") <> max("value") AS conflicting
FROM feedback_rows GROUP BY hash(prediction_id, unit, feedback_id), name
HAVING arg_max("at", seq) >= {start!r} AND arg_max("at", seq) < {end!r}
"""
_NEWEST = """
SELECT seq FROM last_values WHERE $name IS NULL OR name = $name ORDER BY seq DESC LIMIT $limit
"""
_VALUES = """
SELECT seq, "at", received_at, prediction_id, unit, name, feedback_id, "value"
FROM feedback_rows WHERE seq IN (SELECT unnest($seqs)) ORDER BY seq DESC
"""
_SUMMARY = """
SELECT name, count(*), sum(received), sum(conflicting::INT), min("at"), max("at"), avg("value"),
       min("value"), max("value")
FROM last_values GROUP BY name ORDER BY name
"""


class FeedbackValue(msgspec.Struct, frozen=True, kw_only=True):
    """The last value of an outcome; `seq` is its place in the order of receipt."""

    seq: int
    at: datetime
    received_at: datetime
    name: str
    value: float
    prediction_id: str = ""
    unit: str = ""
    id: str = ""


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes of one name: how many, and their times and values.

    `received` counts rows, also those that said an outcome again; `conflicting` counts outcomes
    for which different values were received.
    """

    name: str
    outcomes: int
    received: int
    conflicting: int
    first_at: datetime
    last_at: datetime
    mean: float
    least: float
    most: float


@contextmanager
def last_values(
    partitions: Partitions, kept: Kept, start: float = ALWAYS[0], end: float = ALWAYS[1]
) -> Iterator["DuckDBPyConnection"]:
    """A connection with a view `last_values` of the outcomes from `start` until before `end`.

    Columns: prediction_id, unit, name, feedback_id, seq, at, received_at, value, received (rows
    there were for it), conflicting (whether they had different values). Raises as
    `RecordDatabase.connection`.
    """
    listed = [record_of(found) for found in needed(kept, start, end)]
    with partitions.reading(listed) as files, partitions.database.connection() as connection:
        relate(connection, files, kept.rows, start, end)
        yield connection


def relate(
    connection: "DuckDBPyConnection",
    files: Sequence[Path],
    tail: Sequence[StoredRow],
    start: float = ALWAYS[0],
    end: float = ALWAYS[1],
) -> None:
    """Makes views in a connection, from segments and rows of the journal: `feedback_rows`, all that
    was received, and `last_values`.
    """
    # for as long as the connection; an array of no texts says nothing of its type
    connection.register("journal_tail", arrays(tail))
    rows = f"SELECT {selected(SCHEMA)} FROM journal_tail"  # noqa: S608 - names of ours
    if files:
        paths = ", ".join(quoted_text(str(file)) for file in files)
        rows += f" UNION ALL BY NAME SELECT * FROM read_parquet([{paths}])"  # noqa: S608 - quoted
    connection.execute(f"CREATE TEMP VIEW feedback_rows AS {rows}")
    connection.execute(_LAST.format(start=start, end=end))


def newest(
    connection: "DuckDBPyConnection", limit: int, name: str | None = None
) -> list[FeedbackValue]:
    """The values that were received last, of all names or one, the newest first."""
    found = connection.execute(_NEWEST, {"name": name, "limit": limit}).fetchall()
    # the texts of those only: of ten million outcomes they would not fit into the memory there is
    seqs = [seq for (seq,) in found]
    rows = connection.execute(_VALUES, {"seqs": seqs}).fetchall() if seqs else []
    return [_value(*row) for row in rows]


def summary(connection: "DuckDBPyConnection") -> list[MetricSummary]:
    """What there is of each name, in the order of the names."""
    return [
        MetricSummary(
            name=name,
            outcomes=outcomes,
            received=int(received),
            conflicting=int(conflicting),
            first_at=_moment(first_at),
            last_at=_moment(last_at),
            mean=mean,
            least=least,
            most=most,
        )
        for name, outcomes, received, conflicting, first_at, last_at, mean, least, most in (
            connection.execute(_SUMMARY).fetchall()
        )
    ]


def _value(seq: int, at: float, received_at: float, *said: Any) -> FeedbackValue:
    prediction_id, unit, name, feedback_id, value = said
    return FeedbackValue(
        seq=seq,
        at=_moment(at),
        received_at=_moment(received_at),
        prediction_id=prediction_id,
        unit=unit,
        name=name,
        id=feedback_id,
        value=value,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
