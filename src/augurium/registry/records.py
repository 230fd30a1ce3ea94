"""What the registry holds: models, immutable numbered versions, aliases, the log of changes."""

from datetime import datetime
from typing import Any

import msgspec

from augurium.core.serving_policy import ServingPolicy
from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision

# of options of a version that say how engines batch it
BATCHING_PREFIX = "batching."


class Artifact(msgspec.Struct, frozen=True):
    """A stored file: the SHA-256 of its content in hexadecimal, and its size."""

    digest: str
    size_bytes: int


class Lineage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where a version comes from, as its maker says: code, data, training run, parent version.

    `parent_version` is a version of the same model.
    """

    code_revision: str = ""
    dataset_uri: str = ""
    dataset_digest: str = ""
    run_url: str = ""
    parent_version: int | None = None


class VersionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a version except its number and the time it was registered.

    `source` is the file as it was uploaded and `servable` what engines load, with `weights` beside
    it where a format keeps them apart. `profile` is the reference profile and `preprocessing` the
    fitted transforms, both JSON. `report` is the import report, `examples` are up to 10 rows as v1
    `instances`, `card` is Markdown. `allowed_code` says that the source ran code when it was
    loaded, by decision of who registered it. `idempotency_key` makes a repeated registration return
    the version of the first one.
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
    weights: Artifact | None = None
    profile: Artifact | None = None
    preprocessing: Artifact | None = None
    lineage: Lineage = Lineage()
    examples: tuple[Any, ...] = ()
    card: str = ""
    allowed_code: bool = False

    @property
    def runtime_options(self) -> dict[str, str]:
        """Those of the options that its runtime takes."""
        return {k: v for k, v in self.options.items() if not k.startswith(BATCHING_PREFIX)}

    @property
    def batching_options(self) -> dict[str, str]:
        """Those of the options that say how engines batch it, by their names there."""
        return {
            key.removeprefix(BATCHING_PREFIX): value
            for key, value in self.options.items()
            if key.startswith(BATCHING_PREFIX)
        }

    def artifacts(self) -> tuple[Artifact, ...]:
        """The stored files this version stands on."""
        files = (self.source, self.servable, self.weights, self.profile, self.preprocessing)
        return tuple(file for file in files if file is not None)


class Version(VersionDraft, frozen=True, kw_only=True):
    """A registered version. What it is never changes; `tags` and `card`, and the state below, may.

    `deployed` says whether engines shall hold it, `approval` is none, pending, approved or
    rejected, and `deleted_at` hides it until it is restored or purged.
    """

    model: str
    version: int
    created_at: datetime
    deployed: bool = False
    approval: str = "none"
    deleted_at: datetime | None = None


def numbered(draft: VersionDraft, model: str, version: int, created_at: datetime) -> Version:
    """The version a draft becomes, not deployed yet."""
    fields = {name: getattr(draft, name) for name in VersionDraft.__struct_fields__}
    return Version(**fields, model=model, version=version, created_at=created_at)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model and the pointers into its versions; `latest_version` is 0 when it has none.

    With `requires_approval` only approved versions may be deployed. `serving` is how they are
    served, and `traffic` which of them answers a request that names none, None where that never was
    anything but the default. `deleted_at` hides the model until it is restored or purged.
    """

    name: str
    description: str = ""
    created_at: datetime
    latest_version: int = 0
    default_version: int | None = None
    aliases: dict[str, int] = {}
    deployed_versions: tuple[int, ...] = ()
    tags: dict[str, str] = {}
    requires_approval: bool = False
    serving: ServingPolicy = ServingPolicy()
    traffic: TrafficRevision | None = None
    deleted_at: datetime | None = None


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What lists and searches show of a version; `description` is its beginning.

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


class ModelEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What shall change of a model; None leaves a field as it is, and a tag of None is removed."""

    description: str | None = None
    tags: dict[str, str | None] = {}
    requires_approval: bool | None = None
    serving: ServingPolicy | None = None


class TrafficChange(msgspec.Struct, frozen=True, kw_only=True):
    """Which traffic policy a model shall have, None for none, and why.

    `based_on_revision` is the revision on which that was decided, None for whichever is the newest,
    and `brings_back` the earlier one whose policy it is.
    """

    policy: TrafficPolicy | None
    reason: str = ""
    based_on_revision: int | None = None
    brings_back: int | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to which model, and when; `model` is empty for what concerns none.

    `hash` is SHA-256 over the hash of the entry before and this entry; see `chain.py`.
    """

    revision: int = 0
    at: datetime
    actor: str
    action: str
    model: str
    version: int | None = None
    details: dict[str, Any] = {}
    hash: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pointer stood where it stood: who made which change, when; `revision` finds it."""

    version: int
    at: datetime
    actor: str
    action: str
    revision: int


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry wanted of a model at a time, each with the decision behind it.

    `state` is `unknown` before the first registration, `live`, `deleted` or `purged`. `deployed`
    is by version number. `traffic` is the newest revision of the traffic policy, if there was one.
    """

    model: str
    at: datetime
    state: str
    default: Decision | None = None
    aliases: dict[str, Decision] = {}
    deployed: tuple[Decision, ...] = ()
    traffic: TrafficRevision | None = None
