"""The rules of change that every registry keeps, whatever it stores its models in."""

from collections.abc import Callable
from typing import Any

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.records import Model, Version, VersionDraft

MAX_AUDIT_ENTRIES = 1000
APPROVALS = ("none", "pending", "approved", "rejected")
APPROVAL_ACTIONS = {
    "none": "withdraw_approval",
    "pending": "request_approval",
    "approved": "approve",
    "rejected": "reject",
}


def check_live(model: Model, version: Version | None = None) -> None:
    """Raises Conflict for what is deleted."""
    if model.deleted_at is not None:
        raise Conflict(f"model '{model.name}' is deleted; restore it first, or use another name")
    if version is not None and version.deleted_at is not None:
        raise Conflict(f"version {version.version} of '{model.name}' is deleted; restore it first")


def check_deploy(model: Model, version: Version) -> None:
    """Raises Conflict for a version that is deleted, or lacks the approval its model requires."""
    check_live(model, version)
    if model.requires_approval and version.approval != "approved":
        state = "has no approval" if version.approval == "none" else f"is {version.approval}"
        raise Conflict(
            f"version {version.version} of '{model.name}' {state} and the model requires "
            "approval before a version is deployed; have it approved first"
        )


def check_delete(model: Model, version: int | None = None) -> None:
    """Raises Conflict while the default, an alias, the traffic policy or a deployment needs the
    version, or any version of the model.
    """
    uses = [("the default is", model.default_version)] if model.default_version else []
    if model.traffic is not None and model.traffic.policy is not None:
        uses += [("its traffic policy names", number) for number in model.traffic.policy.versions]
    uses += [(f"alias '{alias}' is", target) for alias, target in model.aliases.items()]
    uses += [("deployed is", number) for number in model.deployed_versions]
    for use, number in uses:
        if version in (None, number):
            what = (
                f"model '{model.name}'"
                if version is None
                else f"version {version} of '{model.name}'"
            )
            raise Conflict(
                f"{what} is in use and cannot be deleted: {use} version {number}; "
                "clear the traffic policy and the default, remove aliases and undeploy first"
            )


def check_approval(approval: str) -> None:
    """Raises InvalidArgument unless it is a state of approval."""
    if approval not in APPROVALS:
        raise InvalidArgument(
            f"approval {approval[:64]!r} is not known; expected one of {', '.join(APPROVALS)}"
        )


def check_undeploy(model: Model, version: int) -> None:
    """Raises Conflict while the default or an alias leads requests to the version."""
    if model.default_version == version:
        raise Conflict(
            f"version {version} of '{model.name}' is the default and cannot be undeployed; "
            "make another version the default first"
        )
    pointing = sorted(alias for alias, target in model.aliases.items() if target == version)
    if pointing:
        raise Conflict(
            f"version {version} of '{model.name}' is the target of alias '{pointing[0]}' "
            "and cannot be undeployed; move or remove the alias first"
        )


def check_default(model: Model, version: int) -> None:
    """Raises Conflict unless the version is deployed."""
    if version not in model.deployed_versions:
        raise Conflict(
            f"version {version} of '{model.name}' is not deployed and cannot be the default; "
            "deploy it first"
        )


def check_seen(name: str, sees: Callable[[str], bool] | None) -> None:
    """Raises NotFound for a model the caller may not know of."""
    if sees is not None and not sees(name):
        raise model_not_found(name)


def check_same_spelling(model: str, known: str) -> None:
    """Raises Conflict when a known name differs from `model` by case only."""
    if model != known:
        raise Conflict(
            f"model name '{model}' differs from the existing '{known}' by case only; "
            "use that name or a clearly different one"
        )


def check_parent(model: str, draft: VersionDraft, latest: int) -> None:
    """Raises InvalidArgument unless the parent is a version that was registered before."""
    parent = draft.lineage.parent_version
    if parent is not None and not 1 <= parent <= latest:
        raise InvalidArgument(
            f"parent version {parent} of '{model}' does not exist; "
            f"expected {f'1 to {latest}' if latest else 'none, this is the first version'}"
        )


def check_repetition(first: Version, model: str, draft: VersionDraft) -> None:
    """Raises Conflict when an idempotency key comes back with another model or file.

    Everything else may differ: importing the same file twice need not give the same bytes.
    """
    if first.model != model or first.source.digest != draft.source.digest:
        raise Conflict(
            f"idempotency key '{draft.idempotency_key}' registered another file, as version "
            f"{first.version} of '{first.model}'; use a new key for a new registration"
        )


def check_audit_limit(limit: int) -> None:
    """Raises InvalidArgument unless `limit` is between 1 and 1000."""
    if not 1 <= limit <= MAX_AUDIT_ENTRIES:
        raise InvalidArgument(
            f"limit {limit} is not allowed; ask for 1 to {MAX_AUDIT_ENTRIES} entries"
        )


def model_not_found(name: str) -> NotFound:
    return NotFound(f"model '{name[:128]}' does not exist; register a version of it first")


def name_taken(name: str) -> Conflict:
    return Conflict(
        f"model '{name}' was deleted for good and names are not used twice; choose another name"
    )


def artifact_missing(digest: str) -> Conflict:
    return Conflict(
        f"file {digest} is not in the artifact store any more; upload it again, then register"
    )


def artifact_condemned(digest: str) -> Conflict:
    return Conflict(
        f"file {digest} is just being removed from the artifact store, because no version stood on "
        "it; upload it again in a moment, then register"
    )


def version_not_found(name: str, version: int) -> NotFound:
    return NotFound(f"model '{name}' has no version {version}")


def alias_not_found(name: str, alias: str) -> NotFound:
    return NotFound(f"model '{name}' has no alias '{alias[:128]}'")


def registration_details(draft: VersionDraft) -> dict[str, Any]:
    """What the audit says of a registration: its source, and that code of it was allowed to run."""
    details: dict[str, Any] = {"source": draft.source.digest}
    return {**details, "allowed_code": True} if draft.allowed_code else details
