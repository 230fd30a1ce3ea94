"""What the registry holds: models, immutable numbered versions, aliases, the log of changes."""

from datetime import datetime
from typing import Any

import msgspec

from augurium.core.signature import Signature


class Artifact(msgspec.Struct, frozen=True):
    """A stored file: the SHA-256 of its content in hexadecimal, and its size."""

    digest: str
    size_bytes: int


class VersionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a version except its number and the time it was registered.

    `source` is the file as it was uploaded and `servable` what engines load. `report` is the import
    report. `idempotency_key` makes a repeated registration return the version of the first one.
    """

    framework: str
    framework_version: str
    runtime: str
    source: Artifact
    source_name: str
    servable: Artifact
    signature: Signature
    options: dict[str, str] = {}
    report: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    description: str = ""
    trained_at: datetime | None = None
    idempotency_key: str | None = None


class Version(VersionDraft, frozen=True, kw_only=True):
    """A registered version. Immutable; `deployed` is where it is wanted, not what it is."""

    model: str
    version: int
    created_at: datetime
    deployed: bool = False


def numbered(draft: VersionDraft, model: str, version: int, created_at: datetime) -> Version:
    """The version a draft becomes, not deployed yet."""
    fields = {name: getattr(draft, name) for name in VersionDraft.__struct_fields__}
    return Version(**fields, model=model, version=version, created_at=created_at)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model and the pointers into its versions; `latest_version` is 0 when it has none."""

    name: str
    description: str = ""
    created_at: datetime
    latest_version: int = 0
    default_version: int | None = None
    aliases: dict[str, int] = {}
    deployed_versions: tuple[int, ...] = ()


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to which model, and when."""

    at: datetime
    actor: str
    action: str
    model: str
    version: int | None = None
    details: dict[str, Any] = {}
