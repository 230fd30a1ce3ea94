"""The desired state of a node, as control pushes it to the engines: whole, numbered, and kept on
disk by each engine.
"""

from pathlib import Path
from typing import Any

import msgspec

from augurium.access.access import Access
from augurium.core.device_policy import CPU, DevicePolicy
from augurium.core.errors import AuguriumError, NotFound
from augurium.core.files import write_atomically
from augurium.core.serving_policy import PlacementPolicy, ServingPolicy
from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficRevision


class BatchingPolicy(msgspec.Struct, frozen=True):
    """How the rows of one version are gathered. See `core.settings.BatchingSettings` for the
    meaning.
    """

    max_batch_size: int = 256
    max_queue_delay_ms: float = 5.0
    max_queue_rows: int = 16384
    target_queue_delay_ms: float = 100.0
    overload_interval_ms: float = 500.0


class DesiredVersion(msgspec.Struct, frozen=True):
    """One version an engine must hold: which file, which runtime, what goes in and out.

    `path` is a file of this node whose SHA-256 must be `digest`; so are `weights_path` and
    `weights_digest` where the weights lie apart. `options` are the runtime's own. `examples` are a
    few small rows of the training data in the v1 form, the one to be shown first. `placement` is
    where it runs, if not in the engines, on `device`.
    """

    model: str
    version: int
    runtime: str
    path: str
    digest: str
    signature: Signature
    options: dict[str, str] = {}
    batching: BatchingPolicy = BatchingPolicy()
    weights_path: str | None = None
    weights_digest: str | None = None
    examples: tuple[Any, ...] = ()
    device: DevicePolicy = CPU
    placement: PlacementPolicy = PlacementPolicy()

    @property
    def may_sleep(self) -> bool:
        """Whether it may be out of memory while it is served."""
        return not self.signature.streamed and not self.signature.takes_parameters


class DesiredModel(msgspec.Struct, frozen=True):
    """A model's deployed versions, how a request without a version is answered, and how the model
    is served. `replicas` is how many runners a version of it has now, if it has any; 0 lets them go
    until somebody asks. `traffic` is who answers a request that names no version, None for the
    default.
    """

    name: str
    versions: tuple[DesiredVersion, ...] = ()
    default_version: int | None = None
    aliases: dict[str, int] = {}
    serving: ServingPolicy = ServingPolicy()
    replicas: int = 1
    traffic: TrafficRevision | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """Everything an engine must serve, and whom. A larger `revision` replaces a smaller one.

    `log_level` is where its log begins, empty for what its settings say.
    """

    revision: int = 0
    models: tuple[DesiredModel, ...] = ()
    access: Access = Access()
    log_level: str = ""


class SnapshotChange(msgspec.Struct, frozen=True):
    """What makes one snapshot of another: models that are new or not as before, names of those that
    are gone, and everything else.
    """

    revision: int
    models: tuple[DesiredModel, ...] = ()
    removed: tuple[str, ...] = ()
    access: Access = Access()
    log_level: str = ""


def change(before: Snapshot, after: Snapshot) -> SnapshotChange:
    """What has to be told to who knows `before`."""
    known = {model.name: model for model in before.models}
    models = tuple(model for model in after.models if known.get(model.name) != model)
    removed = tuple(known.keys() - {model.name for model in after.models})
    return SnapshotChange(after.revision, models, removed, after.access, after.log_level)


def changed(before: Snapshot, told: SnapshotChange) -> Snapshot:
    """The snapshot after a change. Models that are as before are the same objects."""
    models = {model.name: model for model in before.models}
    models.update((model.name, model) for model in told.models)
    for name in told.removed:
        models.pop(name, None)
    in_order = tuple(models[name] for name in sorted(models))
    return Snapshot(told.revision, in_order, told.access, told.log_level)


class VersionState(msgspec.Struct, frozen=True):
    """Where an engine stands with one version: `loading`, `ready` or `failed`, and why."""

    model: str
    version: int
    state: str
    reason: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def save_snapshot(file: Path, snapshot: Snapshot) -> None:
    """Writes the snapshot so that a crash leaves the old file or the new one, never half of one."""
    write_atomically(file, _encoder.encode(snapshot))


def load_snapshot(file: Path) -> Snapshot:
    """The snapshot of an earlier run. Raises NotFound if there is none, AuguriumError if the file
    is damaged.
    """
    try:
        return _decoder.decode(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"there is no snapshot {file.name}") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise AuguriumError(f"snapshot {file.name} cannot be read: {error}") from error
