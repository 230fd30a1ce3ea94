"""Edits of tags, cards and descriptions, and how they stand in the audit log."""

import hashlib
from typing import Any

import msgspec

from augurium.registry.draft_limits import check_tags
from augurium.registry.records import Model, ModelEdit


def merged_tags(tags: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    """The tags after a change. Raises InvalidArgument for more than 64."""
    merged = dict(tags)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    check_tags(merged)
    return dict(sorted(merged.items()))


def edited(model: Model, edit: ModelEdit) -> Model:
    """The model after an edit."""
    tags = merged_tags(model.tags, edit.tags)
    changed = {
        field: value
        for field in ("description", "requires_approval", "serving")
        if (value := getattr(edit, field)) is not None
    }
    return msgspec.structs.replace(model, tags=tags, **changed)


def edit_details(before: Model, after: Model) -> dict[str, Any]:
    """What an edit changed: old and new; of a description, digest and size."""
    details: dict[str, Any] = {}
    if before.tags != after.tags:
        details["tags"] = tag_details(before.tags, after.tags)
    if before.requires_approval != after.requires_approval:
        details["requires_approval"] = after.requires_approval
    if before.serving != after.serving:
        details["serving"] = [
            msgspec.to_builtins(before.serving),
            msgspec.to_builtins(after.serving),
        ]
    if before.description != after.description:
        details["description"] = text_details(before.description, after.description)
    return details


def tag_details(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str | None]]:
    """The old and new value of every tag that changed."""
    keys = sorted(before.keys() | after.keys())
    return {
        key: [before.get(key), after.get(key)] for key in keys if before.get(key) != after.get(key)
    }


def text_details(before: str, after: str) -> dict[str, Any]:
    """SHA-256 and size of the old and the new text."""
    return {"old": _fingerprint(before), "new": _fingerprint(after)}


def _fingerprint(text: str) -> dict[str, Any]:
    content = text.encode()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
