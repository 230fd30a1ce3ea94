"""Changes of what is said about models and versions: tags, cards, descriptions, approvals."""

from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from augurium.registry.change import Change
from augurium.registry.draft_limits import check_card, check_edit, check_reason
from augurium.registry.edits import (
    edit_details,
    edited,
    merged_tags,
    tag_details,
    text_details,
)
from augurium.registry.records import Model, ModelEdit, Version
from augurium.registry.rows import (
    index_model,
    index_version,
    is_version,
    read_model,
    read_version,
)
from augurium.registry.rules import APPROVAL_ACTIONS, check_approval, check_live
from augurium.registry.tables import models, versions


def edit_model(change: Change, name: str, edit: ModelEdit) -> Model:
    """Makes an edit of a model; as it is then."""
    check_edit(edit)
    before = read_model(change.connection, name)
    check_live(before)
    after = edited(before, edit)
    details = edit_details(before, after)
    if details:
        _update_model(
            change,
            name,
            description=after.description,
            tags=after.tags,
            requires_approval=after.requires_approval,
            serving=after.serving,
        )
        index_model(change.connection, after, read_card(change.connection, name, None))
        change.record("edit", name, None, **details)
    return after


def edit_tags(change: Change, model: str, version: int, tags: dict[str, str | None]) -> Version:
    """Merges tags into those of a version; as it is then."""
    before = _live_version(change, model, version)
    check_edit(ModelEdit(tags=tags))
    after = msgspec.structs.replace(before, tags=merged_tags(before.tags, tags))
    if after.tags != before.tags:
        _update_version(change, after, tags=after.tags)
        index_version(change.connection, after)
        change.record("edit", model, version, tags=tag_details(before.tags, after.tags))
    return after


def read_card(connection: Connection, model: str, version: int | None) -> str:
    """The card of a model or version. Raises NotFound."""
    if version is not None:
        return read_version(connection, model, version).card
    read_model(connection, model)
    query = select(models.c.card).where(models.c.name == model)
    return str(connection.execute(query).scalar_one())


def set_card(change: Change, model: str, version: int | None, card: str) -> None:
    """Replaces the card of a model or version."""
    check_card(card)
    known = read_model(change.connection, model)
    check_live(known)
    before = read_card(change.connection, model, version)
    if card == before:
        return
    if version is None:
        _update_model(change, model, card=card)
        index_model(change.connection, known, card)
    else:
        after = msgspec.structs.replace(_live_version(change, model, version), card=card)
        _update_version(change, after, card=card)
        index_version(change.connection, after)
    change.record("set_card", model, version, **text_details(before, card))


def set_approval(change: Change, model: str, version: int, approval: str, reason: str) -> Version:
    """Sets the state of approval of a version; as it is then."""
    check_approval(approval)
    check_reason(reason)
    before = _live_version(change, model, version)
    if before.approval == approval:
        return before
    after = msgspec.structs.replace(before, approval=approval)
    _update_version(change, after, approval=approval)
    action = APPROVAL_ACTIONS[approval]
    change.record(action, model, version, previous=before.approval, reason=reason)
    return after


def _live_version(change: Change, model: str, version: int) -> Version:
    known = read_model(change.connection, model)
    found = read_version(change.connection, model, version)
    check_live(known, found)
    return found


def _update_model(change: Change, name: str, **values: Any) -> None:
    change.connection.execute(update(models).where(models.c.name == name).values(**values))


def _update_version(change: Change, version: Version, **values: Any) -> None:
    row = is_version(version.model, version.version)
    change.connection.execute(update(versions).where(row).values(**values))
