"""The store of rollouts in the registry's SQL database."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, select, true, update

from augurium.core.clock import Clock
from augurium.core.identifiers import NAME_PATTERN
from augurium.registry.change import Change, changing
from augurium.registry.database import reading
from augurium.registry.registry import Sees
from augurium.registry.rollout_records import (
    Rollout,
    RolloutDraft,
    RolloutEvent,
    RolloutNote,
    RolloutUpdate,
)
from augurium.registry.rollout_store import (
    MOST_EVENTS,
    check_current,
    check_event_limit,
    check_free,
    rollout_not_found,
    start_note,
    started,
    updated,
)
from augurium.registry.rows import read_model, read_version
from augurium.registry.rules import check_live
from augurium.registry.tables import rollout_events, rollouts

_BATCH = 500
_ACTIVE = rollouts.c.ended_at.is_(None)


class SqlRollouts:
    """Rollouts over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def start(self, draft: RolloutDraft, actor: str) -> Rollout:
        with changing(self._engine, self._clock, actor) as change:
            connection = change.connection
            check_live(
                read_model(connection, draft.model),
                read_version(connection, draft.model, draft.version),
            )
            # changes come one after the other, so this sees everybody who was earlier; the index of
            # the table holds it against whoever writes without asking
            active = _rollouts(connection, and_(rollouts.c.model == draft.model, _ACTIVE))
            check_free(draft.model, active[0] if active else None)
            rollout = started(draft, change.at, actor)
            connection.execute(insert(rollouts).values(**msgspec.structs.asdict(rollout)))
            _note(change, rollout, (start_note(draft),))
        return rollout

    def save(self, rollout: str, revision: int, update: RolloutUpdate, actor: str) -> Rollout:
        with changing(self._engine, self._clock, actor) as change:
            known = _rollout(change.connection, rollout)
            check_current(known, revision)
            changed = updated(known, update, change.at)
            _update(change.connection, changed)
            _note(change, changed, update.notes)
        return changed

    def get(self, rollout: str) -> Rollout:
        with reading(self._engine) as connection:
            return _rollout(connection, rollout)

    def find(
        self,
        model: str | None = None,
        active: bool | None = None,
        limit: int = 100,
        sees: Sees | None = None,
    ) -> Sequence[Rollout]:
        check_event_limit(limit)
        conditions: list[ColumnElement[bool]] = [true()]
        if model is not None:
            conditions.append(rollouts.c.model == model)
        if active is not None:
            conditions.append(_ACTIVE if active else rollouts.c.ended_at.is_not(None))
        with reading(self._engine) as connection:
            found = _rollouts(connection, and_(*conditions), None if sees else limit)
        return [one for one in found if sees is None or sees(one.model)][:limit]

    def events(
        self,
        rollout: str | None = None,
        after: int = 0,
        limit: int = MOST_EVENTS,
        sees: Sees | None = None,
    ) -> Sequence[RolloutEvent]:
        check_event_limit(limit)
        found: list[RolloutEvent] = []
        with reading(self._engine) as connection:
            if rollout is not None:
                _rollout(connection, rollout)
            while len(found) < limit:
                batch = _events(connection, rollout, after)
                found += [one for one in batch if sees is None or sees(one.model)]
                if len(batch) < _BATCH:
                    break
                after = batch[-1].number
        return found[:limit]

    def newest_event(self) -> int:
        with reading(self._engine) as connection:
            return _newest(connection)


def _rollout(connection: Connection, rollout: str) -> Rollout:
    # a text that is no id may not even be one the database can take
    found = (
        _rollouts(connection, rollouts.c.id == rollout) if NAME_PATTERN.fullmatch(rollout) else []
    )
    if not found:
        raise rollout_not_found(rollout)
    return found[0]


def _rollouts(
    connection: Connection, condition: ColumnElement[bool], limit: int | None = None
) -> list[Rollout]:
    order = (rollouts.c.created_at.desc(), rollouts.c.id)
    query = select(rollouts).where(condition).order_by(*order).limit(limit)
    return [Rollout(**row._mapping) for row in connection.execute(query)]


def _update(connection: Connection, rollout: Rollout) -> None:
    fields = msgspec.structs.asdict(rollout)
    row = update(rollouts).where(rollouts.c.id == rollout.id)
    names = ("state", "status", "reason", "ended_at", "revision")
    connection.execute(row.values(**{name: fields[name] for name in names}))


def _events(connection: Connection, rollout: str | None, after: int) -> list[RolloutEvent]:
    table = rollout_events.join(rollouts, rollouts.c.id == rollout_events.c.rollout)
    query = select(rollout_events, rollouts.c.model).select_from(table)
    query = query.where(rollout_events.c.number > after)
    if rollout is not None:
        query = query.where(rollout_events.c.rollout == rollout)
    rows = connection.execute(query.order_by(rollout_events.c.number).limit(_BATCH))
    return [RolloutEvent(**row._mapping) for row in rows]


def _newest(connection: Connection) -> int:
    return int(connection.execute(select(func.max(rollout_events.c.number))).scalar() or 0)


def _note(change: Change, rollout: Rollout, notes: Iterable[RolloutNote]) -> None:
    """Numbers are given under the lock of the change, so they follow the order of commits."""
    number = _newest(change.connection)
    of_this = select(func.max(rollout_events.c.seq)).where(rollout_events.c.rollout == rollout.id)
    seq = int(change.connection.execute(of_this).scalar() or 0)
    for place, note in enumerate(notes, 1):
        values: dict[str, Any] = {
            "number": number + place,
            "rollout": rollout.id,
            "seq": seq + place,
            "at": change.at,
            "actor": change.actor,
            "kind": note.kind,
            "text": note.text,
            "numbers": note.numbers,
        }
        change.connection.execute(insert(rollout_events).values(**values))
        if note.action:
            details = {"rollout": rollout.id, "text": note.text} | note.numbers
            change.record(note.action, rollout.model, rollout.version, **details)
