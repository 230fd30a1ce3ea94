"""The journal in the registry's SQL database."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    delete,
    func,
    insert,
    select,
    union,
    update,
)

from augurium.feedback.journal import JournalSize, Kept, Segment
from augurium.feedback.row import FeedbackRow, StoredRow
from augurium.registry.database import reading, writing
from augurium.registry.tables import feedback_counter, feedback_journal, feedback_segments

_FIELDS = FeedbackRow._fields
_COLUMNS = [feedback_journal.c[name] for name in ("seq", "received_at", *_FIELDS)]
_SEGMENT = [feedback_segments.c[name] for name in Segment.__struct_fields__]


class SqlJournal:
    """A journal over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database: whoever takes
    numbers holds the counter's row until the end of the transaction, so that rows become visible in
    the order of their numbers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, rows: Sequence[FeedbackRow], received_at: float) -> int:
        with writing(self._engine) as connection:
            first = _reserved(connection, len(rows))
            if rows:
                connection.execute(
                    insert(feedback_journal),
                    [
                        {"seq": first + place, "received_at": received_at, **row._asdict()}
                        for place, row in enumerate(rows)
                    ],
                )
        return first

    def reserve(self, count: int) -> int:
        with writing(self._engine) as connection:
            return _reserved(connection, count)

    def note(self, segments: Sequence[Segment]) -> None:
        with writing(self._engine) as connection:
            _list(connection, segments)

    def oldest(self, limit: int) -> list[StoredRow]:
        query = select(*_COLUMNS).order_by(feedback_journal.c.seq).limit(limit)
        with reading(self._engine) as connection:
            return [_stored(row) for row in connection.execute(query)]

    def replace(self, rows: Sequence[StoredRow], segments: Sequence[Segment]) -> bool:
        seq = feedback_journal.c.seq
        gone = delete(feedback_journal).where(and_(seq >= rows[0].seq, seq <= rows[-1].seq))
        with writing(self._engine) as connection:
            # one who does the same at the same time waits here, and then finds nothing to delete
            _reserved(connection, 0)
            there = select(func.count()).where(and_(seq >= rows[0].seq, seq <= rows[-1].seq))
            if connection.execute(there).scalar_one() != len(rows):
                return False
            connection.execute(gone)
            _list(connection, segments)
        return True

    def kept(self, model: str) -> Kept:
        listed = select(*_SEGMENT).where(feedback_segments.c.model == model)
        waiting = select(*_COLUMNS).where(feedback_journal.c.model == model)
        with reading(self._engine) as connection:
            return Kept(
                _segments(connection, listed.order_by(feedback_segments.c.first_seq)),
                [
                    _stored(row)
                    for row in connection.execute(waiting.order_by(feedback_journal.c.seq))
                ],
            )

    def size(self) -> JournalSize:
        query = select(func.count(), func.min(feedback_journal.c.received_at))
        with reading(self._engine) as connection:
            rows, oldest = connection.execute(query.select_from(feedback_journal)).one()
        return JournalSize(int(rows), oldest)

    def models(self) -> set[str]:
        query = union(select(feedback_journal.c.model), select(feedback_segments.c.model))
        with reading(self._engine) as connection:
            return set(connection.execute(query).scalars())

    def segment_names(self) -> set[str]:
        with reading(self._engine) as connection:
            return set(connection.execute(select(feedback_segments.c.name)).scalars())

    def forget(self, model: str) -> list[Segment]:
        return self._removed(feedback_journal.c.model == model, feedback_segments.c.model == model)

    def expire(self, before: float) -> list[Segment]:
        return self._removed(
            feedback_journal.c.received_at < before, feedback_segments.c.received_at < before
        )

    def _removed(self, rows: ColumnElement[bool], segments: ColumnElement[bool]) -> list[Segment]:
        listed = select(*_SEGMENT).where(segments).order_by(feedback_segments.c.name)
        with writing(self._engine) as connection:
            _reserved(connection, 0)
            found = _segments(connection, listed)
            connection.execute(delete(feedback_journal).where(rows))
            connection.execute(delete(feedback_segments).where(segments))
        return found


def _reserved(connection: Connection, count: int) -> int:
    column = feedback_counter.c.next_seq
    taken = update(feedback_counter).values(next_seq=column + count).returning(column)
    return int(connection.execute(taken).scalar_one()) - count


def _list(connection: Connection, segments: Sequence[Segment]) -> None:
    if segments:
        values = [msgspec.structs.asdict(segment) for segment in segments]
        connection.execute(insert(feedback_segments), values)


def _segments(connection: Connection, query: Any) -> list[Segment]:
    return [Segment(**row._mapping) for row in connection.execute(query)]


def _stored(row: Any) -> StoredRow:
    return StoredRow(row[0], row[1], FeedbackRow(*row[2:]))
