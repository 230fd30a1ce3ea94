"""What an engine may ask control about the whole node, and what control answers.

An engine knows its own counters and the newest snapshot; what every engine counted, what is
registered, and every change are control's.
"""

import msgspec

from augurium.serving.metrics import VersionMetrics


class Statistics(msgspec.Struct, frozen=True, tag="statistics"):
    """Asks for the sums over all engines: of one model, of one version of it, or of all."""

    model: str | None = None
    version: int | None = None


class Index(msgspec.Struct, frozen=True, tag="index"):
    """Asks where every model stands."""


class BatchingChange(msgspec.Struct, frozen=True):
    """How a version batches while it is loaded; None leaves a value as it is registered."""

    max_batch_size: int | None = None
    max_queue_delay_ms: float | None = None
    max_queue_rows: int | None = None

    @property
    def empty(self) -> bool:
        """Whether everything stays as it is registered."""
        return self == BatchingChange()


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Asks for a model in every engine: these versions of it, or the newest if none is named."""

    model: str
    actor: str
    versions: tuple[int, ...] = ()
    batching: BatchingChange = BatchingChange()


class Unload(msgspec.Struct, frozen=True, tag="unload"):
    """Asks for a model to be taken out of every engine."""

    model: str
    actor: str


class Logging(msgspec.Struct, frozen=True, tag="logging"):
    """Asks from which level on the processes of the node log; sets it first if one is given."""

    level: str | None = None
    actor: str = ""


class Mend(msgspec.Struct, frozen=True, tag="mend"):
    """Says that a file of this node is damaged or missing, and asks for it whole."""

    digest: str


Question = Statistics | Index | Load | Unload | Logging | Mend


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The sums that were asked for, ordered by model and version."""

    versions: tuple[VersionMetrics, ...]


class IndexEntry(msgspec.Struct, frozen=True):
    """Where one version stands in the node: `ready`, `loading`, `failed` or `unloaded`, and why."""

    model: str
    version: int
    state: str
    reason: str = ""


class Indexed(msgspec.Struct, frozen=True, tag="indexed"):
    """Every deployed version, and the newest of each model if that is not deployed."""

    entries: tuple[IndexEntry, ...]


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The versions that every engine has now."""

    versions: tuple[int, ...]


class Unloaded(msgspec.Struct, frozen=True, tag="unloaded"):
    """No engine takes requests for the model any more."""


class LogLevel(msgspec.Struct, frozen=True, tag="log_level"):
    """The level from which on the processes of the node log."""

    level: str


class Mended(msgspec.Struct, frozen=True, tag="mended"):
    """Where the file is whole."""

    path: str


Answer = Counted | Indexed | Loaded | Unloaded | LogLevel | Mended
