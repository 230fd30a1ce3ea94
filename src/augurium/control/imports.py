"""Import jobs: one runs, a few wait, finished ones can be asked about for an hour."""

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from augurium.control.errors import ErrorBody
from augurium.control.import_pipeline import ImportOrder, ImportPipeline
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, Cancelled, Conflict, ErrorKind, NotFound, Overloaded
from augurium.core.identifiers import new_id

MAX_WAITING = 16
KEPT_S = 3600.0
MAX_KEPT = 1000
STOP_TIMEOUT_S = 5.0
log = structlog.get_logger()


class Import(msgspec.Struct, frozen=True):
    """Where an import stands: `running` (also while it waits), `succeeded` or `failed`."""

    id: str
    model: str
    state: str
    stage: str
    progress: float
    version: int | None
    error: ErrorBody | None
    started_at: datetime
    seconds: float


@dataclass(eq=False)
class _Job:
    id: str
    model: str
    order: ImportOrder
    actor: str
    started_at: datetime
    started: float
    state: str = "running"
    stage: str = "waiting for its turn"
    progress: float = 0.0
    version: int | None = None
    error: ErrorBody | None = None
    ended: float | None = None


class Imports:
    """The jobs of this process, kept in memory. Safe to call from any thread."""

    def __init__(self, pipeline: ImportPipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._waiting: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        """Begins to work off jobs."""
        # a daemon: a converter that hangs must not keep the process from ending
        self._worker = threading.Thread(target=self._work, name="imports", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Ends the running job at its next step, for which it waits a little; others never run."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        if self._worker is not None:
            self._worker.join(STOP_TIMEOUT_S)

    def submit(self, model: str, order: ImportOrder, actor: str) -> Import:
        """Queues an import; a known idempotency key answers with its job unless that failed.

        Raises what `ImportPipeline.check` raises, Conflict for a key that belongs to another file,
        and Overloaded when too many wait.
        """
        self._pipeline.check(model, order)
        with self._lock:
            self._forget_old()
            job = self._known(model, order) or self._queue(model, order, actor)
            return self._view(job)

    def get(self, import_id: str, sees: Callable[[str], bool] = lambda model: True) -> Import:
        """Raises NotFound for an id that never was, that ended more than an hour ago, or that is of
        a model the caller does not see.
        """
        with self._lock:
            self._forget_old()
            job = self._jobs.get(import_id)
            if job is None or not sees(job.model):
                raise NotFound(
                    "no such import; imports are forgotten one hour after they end, "
                    "and when the server restarts"
                )
            return self._view(job)

    def _queue(self, model: str, order: ImportOrder, actor: str) -> _Job:
        job = _Job(
            new_id(), model, order, actor, self._clock.now(), started=self._clock.monotonic()
        )
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            raise Overloaded(
                f"{MAX_WAITING} imports are waiting already; try again later"
            ) from None
        self._jobs[job.id] = job
        return job

    def _known(self, model: str, order: ImportOrder) -> _Job | None:
        key = order.idempotency_key
        for job in self._jobs.values() if key else ():
            if job.order.idempotency_key != key or job.state == "failed":
                continue
            if (job.model, job.order.artifact) != (model, order.artifact):
                raise Conflict(
                    f"idempotency key '{key}' belongs to an import of another file or model; "
                    "use a new key for a new import"
                )
            return job
        return None

    def _forget_old(self) -> None:
        forgotten_before = self._clock.monotonic() - KEPT_S
        ended = [(job.ended, job.id) for job in self._jobs.values() if job.ended is not None]
        surplus = len(ended) - MAX_KEPT
        for position, (moment, import_id) in enumerate(ended):
            if position < surplus or moment < forgotten_before:
                del self._jobs[import_id]

    def _view(self, job: _Job) -> Import:
        until = self._clock.monotonic() if job.ended is None else job.ended
        return Import(
            job.id,
            job.model,
            job.state,
            job.stage,
            round(job.progress, 3),
            job.version,
            job.error,
            job.started_at,
            round(until - job.started, 3),
        )

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None and not self._stopping.is_set():
            self._run(job)

    def _run(self, job: _Job) -> None:
        def progress(stage: str, share: float) -> None:
            if self._stopping.is_set():
                raise Cancelled("the server is stopping; import the model again later")
            with self._lock:
                job.stage, job.progress = stage, max(job.progress, min(share, 1.0))

        try:
            version = self._pipeline.run(job.id, job.model, job.order, job.actor, progress)
        except AuguriumError as error:
            self._end(job, "failed", error=ErrorBody(str(error), error.kind.value))
        except Exception:  # the edge of the worker: the next job must run
            log.exception("import failed", model=job.model, import_id=job.id)
            text = f"internal error; see the log under import id {job.id}"
            self._end(job, "failed", error=ErrorBody(text, ErrorKind.INTERNAL.value))
        else:
            self._end(job, "succeeded", version=version.version)

    def _end(
        self, job: _Job, state: str, version: int | None = None, error: ErrorBody | None = None
    ) -> None:
        with self._lock:
            job.state, job.version, job.error = state, version, error
            job.ended = self._clock.monotonic()
            if state == "succeeded":
                job.stage, job.progress = "registered", 1.0
            seconds = self._view(job).seconds
        outcome = {"version": version} if error is None else {"reason": error.error}
        log.info(f"import {state}", model=job.model, import_id=job.id, seconds=seconds, **outcome)
