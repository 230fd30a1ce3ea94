"""How a worker begins, told on its command line: before it loads anything."""

from msgspec import Struct

from augurium.core.batch_settings import RUN_TIMEOUT_S, Scheduling


class Confinement(Struct, frozen=True):
    """The only files that a worker may read, and write, beside its Python; it has no network."""

    readable: tuple[str, ...]
    writable: tuple[str, ...]


class WorkerStart(Struct, frozen=True):
    """How it stands beside other processes, what it is kept from if its model runs code, and how
    long the model may run on one batch.
    """

    scheduling: Scheduling = "idle"
    confinement: Confinement | None = None
    run_timeout_s: float = RUN_TIMEOUT_S
