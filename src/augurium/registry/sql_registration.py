"""A registration in SQL: the next number of a model, which may be new."""

from sqlalchemy import insert, select, update

from augurium.registry.change import Change
from augurium.registry.condemned_files import check_not_condemned
from augurium.registry.records import Model, Version, VersionDraft, numbered
from augurium.registry.registry import Holds
from augurium.registry.rows import (
    index_model,
    insert_version,
    read_model,
    read_version,
    read_versions,
)
from augurium.registry.rules import (
    artifact_missing,
    check_live,
    check_parent,
    check_repetition,
    check_same_spelling,
    name_taken,
    registration_details,
)
from augurium.registry.tables import models, versions


def register(change: Change, model: str, draft: VersionDraft, holds: Holds | None) -> Version:
    """The version of a checked draft; the one that its idempotency key made before, if there is.

    Raises Conflict, and InvalidArgument for a parent that does not exist.
    """
    first = _registered_before(change, draft.idempotency_key)
    if first is not None:
        check_repetition(first, model, draft)
        return first
    number = _take_next_number(change, model, draft)
    check_not_condemned(change, [artifact.digest for artifact in draft.artifacts()])
    for artifact in draft.artifacts():
        # nothing can be condemned before this change ends: it is here, and nobody removes it
        if holds is not None and not holds(artifact.digest):
            raise artifact_missing(artifact.digest)
    insert_version(change.connection, numbered(draft, model, number, change.at))
    change.record("register", model, number, **registration_details(draft))
    return read_version(change.connection, model, number)


def _registered_before(change: Change, idempotency_key: str | None) -> Version | None:
    if idempotency_key is None:
        return None
    found = read_versions(change.connection, versions.c.idempotency_key == idempotency_key)
    return found[0] if found else None


def _take_next_number(change: Change, model: str, draft: VersionDraft) -> int:
    """The number of the model's next version; creates the model if it is new."""
    connection = change.connection
    query = select(models.c.name, models.c.purged_at, models.c.latest_version)
    row = connection.execute(query.where(models.c.folded_name == model.casefold())).first()
    check_parent(model, draft, 0 if row is None else row.latest_version)
    if row is None:
        values = {"name": model, "folded_name": model.casefold(), "description": ""}
        made = insert(models).values(latest_version=1, created_at=change.at, **values)
        connection.execute(made)
        index_model(connection, Model(name=model, created_at=change.at), "")
        return 1
    check_same_spelling(model, row.name)
    if row.purged_at is not None:
        raise name_taken(model)
    check_live(read_model(connection, model))
    number: int = row.latest_version + 1
    connection.execute(update(models).where(models.c.name == model).values(latest_version=number))
    return number
