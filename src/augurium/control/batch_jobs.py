"""Batch jobs as people and schedules ask for them."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from augurium.batch.submission import SubmissionOrder
from augurium.control.batch_dispatcher import BatchDispatcher
from augurium.control.batch_progress import BatchProgress
from augurium.control.batch_submission import SubmissionCheck
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from augurium.core.home import NodeConfig
from augurium.core.identifiers import check_alias, check_model_name
from augurium.registry.batch_records import BatchDraft, BatchJob, JobState, LogLine
from augurium.registry.batch_store import BatchStore
from augurium.registry.records import Model, Version
from augurium.registry.registry import Registry, Sees

Order = Literal["pause", "resume", "cancel", "retry"]


class BatchJobs:
    """Takes jobs that can be, and passes orders on to those that are."""

    def __init__(
        self,
        store: BatchStore,
        registry: Registry,
        dispatcher: BatchDispatcher,
        check: SubmissionCheck,
        config: NodeConfig,
    ) -> None:
        self.store = store
        self.dispatcher = dispatcher
        self.progress = BatchProgress(store)
        self._registry = registry
        self._check = check
        self._config = config

    async def submit(
        self,
        spec: BatchSpec,
        actor: str,
        idempotency_key: str | None = None,
        schedule: str = "",
        due_at: datetime | None = None,
    ) -> BatchJob:
        """Queues a job after a look at its files; the same key again gives the job it made before.

        Raises InvalidArgument for a job that cannot be, NotFound for an unknown model or version
        and for input that is not there, Conflict for output that is, PermissionDenied for places
        outside of `batch.roots`.
        """
        version = await asyncio.to_thread(self._version, spec)
        draft = BatchDraft(
            spec=spec,
            version=version.version,
            schedule=schedule,
            due_at=due_at,
            idempotency_key=idempotency_key,
        )
        # before the look: what the first one wrote would be in its own way
        if (known := await asyncio.to_thread(self.store.submitted, draft)) is not None:
            return known
        late = await self._looked_at(spec, version)
        job = await asyncio.to_thread(self.store.submit, draft, actor)
        if late:
            await asyncio.to_thread(self.store.log, job.id, "warning", late)
        self.dispatcher.wake()
        return job

    async def _looked_at(self, spec: BatchSpec, version: Version) -> str:
        """Raises why the job cannot be; the reason, if that could not be found out in time. The job
        itself looks at all of it again before its first row.
        """
        storage, home = self._config.settings.storage, self._config.home.path
        _check_apart(spec.output.path, home)
        order = SubmissionOrder(spec, version, storage, self.roots(), str(home))
        try:
            await self._check(order)
        except DeadlineExceeded as error:
            return str(error)
        return ""

    async def get(self, job: str) -> BatchJob:
        """One job. Raises NotFound."""
        return await asyncio.to_thread(self.store.get, job)

    async def find(
        self,
        model: str | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
        before: int | None = None,
        sees: Sees | None = None,
    ) -> Sequence[BatchJob]:
        """Jobs, the newest first; see `BatchStore.find`."""
        return await asyncio.to_thread(
            self.store.find, model, states, limit=limit, before=before, sees=sees
        )

    async def order(self, job: str, order: Order, actor: str) -> BatchJob:
        """Pauses, resumes, cancels or retries a job. Raises NotFound, and Conflict where it is too
        late for that.
        """
        if order == "retry":
            done = await asyncio.to_thread(self.store.retry, job, actor)
        else:
            wanted = "run" if order == "resume" else order
            done = await asyncio.to_thread(self.store.want, job, wanted, actor)
        self.dispatcher.wake()
        return done

    async def log_lines(self, job: str, after: int, limit: int) -> Sequence[LogLine]:
        """What happened in a job after this line, the oldest first."""
        return await asyncio.to_thread(self.store.log_lines, job, after, limit)

    async def report(self, job: BatchJob) -> bytes:
        """The report of a job as JSON. Raises NotFound for one that has none."""
        found = await asyncio.to_thread(self.store.report, job.id)
        if found is None:
            raise NotFound(
                f"job {job.id} is {job.state} and has no report; one is written when it ends"
            )
        return found

    async def report_page(self, job: BatchJob) -> str:
        """The same as a page. Raises NotFound."""
        found = await self.report(job)
        return await asyncio.to_thread(_page, found)

    def roots(self) -> tuple[str, ...] | None:
        """Below which folders and prefixes jobs may read and write; None: anywhere.

        Raises PermissionDenied where that is nowhere.
        """
        settings = self._config.settings
        if settings.batch.roots:
            return settings.batch.roots
        if settings.access.required:
            raise PermissionDenied(
                "no folder is open to batch jobs on this node; set batch.roots to those that they"
                " may read and write"
            )
        return None

    def _version(self, spec: BatchSpec) -> Version:
        if spec.version is not None and spec.alias:
            raise InvalidArgument("the job names a version and an alias; give one of them")
        model = self._registry.model(check_model_name(spec.model))
        version = self._registry.version(model.name, _number(model, spec))
        if model.requires_approval and version.approval != "approved":
            raise Conflict(
                f"{model.name}@{version.version} is not approved, and versions of"
                f" '{model.name}' must be; see `augurium approval`"
            )
        return version


def _check_apart(output: str, home: Path) -> None:
    """Raises PermissionDenied for an output among the files of the node itself."""
    if "://" in output.removeprefix("file://"):
        return
    found, own = Path(output.removeprefix("file://")).resolve(), home.resolve()
    if found.is_relative_to(own) or own.is_relative_to(found):
        raise PermissionDenied(
            f"the output {output} is, or holds, the folder of the node itself ({own}); choose"
            " another one"
        )


def _page(report: bytes) -> str:
    # loaded with the first page: most starts of the process see none
    from augurium.batch.report import Report
    from augurium.batch.report_page import report_page

    return report_page(msgspec.json.decode(report, type=Report))


def _number(model: Model, spec: BatchSpec) -> int:
    if spec.version is not None:
        return spec.version
    if spec.alias:
        try:
            return model.aliases[check_alias(spec.alias)]
        except KeyError:
            raise NotFound(f"model '{model.name}' has no alias '{spec.alias}'") from None
    if model.default_version is None:
        raise Conflict(
            f"model '{model.name}' has no default version; name one, such as"
            f" {model.name}@{max(1, model.latest_version)}"
        )
    return model.default_version
