"""The registry in a SQL database: SQLite on a laptop, PostgreSQL when that is outgrown."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, true, update

from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.core.identifiers import check_alias, check_model_name
from augurium.core.traffic_policy import TrafficRevision
from augurium.registry import sql_edits, sql_removal
from augurium.registry.chain import AuditCheck, check_chain
from augurium.registry.change import Change, changing
from augurium.registry.condemned_files import condemn
from augurium.registry.database import reading
from augurium.registry.draft_limits import check_actor, check_draft
from augurium.registry.history import TRAFFIC_ACTIONS, check_moment, served_at
from augurium.registry.paging import check_page, cursor_after, place_of
from augurium.registry.records import (
    AuditEntry,
    Model,
    ModelEdit,
    SearchPage,
    Served,
    TrafficChange,
    Version,
    VersionDraft,
)
from augurium.registry.registry import Holds, Sees
from augurium.registry.rows import (
    check_known,
    is_version,
    read_audit,
    read_audit_forwards,
    read_digests,
    read_model,
    read_models,
    read_names,
    read_revision,
    read_version,
    read_versions,
)
from augurium.registry.rules import (
    alias_not_found,
    check_audit_limit,
    check_default,
    check_deploy,
    check_live,
    check_seen,
    check_undeploy,
)
from augurium.registry.search_query import parse_query
from augurium.registry.sql_registration import register
from augurium.registry.sql_search import find
from augurium.registry.tables import aliases, audit, models, versions
from augurium.registry.traffic_rules import (
    FindVersion,
    check_new_default,
    check_no_policy,
    check_not_named,
    current_revision,
    next_revision,
    revision_in,
    traffic_entry,
)


class SqlRegistry:
    """A registry over an engine that `open_database` gave; it owns the engine from then on.

    `holds` asks the artifact store whether it has a file; without it files are not looked for. May
    be used from several threads, and several processes may use one database.
    """

    def __init__(self, engine: Engine, clock: Clock, holds: Holds | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._holds = holds
        self._closed = False

    def revision(self) -> int:
        with self._reading() as connection:
            return read_revision(connection)

    def register(self, model: str, draft: VersionDraft, actor: str) -> Version:
        check_model_name(model)
        check_draft(draft)
        with self._changing(actor) as change:
            return register(change, model, draft, self._holds)

    def models(self, deleted: bool = False) -> Sequence[Model]:
        with self._reading() as connection:
            return read_models(connection, deleted=deleted)

    def model(self, name: str) -> Model:
        with self._reading() as connection:
            return read_model(connection, name)

    def versions(self, model: str, deleted: bool = False) -> Sequence[Version]:
        with self._reading() as connection:
            read_model(connection, model)
            live = true() if deleted else versions.c.deleted_at.is_(None)
            return read_versions(connection, (versions.c.model == model) & live)

    def version(self, model: str, version: int) -> Version:
        with self._reading() as connection:
            return read_version(connection, model, version)

    def search(
        self,
        query: str = "",
        limit: int = 100,
        cursor: str | None = None,
        sees: Sees | None = None,
    ) -> SearchPage:
        check_page(limit)
        terms = parse_query(query)
        after = None if cursor is None else place_of(cursor, query)
        with self._reading() as connection:
            among = None if sees is None else list(filter(sees, read_names(connection)))
            found = find(connection, terms, limit + 1, after, among)
        shown = found[:limit]
        more = len(found) > limit
        last = cursor_after(query, shown[-1].model, shown[-1].version) if more else None
        return SearchPage(versions=tuple(shown), cursor=last)

    def deployed(self) -> Sequence[Version]:
        with self._reading() as connection:
            return read_versions(connection, versions.c.deployed)

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        with self._changing(actor) as change:
            known, found = _target(change, model, version)
            if deployed == found.deployed:
                return
            if deployed:
                check_deploy(known, found)
            else:
                check_undeploy(known, version)
                check_not_named(known, version, "undeployed")
            row = update(versions).where(is_version(model, version))
            change.connection.execute(row.values(deployed=deployed))
            change.record("deploy" if deployed else "undeploy", model, version)

    def set_default(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor) as change:
            known, found = _target(change, model, version)
            check_live(known, found)
            check_default(known, version)
            if known.default_version == version:
                return
            check_new_default(known, found, _finder(change, model))
            _set_default(change, model, version)
            change.record("set_default", model, version, previous=known.default_version)

    def clear_default(self, model: str, actor: str) -> None:
        with self._changing(actor) as change:
            known = read_model(change.connection, model)
            previous = known.default_version
            if previous is not None:
                check_no_policy(known)
                _set_default(change, model, None)
                change.record("clear_default", model, previous)

    def set_alias(self, model: str, alias: str, version: int, actor: str) -> None:
        check_alias(alias)
        with self._changing(actor) as change:
            known, found = _target(change, model, version)
            check_live(known, found)
            previous = known.aliases.get(alias)
            if previous == version:
                return
            _remove_alias(change, model, alias)
            row = {"model": model, "alias": alias, "version": version}
            change.connection.execute(insert(aliases).values(row))
            change.record("set_alias", model, version, alias=alias, previous=previous)

    def remove_alias(self, model: str, alias: str, actor: str) -> None:
        with self._changing(actor) as change:
            version = read_model(change.connection, model).aliases.get(alias)
            if version is None:
                raise alias_not_found(model, alias)
            _remove_alias(change, model, alias)
            change.record("remove_alias", model, version, alias=alias)

    def set_traffic(self, model: str, change: TrafficChange, actor: str) -> TrafficRevision:
        with self._changing(actor) as changing:
            known = read_model(changing.connection, model)
            find = _finder(changing, model)
            revision = next_revision(known, change, find, actor, changing.at)
            if revision is None:
                return current_revision(known)
            row = update(models).where(models.c.name == model)
            changing.connection.execute(row.values(traffic=revision))
            action, details = traffic_entry(revision)
            changing.record(action, model, None, **details)
            return revision

    def traffic_history(
        self, model: str, limit: int = 100, before: int | None = None
    ) -> Sequence[TrafficRevision]:
        check_audit_limit(limit)
        with self._reading() as connection:
            newest = current_revision(read_model(connection, model)).revision
            # they are numbered one after the other
            newer = 0 if before is None else max(0, newest - before + 1)
            told = (audit.c.model == model, audit.c.action.in_(TRAFFIC_ACTIONS))
            entries = read_audit(connection, newer + limit, *told)
            return [revision_in(entry) for entry in entries[newer:]]

    def edit_model(self, name: str, edit: ModelEdit, actor: str) -> Model:
        with self._changing(actor) as change:
            return sql_edits.edit_model(change, name, edit)

    def edit_tags(
        self, model: str, version: int, tags: dict[str, str | None], actor: str
    ) -> Version:
        with self._changing(actor) as change:
            return sql_edits.edit_tags(change, model, version, tags)

    def card(self, model: str, version: int | None = None) -> str:
        with self._reading() as connection:
            return sql_edits.read_card(connection, model, version)

    def set_card(self, model: str, version: int | None, card: str, actor: str) -> None:
        with self._changing(actor) as change:
            sql_edits.set_card(change, model, version, card)

    def set_approval(
        self, model: str, version: int, approval: str, actor: str, reason: str = ""
    ) -> Version:
        with self._changing(actor) as change:
            return sql_edits.set_approval(change, model, version, approval, reason)

    def delete_version(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor) as change:
            sql_removal.delete_version(change, model, version)

    def restore_version(self, model: str, version: int, actor: str) -> None:
        with self._changing(actor) as change:
            sql_removal.restore_version(change, model, version)

    def delete_model(self, name: str, actor: str) -> None:
        with self._changing(actor) as change:
            sql_removal.delete_model(change, name)

    def restore_model(self, name: str, actor: str) -> None:
        with self._changing(actor) as change:
            sql_removal.restore_model(change, name)

    def deleted_before(self, moment: datetime) -> Sequence[tuple[str, int]]:
        check_moment(moment)
        with self._reading() as connection:
            return sql_removal.deleted_before(connection, moment)

    def purge(self, deleted_before: datetime, actor: str) -> Sequence[tuple[str, int]]:
        check_moment(deleted_before)
        with self._changing(actor) as change:
            return sql_removal.purge(change, deleted_before)

    def referenced(self, after_purge: datetime | None = None) -> Collection[str]:
        with self._reading() as connection:
            if after_purge is None:
                return read_digests(connection)
            return sql_removal.kept_digests(connection, after_purge)

    def discard(
        self, digests: Collection[str], remove: Callable[[str], None], actor: str
    ) -> Sequence[str]:
        with self._changing(actor) as change:
            removal = condemn(change, digests)
        try:
            removal.run(remove)
        finally:
            with self._changing(actor) as change:
                removal.release(change.connection)
        return removal.removed

    def audit(
        self,
        model: str | None = None,
        limit: int = 100,
        before: int | None = None,
        actions: Collection[str] | None = None,
        until: datetime | None = None,
        sees: Sees | None = None,
    ) -> Sequence[AuditEntry]:
        check_audit_limit(limit)
        conditions = [
            true() if model is None else audit.c.model == model,
            true() if before is None else audit.c.revision < before,
            true() if actions is None else audit.c.action.in_(actions),
            true() if until is None else audit.c.at <= until,
        ]
        with self._reading() as connection:
            if model is not None:
                check_seen(model, sees)
                check_known(connection, model)
            elif sees is not None:
                names = ["", *read_names(connection)]
                conditions.append(audit.c.model.in_(list(filter(sees, names))))
            return read_audit(connection, limit, *conditions)

    def served_at(self, model: str, at: datetime) -> Served:
        check_moment(at)
        with self._reading() as connection:
            check_known(connection, model)
            entries = read_audit_forwards(connection, audit.c.model == model, audit.c.at <= at)
            return served_at(model, at, entries)

    def verify_audit(self) -> AuditCheck:
        with self._reading() as connection:
            return check_chain(read_audit_forwards(connection), read_revision(connection))

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._check_open()
        with reading(self._engine) as connection:
            yield connection

    @contextmanager
    def _changing(self, actor: str) -> Iterator[Change]:
        check_actor(actor)
        self._check_open()
        with changing(self._engine, self._clock, actor) as change:
            yield change

    def _check_open(self) -> None:
        # the engine would silently connect again
        if self._closed:
            raise NotReady("the registry is closed; open it again")


def _target(change: Change, model: str, version: int) -> tuple[Model, Version]:
    """Raises NotFound."""
    known = read_model(change.connection, model)
    return known, read_version(change.connection, model, version)


def _finder(change: Change, model: str) -> FindVersion:
    return lambda number: read_version(change.connection, model, number)


def _set_default(change: Change, model: str, version: int | None) -> None:
    row = update(models).where(models.c.name == model)
    change.connection.execute(row.values(default_version=version))


def _remove_alias(change: Change, model: str, alias: str) -> None:
    is_alias = (aliases.c.model == model) & (aliases.c.alias == alias)
    change.connection.execute(delete(aliases).where(is_alias))
