"""Deletion, restoration and purging of versions and models."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    update,
)

from augurium.registry.change import Change
from augurium.registry.rows import (
    is_version,
    read_digests,
    read_model,
    read_version,
    remove_version,
)
from augurium.registry.rules import check_delete, check_live
from augurium.registry.tables import batch_jobs, models, tags, versions, words


def delete_version(change: Change, model: str, version: int) -> None:
    """Hides a version. Raises Conflict while it is in use."""
    known = read_model(change.connection, model)
    found = read_version(change.connection, model, version)
    check_live(known)
    if found.deleted_at is None:
        check_delete(known, version)
        _mark_version(change, model, version, change.at)
        change.record("delete", model, version)


def restore_version(change: Change, model: str, version: int) -> None:
    """Shows a version again."""
    known = read_model(change.connection, model)
    found = read_version(change.connection, model, version)
    check_live(known)
    if found.deleted_at is not None:
        _mark_version(change, model, version, None)
        change.record("restore", model, version)


def delete_model(change: Change, name: str) -> None:
    """Hides a model. Raises Conflict while any version of it is in use."""
    known = read_model(change.connection, name)
    if known.deleted_at is None:
        check_delete(known)
        _mark_model(change, name, change.at)
        change.record("delete", name)


def restore_model(change: Change, name: str) -> None:
    """Shows a model again, with those versions that were not deleted on their own."""
    if read_model(change.connection, name).deleted_at is not None:
        _mark_model(change, name, None)
        change.record("restore", name)


def purge(change: Change, moment: datetime) -> Sequence[tuple[str, int]]:
    """Removes the versions, and the models, that were deleted before a time."""
    connection = change.connection
    names = _deleted_models(connection, moment)
    found = deleted_before(connection, moment)
    for model, version in found:
        remove_version(connection, model, version)
        change.record("purge", model, version)
    for name in names:
        _purge_model(change, name)
    return found


def deleted_before(connection: Connection, moment: datetime) -> list[tuple[str, int]]:
    """The versions that were deleted before a time, or whose model was; none that a batch job which
    has not ended scores with.
    """
    query = select(versions.c.model, versions.c.version).where(_gone(connection, moment))
    ordered = query.order_by(versions.c.model, versions.c.version)
    return [(str(model), int(version)) for model, version in connection.execute(ordered)]


def kept_digests(connection: Connection, moment: datetime) -> set[str]:
    """The digests that versions would stand on after a purge."""
    return read_digests(connection, condition=not_(_gone(connection, moment)))


def _gone(connection: Connection, moment: datetime) -> ColumnElement[bool]:
    # of a version that is not deleted the comparison says neither yes nor no
    deleted = func.coalesce(versions.c.deleted_at < moment, false())
    same = and_(batch_jobs.c.model == versions.c.model, batch_jobs.c.version == versions.c.version)
    unused = ~exists().where(same, batch_jobs.c.ended_at.is_(None))
    return or_(and_(deleted, unused), versions.c.model.in_(_deleted_models(connection, moment)))


def _deleted_models(connection: Connection, moment: datetime) -> list[str]:
    query = select(models.c.name).where(models.c.purged_at.is_(None), models.c.deleted_at < moment)
    of_it = batch_jobs.c.model == models.c.name
    query = query.where(~exists().where(of_it, batch_jobs.c.ended_at.is_(None)))
    return sorted(connection.execute(query).scalars())


def _purge_model(change: Change, name: str) -> None:
    for table in (tags, words):
        change.connection.execute(delete(table).where(table.c.model == name))
    row = update(models).where(models.c.name == name)
    change.connection.execute(row.values(purged_at=change.at, card="", description="", tags={}))
    change.record("purge", name)


def _mark_version(change: Change, model: str, version: int, at: datetime | None) -> None:
    row = update(versions).where(is_version(model, version))
    change.connection.execute(row.values(deleted_at=at))


def _mark_model(change: Change, name: str, at: datetime | None) -> None:
    row = update(models).where(and_(models.c.name == name, models.c.purged_at.is_(None)))
    change.connection.execute(row.values(deleted_at=at))
