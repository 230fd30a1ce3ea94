"""The key store in the registry's SQL database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, insert, select, true, update

from augurium.access.key_text import KeyText, new_key_text
from augurium.access.keys import (
    IssuedKey,
    Key,
    KeyDraft,
    LiveKey,
    check_not_taken,
    described,
    live_key,
    new_key,
    successor,
    to_revoke,
    to_rotate,
)
from augurium.access.principal import Principal
from augurium.core.clock import Clock
from augurium.core.identifiers import NAME_PATTERN, check_name
from augurium.registry.change import changing
from augurium.registry.database import reading, writing
from augurium.registry.tables import access_keys

_FIELDS = Key.__struct_fields__


class SqlKeyStore:
    """Keys over an engine that `open_database` gave; whoever opened it closes it.

    May be used from several threads, and several processes may use one database. `environment` is
    the word in new keys that tells test from production.
    """

    def __init__(self, engine: Engine, clock: Clock, environment: str = "live") -> None:
        self._engine = engine
        self._clock = clock
        self._environment = environment

    def create(self, draft: KeyDraft, grantor: Principal) -> IssuedKey:
        text = new_key_text(self._environment)
        with changing(self._engine, self._clock, grantor.name) as change:
            check_name("key name", draft.name)
            named = _keys(change.connection, access_keys.c.name == draft.name)
            check_not_taken(draft.name, named, change.at)
            key = new_key(text.id, draft, grantor, change.at)
            _insert(change.connection, key, text)
            change.record("create_key", **described(key))
        return IssuedKey(text.text, key)

    def rotate(self, name: str, grantor: Principal) -> IssuedKey:
        text = new_key_text(self._environment)
        with changing(self._engine, self._clock, grantor.name) as change:
            # a text that is no name may not even be one the database can take
            named = (
                _keys(change.connection, access_keys.c.name == name)
                if NAME_PATTERN.fullmatch(name)
                else []
            )
            old = to_rotate(name, named, grantor, change.at)
            key = successor(text.id, old, grantor, change.at)
            _insert(change.connection, key, text)
            change.record("rotate_key", **described(key), previous=old.id)
        return IssuedKey(text.text, key)

    def revoke(self, which: str, grantor: Principal) -> Sequence[Key]:
        with changing(self._engine, self._clock, grantor.name) as change:
            found = to_revoke(which, _keys(change.connection), grantor)
            ended = [msgspec.structs.replace(key, revoked_at=change.at) for key in found]
            ids = [key.id for key in ended]
            rows = update(access_keys).where(access_keys.c.id.in_(ids))
            change.connection.execute(rows.values(revoked_at=change.at))
            change.record("revoke_key", key=ended[0].name, ids=ids)
        return ended

    def all(self) -> Sequence[Key]:
        with reading(self._engine) as connection:
            return _keys(connection)

    def live(self) -> Sequence[LiveKey]:
        now = self._clock.now()
        with reading(self._engine) as connection:
            rows = _rows(connection, access_keys.c.revoked_at.is_(None))
        found = [
            live_key(key, bytes.fromhex(row.digest)) for row in rows if (key := _key(row)).live(now)
        ]
        return sorted(found, key=lambda key: key.id)

    def note_use(self, times: Mapping[str, datetime]) -> None:
        if not times:
            return
        with writing(self._engine) as connection:
            for key_id, at in times.items():
                row = access_keys.c.id == key_id
                connection.execute(update(access_keys).where(row).values(last_used_at=at))


def _insert(connection: Connection, key: Key, text: KeyText) -> None:
    values = msgspec.structs.asdict(key) | {"digest": text.digest.hex()}
    connection.execute(insert(access_keys).values(**values))


def _keys(connection: Connection, condition: ColumnElement[bool] | None = None) -> list[Key]:
    return [_key(row) for row in _rows(connection, condition)]


def _rows(connection: Connection, condition: ColumnElement[bool] | None = None) -> list[Row[Any]]:
    query = select(access_keys).where(true() if condition is None else condition)
    # sorted here, because databases order text by their own locale
    return sorted(connection.execute(query), key=lambda row: (row.name, row.created_at, row.id))


def _key(row: Row[Any]) -> Key:
    return msgspec.convert({field: getattr(row, field) for field in _FIELDS}, Key)
