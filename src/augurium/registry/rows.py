"""Records and table rows: one into the other, on an open connection."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    insert,
    select,
    true,
    update,
)

from augurium.core.identifiers import MAX_VERSION, NAME_PATTERN
from augurium.registry.records import Artifact, AuditEntry, Model, Version
from augurium.registry.rules import model_not_found, version_not_found
from augurium.registry.tables import aliases, audit, counter, metrics, models, tags, versions, words
from augurium.registry.words import words_of_model, words_of_version

# the files a version stands on, each in two columns
ROLES = ("source", "servable", "weights", "profile", "preprocessing")
_AUDIT_BATCH = 1000


def read_revision(connection: Connection) -> int:
    return int(connection.execute(select(counter.c.revision)).scalar_one())


def lock_registry(connection: Connection) -> int:
    """The revision; nobody else changes the registry before this transaction ends."""
    # SQLite has locked the whole file already and ignores FOR UPDATE
    return int(connection.execute(select(counter.c.revision).with_for_update()).scalar_one())


def set_revision(connection: Connection, revision: int) -> None:
    connection.execute(update(counter).values(revision=revision))


def read_models(
    connection: Connection, name: str | None = None, deleted: bool = True
) -> list[Model]:
    """The model called `name`, if there is one, or all models, in order of their names."""
    alias_of: dict[str, dict[str, int]] = defaultdict(dict)
    for model, alias, version in connection.execute(
        select(aliases.c.model, aliases.c.alias, aliases.c.version)
        .where(_of(aliases.c.model, name))
        .order_by(aliases.c.model, aliases.c.alias)
    ):
        alias_of[model][alias] = version
    deployed_of: dict[str, list[int]] = defaultdict(list)
    for model, version in connection.execute(
        select(versions.c.model, versions.c.version)
        .where(versions.c.deployed, _of(versions.c.model, name))
        .order_by(versions.c.model, versions.c.version)
    ):
        deployed_of[model].append(version)
    query = select(*_MODEL_COLUMNS).where(models.c.purged_at.is_(None), _of(models.c.name, name))
    if not deleted:
        query = query.where(models.c.deleted_at.is_(None))
    return [
        Model(
            **dict(zip(_MODEL_FIELDS, row, strict=True)),
            aliases=alias_of.get(row.name, {}),
            deployed_versions=tuple(deployed_of.get(row.name, ())),
        )
        for row in connection.execute(query.order_by(models.c.name))
    ]


def read_model(connection: Connection, name: str) -> Model:
    """Raises NotFound."""
    # a text that is no name may not even be one the database can take
    found = read_models(connection, name) if NAME_PATTERN.fullmatch(name) else []
    if not found:
        raise model_not_found(name)
    return found[0]


def read_names(connection: Connection) -> list[str]:
    """The names of all models that ever were."""
    return list(connection.execute(select(models.c.name)).scalars())


def check_known(connection: Connection, name: str) -> None:
    """Raises NotFound for a name that never was a model's; a purged one has a history still."""
    if NAME_PATTERN.fullmatch(name):
        query = select(models.c.name).where(models.c.name == name)
        if connection.execute(query).first() is not None:
            return
    raise model_not_found(name)


def read_version(connection: Connection, model: str, version: int) -> Version:
    """Raises NotFound."""
    if NAME_PATTERN.fullmatch(model) and 1 <= version <= MAX_VERSION:
        row = connection.execute(select(versions).where(is_version(model, version))).first()
        if row is not None:
            return _version(row)
    raise version_not_found(read_model(connection, model).name, version)


def read_versions(connection: Connection, condition: ColumnElement[bool]) -> list[Version]:
    """The versions for which the condition holds, by model and number."""
    query = select(versions).where(condition).order_by(versions.c.model, versions.c.version)
    return [_version(row) for row in connection.execute(query)]


def insert_version(connection: Connection, version: Version) -> None:
    values = msgspec.structs.asdict(version)
    for role in ROLES:
        artifact: Artifact | None = values.pop(role)
        values[f"{role}_digest"] = None if artifact is None else artifact.digest
        values[f"{role}_size_bytes"] = None if artifact is None else artifact.size_bytes
    connection.execute(insert(versions).values(**values))
    key = {"model": version.model, "version": version.version}
    if version.metrics:
        rows = [key | {"name": name, "value": value} for name, value in version.metrics.items()]
        connection.execute(insert(metrics), rows)
    index_version(connection, version)


def index_version(connection: Connection, version: Version) -> None:
    """Makes a version found by its present tags and words."""
    text = words_of_version(version)
    _index(connection, version.model, version.version, version.tags, text)


def index_model(connection: Connection, model: Model, card: str) -> None:
    """Makes a model found by its present tags and words."""
    _index(connection, model.name, 0, model.tags, words_of_model(model, card))


def remove_version(connection: Connection, model: str, version: int) -> None:
    """Removes a version and all it is found by."""
    for table in (metrics, tags, words, versions):
        of_version = and_(table.c.model == model, table.c.version == version)
        connection.execute(delete(table).where(of_version))


def read_digests(
    connection: Connection,
    among: Collection[str] | None = None,
    condition: ColumnElement[bool] | None = None,
) -> set[str]:
    """The digests that versions stand on: all, those among the given ones, or those of versions for
    which a condition holds.
    """
    found: set[str] = set()
    for role in ROLES:
        column = versions.c[f"{role}_digest"]
        query = select(column).distinct().where(column.is_not(None))
        if among is not None:
            query = query.where(column.in_(among))
        if condition is not None:
            query = query.where(condition)
        found.update(connection.execute(query).scalars())
    return found


def read_audit(
    connection: Connection, limit: int, *conditions: ColumnElement[bool]
) -> list[AuditEntry]:
    """The newest entries first."""
    query: Select[Any] = select(*_AUDIT_COLUMNS).where(*conditions)
    rows = connection.execute(query.order_by(audit.c.revision.desc()).limit(limit))
    return [_entry(row) for row in rows]


def read_audit_forwards(
    connection: Connection, *conditions: ColumnElement[bool]
) -> Iterator[AuditEntry]:
    """All entries, the oldest first; a thousand are held at a time."""
    last = 0
    while True:
        query = select(*_AUDIT_COLUMNS).where(audit.c.revision > last, *conditions)
        rows = connection.execute(query.order_by(audit.c.revision).limit(_AUDIT_BATCH)).all()
        if not rows:
            return
        yield from map(_entry, rows)
        last = rows[-1].revision


def read_last_audit(connection: Connection) -> tuple[datetime | None, str]:
    """Time and hash of the newest entry."""
    query = select(audit.c.at, audit.c.hash).order_by(audit.c.revision.desc()).limit(1)
    row = connection.execute(query).first()
    return (None, "") if row is None else (row.at, row.hash)


def insert_audit(connection: Connection, entry: AuditEntry) -> None:
    connection.execute(insert(audit).values(**msgspec.structs.asdict(entry)))


def is_version(model: str, version: int) -> ColumnElement[bool]:
    """Whether a row is this version's."""
    return and_(versions.c.model == model, versions.c.version == version)


_MODEL_FIELDS = tuple(
    field for field in Model.__struct_fields__ if field not in ("aliases", "deployed_versions")
)
_MODEL_COLUMNS = [models.c[field] for field in _MODEL_FIELDS]
_AUDIT_FIELDS = AuditEntry.__struct_fields__
_AUDIT_COLUMNS = [audit.c[field] for field in _AUDIT_FIELDS]


def _of(column: ColumnElement[str], name: str | None) -> ColumnElement[bool]:
    return true() if name is None else column == name


def _index(
    connection: Connection, model: str, version: int, tagged: dict[str, str], text: str
) -> None:
    for table in (tags, words):
        of_it = and_(table.c.model == model, table.c.version == version)
        connection.execute(delete(table).where(of_it))
    key = {"model": model, "version": version}
    connection.execute(insert(words).values(**key, text=text))
    if tagged:
        rows = [key | {"key": name, "value": value} for name, value in tagged.items()]
        connection.execute(insert(tags), rows)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**dict(zip(_AUDIT_FIELDS, row, strict=True)))


def _version(row: Row[Any]) -> Version:
    values = dict(row._mapping)
    for role in ROLES:
        digest, size_bytes = values.pop(f"{role}_digest"), values.pop(f"{role}_size_bytes")
        values[role] = None if digest is None else Artifact(digest, size_bytes)
    return Version(**values)
