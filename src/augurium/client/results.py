"""What the server answers, typed. Unknown fields of a newer server are left aside."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from augurium.core.signature import Signature


class Artifact(msgspec.Struct, frozen=True):
    """A stored file: the SHA-256 of its content in hexadecimal, and its size."""

    digest: str
    size_bytes: int


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model and the pointers into its versions; `latest_version` is 0 when it has none, and
    `traffic` is None where no traffic policy was ever set.
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
    serving: dict[str, Any] = {}
    traffic: dict[str, Any] | None = None
    deleted_at: datetime | None = None


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from, as its maker says."""

    code_revision: str = ""
    dataset_uri: str = ""
    dataset_digest: str = ""
    run_url: str = ""
    parent_version: int | None = None


class TrustedKey(msgspec.Struct, frozen=True):
    """A public key whose signatures a node believes, and what it is called there."""

    name: str
    key: str
    fingerprint: str


class TrustedKeys(msgspec.Struct, frozen=True):
    """A node's own public key, and those it trusts."""

    own: TrustedKey
    trusted: tuple[TrustedKey, ...]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version. `source` is the uploaded file, `servable` what engines load.

    `examples` are rows as v1 instances, `card` is Markdown. `allowed_code`: the source ran code
    when it was loaded, by decision of who registered it.
    """

    model: str
    version: int
    created_at: datetime
    deployed: bool = False
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
    approval: str = "none"
    deleted_at: datetime | None = None


class ImportFault(msgspec.Struct, frozen=True):
    """Why an import failed: the error's kind and its text."""

    kind: str
    error: str


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A running or finished import.

    `state` is `running`, `succeeded` or `failed`; `progress` goes from 0 to 1.
    """

    id: str
    model: str
    state: str
    stage: str = ""
    progress: float = 0.0
    version: int | None = None
    error: ImportFault | None = None
    started_at: datetime | None = None
    seconds: float = 0.0


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A finished change of a deployment: `state` is `ready` or `undeployed`."""

    model: str
    version: int
    state: str
    default: bool = False
    seconds: float = 0.0


class VersionState(msgspec.Struct, frozen=True):
    """Where an engine stands with one version: `loading`, `ready` or `failed`, and why."""

    model: str
    version: int
    state: str
    reason: str = ""


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the data plane; `revision` is the snapshot it has applied."""

    engine: str
    pid: int
    connected: bool = True
    revision: int = 0
    states: tuple[VersionState, ...] = ()


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A node: where it listens and which engines it has and should have."""

    version: str
    rest_url: str
    grpc_url: str
    control_url: str
    engines: tuple[Engine, ...] = ()
    expected_engines: tuple[str, ...] = ()
    keys_required: bool = False


class VersionActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed version: its place in memory, and counters since the node started.

    `state` is `loading`, `failed`, `resident` (in memory, in at least one engine) or `asleep` (on
    disk until it is asked for). `requests` are by outcome, `latency` per bucket of the `Activity`.
    """

    model: str
    version: int
    default: bool = False
    state: str
    reason: str = ""
    pinned: bool = False
    engines: int = 0
    resident_bytes: int = 0
    replicas: int = 0
    load_s: float = 0.0
    loads: int = 0
    evictions: int = 0
    pending: int = 0
    last_inference_at: float = 0.0
    rows: int = 0
    runs: int = 0
    requests: dict[str, int] = {}
    latency: tuple[int, ...] = ()
    cache_hits: int = 0
    cache_misses: int = 0


class EngineActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One engine: CPU seconds it has used, its memory, what its versions take of its budget (0: no
    limit), and requests not yet answered.
    """

    engine: str
    pid: int
    connected: bool = True
    cpu_s: float = 0.0
    memory_bytes: int = 0
    resident_bytes: int = 0
    budget_bytes: int = 0
    pending: int = 0


class DeviceActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator of the machine. `used_bytes` is what all processes take; `utilization`, from
    0 to 1, is None where the device does not say.
    """

    device: str
    name: str
    total_bytes: int
    used_bytes: int
    utilization: float | None = None


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What a node does at the moment `at`, in seconds of the epoch; rates are differences of two.

    Bucket `i` of a `latency` counts requests above `latency_bounds_s[i-1]` and at most
    `latency_bounds_s[i]`; the last has no upper bound.
    """

    at: float
    engines: tuple[EngineActivity, ...] = ()
    versions: tuple[VersionActivity, ...] = ()
    latency_bounds_s: tuple[float, ...] = ()
    devices: tuple[DeviceActivity, ...] = ()


class ScalingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """How many engines there were and should be, and why: the rule in one word and a sentence.

    `numbers` is what was measured, and how many engines each measure asked for.
    """

    at: datetime
    current: int
    wanted: int
    cause: str
    reason: str
    low: int = 0
    high: int = 0
    numbers: dict[str, float] = {}


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the decision log; `done` says what was begun."""

    number: int
    decision: ScalingDecision
    done: str = ""


class ModelScaling(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a model's replicas: how many it shall have and how many run now; the others as
    in `Scaling`.
    """

    model: str
    replicas: int
    running: int
    least: int
    most: int
    targets: dict[str, float] = {}
    schedules: tuple[str, ...] = ()
    latest: ScalingDecision | None = None
    decisions: tuple[LoggedDecision, ...] = ()
    counts: dict[str, int] = {}


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """The number of engines: each slot with its state (`starting`, `serving`, `draining`), the
    bounds and targets, the newest decision, the log (newest first), and how many decisions there
    were by direction. `models` are those whose replicas are not simply one.
    """

    enabled: bool
    engines: dict[str, str]
    min_engines: int
    max_engines: int
    targets: dict[str, float] = {}
    schedules: tuple[str, ...] = ()
    latest: ScalingDecision | None = None
    decisions: tuple[LoggedDecision, ...] = ()
    counts: dict[str, int] = {}
    reported_s_ago: float | None = None
    models: tuple[ModelScaling, ...] = ()


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret. No `models` means all, no `expires_at` for ever."""

    id: str
    name: str
    scopes: tuple[str, ...]
    models: tuple[str, ...] = ()
    rate: float = 0.0
    burst: int = 0
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def state(self) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return "expired" if expired else "live"


class Keys(msgspec.Struct, frozen=True):
    """Keys by name and age."""

    keys: tuple[Key, ...]


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key; `key` is its text, which is told this once."""

    key: str
    record: Key


class Readiness(msgspec.Struct, frozen=True):
    """Whether every expected engine serves the newest state, and what is waited for if not."""

    ready: bool
    waiting_for: tuple[str, ...] = ()


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to which model, and when; `hash` chains it to the one before."""

    revision: int = 0
    at: datetime
    actor: str
    action: str
    model: str
    version: int | None = None
    details: dict[str, Any] = {}
    hash: str = ""


class Models(msgspec.Struct, frozen=True):
    """The body of the list of models."""

    models: tuple[Model, ...]


class Versions(msgspec.Struct, frozen=True):
    """The body of a model's list of versions."""

    versions: tuple[Version, ...]


class Audit(msgspec.Struct, frozen=True):
    """The body of the audit log."""

    entries: tuple[AuditEntry, ...]
