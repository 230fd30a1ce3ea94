"""The registry in a SQL database: SQLite on a laptop, PostgreSQL when that is outgrown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.core.identifiers import check_alias, check_model_name
from augurium.registry.database import reading, writing
from augurium.registry.draft_limits import check_actor, check_draft
from augurium.registry.records import AuditEntry, Model, Version, VersionDraft, numbered
from augurium.registry.rows import (
    insert_audit,
    insert_version,
    lock_registry,
    read_audit,
    read_model,
    read_models,
    read_revision,
    read_version,
    read_versions,
)
from augurium.registry.rules import (
    alias_not_found,
    check_audit_limit,
    check_default,
    check_repetition,
    check_same_spelling,
    check_undeploy,
    check_version,
)
from augurium.registry.tables import aliases, models, versions


class SqlRegistry:
    """A registry over an engine that `open_database` gave; it owns the engine from then on.

    May be used from several threads, and several processes may use one database.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._closed = False

    def revision(self) -> int:
        with self._reading() as connection:
            return read_revision(connection)

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        check_model_name(model)
        check_draft(draft)
        with self._changing(actor) as change:
            connection = change.connection
            first = _registered_before(connection, draft.idempotency_key)
            if first is not None:
                check_repetition(first, model, draft)
                return first
            number = _take_next_number(connection, model, change.at)
            insert_version(connection, numbered(draft, model, number, change.at))
            change.record("register", model, number, source=draft.source.digest)
            return read_version(connection, model, number)

    def models(self) -> Sequence[Model]:
        with self._reading() as connection:
            return read_models(connection)

    def model(self, name: str) -> Model:
        with self._reading() as connection:
            return read_model(connection, name)

    def versions(self, model: str) -> Sequence[Version]:
        with self._reading() as connection:
            read_model(connection, model)
            return read_versions(connection, versions.c.model == model)

    def version(self, model: str, version: int) -> Version:
        with self._reading() as connection:
            return read_version(connection, model, version)

    def deployed(self) -> Sequence[Version]:
        with self._reading() as connection:
            return read_versions(connection, versions.c.deployed)

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        with self._changing(actor) as change:
            known = read_model(change.connection, model)
            check_version(known, version)
            if deployed == (version in known.deployed_versions):
                return
            if not deployed:
                check_undeploy(known, version)
            row = (versions.c.model == model) & (versions.c.version == version)
            change.connection.execute(update(versions).where(row).values(deployed=deployed))
            change.record("deploy" if deployed else "undeploy", model, version)

    def set_default(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor) as change:
            known = read_model(change.connection, model)
            check_version(known, version)
            check_default(known, version)
            if known.default_version == version:
                return
            row = models.c.name == model
            change.connection.execute(update(models).where(row).values(default_version=version))
            change.record("set_default", model, version, previous=known.default_version)

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        check_alias(alias)
        with self._changing(actor) as change:
            known = read_model(change.connection, model)
            check_version(known, version)
            previous = known.aliases.get(alias)
            if previous == version:
                return
            change.connection.execute(delete(aliases).where(_is_alias(model, alias)))
            row = {"model": model, "alias": alias, "version": version}
            change.connection.execute(insert(aliases).values(row))
            change.record("set_alias", model, version, alias=alias, previous=previous)

    def remove_alias(self, model: str, alias: str, actor: str) -> None:
        with self._changing(actor) as change:
            version = read_model(change.connection, model).aliases.get(alias)
            if version is None:
                raise alias_not_found(model, alias)
            change.connection.execute(delete(aliases).where(_is_alias(model, alias)))
            change.record("remove_alias", model, version, alias=alias)

    def audit(self, model: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        check_audit_limit(limit)
        with self._reading() as connection:
            if model is not None:
                read_model(connection, model)
            return read_audit(connection, model, limit)

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._check_open()
        with reading(self._engine) as connection:
            yield connection

    @contextmanager
    def _changing(self, actor: str) -> Iterator["_Change"]:
        check_actor(actor)
        self._check_open()
        with writing(self._engine) as connection:
            yield _Change(connection, actor, self._clock)

    def _check_open(self) -> None:
        # the engine would silently connect again
        if self._closed:
            raise NotReady("the registry is closed; open it again")


class _Change:
    """One writing transaction: it has the registry for itself, and notes what it did."""

    def __init__(self, connection: Connection, actor: str, clock: Clock) -> None:
        self.connection = connection
        self._actor = actor
        self._revision = lock_registry(connection)
        # taken under the lock, so that times follow the order of the revisions
        self.at = clock.now()

    def record(self, action: str, model: str, version: int, **details: Any) -> None:
        entry = AuditEntry(
            at=self.at,
            actor=self._actor,
            action=action,
            model=model,
            version=version,
            details=details,
        )
        insert_audit(self.connection, self._revision + 1, entry)


def _registered_before(connection: Connection, idempotency_key: str | None) -> Version | None:
    if idempotency_key is None:
        return None
    found = read_versions(connection, versions.c.idempotency_key == idempotency_key)
    return found[0] if found else None


def _take_next_number(connection: Connection, model: str, now: datetime) -> int:
    """The number of the model's next version; creates the model if it is new."""
    query = select(models).where(models.c.folded_name == model.casefold())
    row = connection.execute(query).first()
    if row is None:
        values = {
            "name": model,
            "folded_name": model.casefold(),
            "description": "",
            "created_at": now,
        }
        connection.execute(insert(models).values(latest_version=1, **values))
        return 1
    check_same_spelling(model, row.name)
    number: int = row.latest_version + 1
    connection.execute(update(models).where(models.c.name == model).values(latest_version=number))
    return number


def _is_alias(model: str, alias: str) -> Any:
    return (aliases.c.model == model) & (aliases.c.alias == alias)
