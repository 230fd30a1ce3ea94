"""Records and table rows: one into the other, on an open connection."""

from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select, true, update

from augurium.core.identifiers import MAX_VERSION, NAME_PATTERN
from augurium.registry.records import Artifact, AuditEntry, Model, Version
from augurium.registry.rules import model_not_found, version_not_found
from augurium.registry.tables import aliases, audit, counter, models, versions


def read_revision(connection: Connection) -> int:
    return int(connection.execute(select(counter.c.revision)).scalar_one())


def lock_registry(connection: Connection) -> int:
    """The revision; nobody else changes the registry before this transaction ends."""
    # SQLite has locked the whole file already and ignores FOR UPDATE
    return int(connection.execute(select(counter.c.revision).with_for_update()).scalar_one())


def read_models(connection: Connection, name: str | None = None) -> list[Model]:
    """The model called `name`, if there is one, or all models, in order of their names."""
    alias_of: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(select(aliases).where(_of(aliases.c.model, name))):
        alias_of[row.model][row.alias] = row.version
    deployed_of: dict[str, list[int]] = defaultdict(list)
    deployed = select(versions.c.model, versions.c.version).where(versions.c.deployed)
    for row in connection.execute(deployed.where(_of(versions.c.model, name))):
        deployed_of[row.model].append(row.version)
    found = connection.execute(select(models).where(_of(models.c.name, name))).all()
    # sorted here, because databases order text by their own locale
    return [
        Model(
            name=row.name,
            description=row.description,
            created_at=row.created_at,
            latest_version=row.latest_version,
            default_version=row.default_version,
            aliases=dict(sorted(alias_of[row.name].items())),
            deployed_versions=tuple(sorted(deployed_of[row.name])),
        )
        for row in sorted(found, key=lambda row: str(row.name))
    ]


def read_model(connection: Connection, name: str) -> Model:
    """Raises NotFound."""
    # a text that is no name may not even be one the database can take
    found = read_models(connection, name) if NAME_PATTERN.fullmatch(name) else []
    if not found:
        raise model_not_found(name)
    return found[0]


def read_version(connection: Connection, model: str, version: int) -> Version:
    """Raises NotFound."""
    if NAME_PATTERN.fullmatch(model) and 1 <= version <= MAX_VERSION:
        query = select(versions).where(versions.c.model == model, versions.c.version == version)
        row = connection.execute(query).first()
        if row is not None:
            return _version(row)
    raise version_not_found(read_model(connection, model).name, version)


def read_versions(connection: Connection, condition: ColumnElement[bool]) -> list[Version]:
    """The versions for which the condition holds, by model and number."""
    found = [_version(row) for row in connection.execute(select(versions).where(condition))]
    return sorted(found, key=lambda version: (version.model, version.version))


def insert_version(connection: Connection, version: Version) -> None:
    values = msgspec.structs.asdict(version)
    for role in ("source", "servable"):
        artifact: Artifact = values.pop(role)
        values[f"{role}_digest"] = artifact.digest
        values[f"{role}_size_bytes"] = artifact.size_bytes
    connection.execute(insert(versions).values(**values))


def read_audit(connection: Connection, model: str | None, limit: int) -> list[AuditEntry]:
    query: Select[Any] = select(audit).where(_of(audit.c.model, model))
    rows = connection.execute(query.order_by(audit.c.revision.desc()).limit(limit))
    fields = AuditEntry.__struct_fields__
    return [AuditEntry(**{field: getattr(row, field) for field in fields}) for row in rows]


def insert_audit(connection: Connection, revision: int, entry: AuditEntry) -> None:
    """Notes a change, and makes its number the registry's revision."""
    connection.execute(update(counter).values(revision=revision))
    values = msgspec.structs.asdict(entry)
    connection.execute(insert(audit).values(revision=revision, **values))


def _of(column: ColumnElement[str], name: str | None) -> ColumnElement[bool]:
    return true() if name is None else column == name


def _version(row: Row[Any]) -> Version:
    values = dict(row._mapping)
    for role in ("source", "servable"):
        values[role] = Artifact(values.pop(f"{role}_digest"), values.pop(f"{role}_size_bytes"))
    return Version(**values)
