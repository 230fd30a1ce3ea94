"""The rules of change that every registry keeps, whatever it stores its models in."""

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.records import Model, Version, VersionDraft

MAX_AUDIT_ENTRIES = 1000


def check_version(model: Model, version: int) -> None:
    """Raises NotFound unless the model has that version."""
    if not 1 <= version <= model.latest_version:
        raise version_not_found(model.name, version)


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


def check_same_spelling(model: str, known: str) -> None:
    """Raises Conflict when a known name differs from `model` by case only."""
    if model != known:
        raise Conflict(
            f"model name '{model}' differs from the existing '{known}' by case only; "
            "use that name or a clearly different one"
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


def version_not_found(name: str, version: int) -> NotFound:
    return NotFound(f"model '{name}' has no version {version}")


def alias_not_found(name: str, alias: str) -> NotFound:
    return NotFound(f"model '{name}' has no alias '{alias[:128]}'")
