"""Rows as segments of records: written by model and hour, and those that a question needs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from augurium.core.tensors import Array
from augurium.feedback.journal import Kept, Segment
from augurium.feedback.row import StoredRow
from augurium.records import segments as records
from augurium.records.partitions import Partitions
from augurium.records.schema import Schema, selected

KIND = "feedback"
SCHEMA: Schema = {
    "seq": "integer",
    "at": "number",
    "received_at": "number",
    "model": "text",
    "prediction_id": "text",
    "unit": "text",
    "name": "text",
    "feedback_id": "text",
    "value": "number",
}


class FeedbackSegments:
    """Writes rows among the records of a node. May be used from several threads."""

    def __init__(self, partitions: Partitions) -> None:
        self.partitions = partitions

    def write(self, rows: Sequence[StoredRow]) -> list[Segment]:
        """Stores rows, which are in the order of their numbers; nothing lists the segments yet.

        Raises NotReady and InsufficientStorage; nothing is left behind then.
        """
        parts: dict[tuple[str, datetime], list[StoredRow]] = defaultdict(list)
        for row in rows:
            parts[row.row.model, hour_of(row.received_at)].append(row)
        written: list[Segment] = []
        try:
            for (model, hour), part in parts.items():
                written.append(self._write(model, hour, part))
        except BaseException:
            self.delete(written)
            raise
        return written

    def delete(self, segments: Iterable[Segment]) -> None:
        """Removes segments from the store; those that are being read go with a later sweep."""
        self.partitions.remove([record_of(segment) for segment in segments])

    def _write(self, model: str, hour: datetime, rows: Sequence[StoredRow]) -> Segment:
        found = arrays(rows)
        # all of one hour: measured, telling the hour of each row takes as long as all the rest
        with self.partitions.database.connection() as connection:
            connection.register("rows", found)
            query = f"SELECT {selected(SCHEMA)} FROM rows"  # noqa: S608 - names of ours
            content = self.partitions.written(connection, query)
        record = self.partitions.put(KIND, model, hour, content)
        return Segment(
            name=record.name,
            model=model,
            hour=record.hour.strftime(records.HOUR_FORMAT),
            first_seq=rows[0].seq,
            last_seq=rows[-1].seq,
            rows=len(rows),
            size_bytes=record.size_bytes,
            first_at=float(found["at"].min()),
            last_at=float(found["at"].max()),
            received_at=float(found["received_at"].max()),
        )


def arrays(rows: Sequence[StoredRow]) -> dict[str, Array]:
    """Rows as columns that DuckDB reads. Their texts were checked, so all have a form in UTF-8."""
    told = [row.row for row in rows]
    return {
        "seq": np.array([row.seq for row in rows], np.int64),
        "at": np.array([row.at for row in told], np.float64),
        "received_at": np.array([row.received_at for row in rows], np.float64),
        "model": _texts([row.model for row in told]),
        "prediction_id": _texts([row.prediction_id for row in told]),
        "unit": _texts([row.unit for row in told]),
        "name": _texts([row.name for row in told]),
        "feedback_id": _texts([row.feedback_id for row in told]),
        "value": np.array([row.value for row in told], np.float64),
    }


def record_of(segment: Segment) -> records.Segment:
    """A listed segment as one of the records."""
    hour = datetime.strptime(segment.hour, records.HOUR_FORMAT).replace(tzinfo=UTC)
    return records.Segment(KIND, segment.model, hour, segment.name, segment.size_bytes)


def hour_of(seconds: float) -> datetime:
    """The hour of a time."""
    return records.hour_of(datetime.fromtimestamp(seconds, UTC))


def needed(kept: Kept, start: float, end: float) -> list[Segment]:
    """The segments that say what the last values are of outcomes between two times.

    Those with outcomes in between, and all that were received later than the first of these: a
    later row may have moved an outcome elsewhere.
    """
    firsts = [
        found.first_seq
        for found in kept.segments
        if found.first_at < end and found.last_at >= start
    ]
    firsts += [row.seq for row in kept.rows if start <= row.row.at < end]
    first = min(firsts, default=None)
    return [found for found in kept.segments if first is not None and found.last_seq >= first]


def _texts(texts: list[str]) -> Array:
    found = np.empty(len(texts), object)
    found[:] = texts
    return found
