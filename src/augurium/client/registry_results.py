"""What the server answers about searches, histories, approvals and removals, typed."""

from datetime import datetime

import msgspec

from augurium.client.results import AuditEntry


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a search shows of a version; `description` is its beginning.

    `default` and `aliases` say what of the model's pointers leads here.
    """

    model: str
    version: int
    framework: str
    framework_version: str
    runtime: str
    created_at: datetime
    trained_at: datetime | None = None
    deployed: bool = False
    approval: str = "none"
    deleted_at: datetime | None = None
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    description: str = ""
    default: bool = False
    aliases: tuple[str, ...] = ()


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions found, by model and number; `cursor` asks for the next page, None at the end."""

    versions: tuple[VersionSummary, ...]
    cursor: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who made which change, when; `revision` finds it in the audit log."""

    version: int
    at: datetime
    actor: str
    action: str
    revision: int


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What was wanted of a model at a time, each with the decision behind it.

    `state` is `unknown` before the first registration, `live`, `deleted` or `purged`.
    """

    model: str
    at: datetime
    state: str
    default: Decision | None = None
    aliases: dict[str, Decision] = {}
    deployed: tuple[Decision, ...] = ()


class History(msgspec.Struct, frozen=True):
    """What was wanted at a time, and the changes up to then, the newest first."""

    served: Served
    changes: tuple[AuditEntry, ...]


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the audit log's chain was found: `head` is the hash of the last entry, worth keeping
    elsewhere; an intact chain has no `faults`.
    """

    entries: int
    head: str
    faults: tuple[str, ...] = ()


class PurgedVersion(msgspec.Struct, frozen=True):
    """A version that was deleted long ago and is now gone."""

    model: str
    version: int


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What a garbage collection removed, or would remove."""

    dry_run: bool
    purged: tuple[PurgedVersion, ...]
    files: int
    bytes_freed: int
    digests: tuple[str, ...] = ()


class Card(msgspec.Struct, frozen=True):
    """The body of a card."""

    card: str
