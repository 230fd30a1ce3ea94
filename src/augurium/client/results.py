"""What the server answers, typed. Unknown fields of a newer server are left aside."""

from datetime import datetime
from typing import Any

import msgspec

from augurium.core.signature import Signature
from augurium.core.tensors import Array


class Artifact(msgspec.Struct, frozen=True):
    """A stored file: the SHA-256 of its content in hexadecimal, and its size."""

    digest: str
    size_bytes: int


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model and the pointers into its versions; `latest_version` is 0 when it has none."""

    name: str
    description: str = ""
    created_at: datetime
    latest_version: int = 0
    default_version: int | None = None
    aliases: dict[str, int] = {}
    deployed_versions: tuple[int, ...] = ()


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version. `source` is the uploaded file, `servable` what engines load."""

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
    host: str
    notice: str = ""
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


class Readiness(msgspec.Struct, frozen=True):
    """Whether every expected engine serves the newest state, and what is waited for if not."""

    ready: bool
    waiting_for: tuple[str, ...] = ()


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to which model, and when."""

    at: datetime
    actor: str
    action: str
    model: str
    version: int | None = None
    details: dict[str, Any] = {}


class Models(msgspec.Struct, frozen=True):
    """The body of the list of models."""

    models: tuple[Model, ...]


class Versions(msgspec.Struct, frozen=True):
    """The body of a model's list of versions."""

    versions: tuple[Version, ...]


class Audit(msgspec.Struct, frozen=True):
    """The body of the audit log."""

    entries: tuple[AuditEntry, ...]


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the reply's headers say: which version answered, and whether the answer is a lesser one.

    `cache` is `hit`, `miss` or `stale`; `degraded` is the reason for a lesser answer.
    """

    version: int | None = None
    variant: str | None = None
    cache: str | None = None
    degraded: str | None = None
    request_id: str | None = None


class Predictions(Reply, frozen=True, kw_only=True):
    """One prediction per instance, in their order: a value, or an object of outputs by name."""

    predictions: list[Any]


class Inference(Reply, frozen=True, kw_only=True):
    """Output tensors by name."""

    outputs: dict[str, Array]
