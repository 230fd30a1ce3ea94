"""How a job ends: its files become visible, or nothing of it is left."""

import asyncio
from collections.abc import Iterator

import msgspec

from augurium.batch.job_plan import JobPlan, read_plan
from augurium.batch.job_report import JobReport
from augurium.batch.lease_keeper import Stopped
from augurium.batch.manifest import JobFacts, ManifestInput
from augurium.batch.partition import PartitionResult
from augurium.batch.publication import publish, sweep
from augurium.batch.storage_port import OutputPlace
from augurium.core.errors import Internal
from augurium.registry.batch_records import BatchJob
from augurium.registry.batch_store import BatchStore


class JobEnding:
    """The end of one job, which writes to `place`."""

    def __init__(
        self, store: BatchStore, job: BatchJob, place: OutputPlace, report: JobReport
    ) -> None:
        self._store = store
        self._job = job
        self._place = place
        self._report = report

    def results(self) -> list[PartitionResult]:
        """Of all partitions that are committed, in their order. Blocking."""
        return list(self._results())

    async def publish(self) -> None:
        """Makes the files visible, and the job succeed.

        Raises Stopped when it is to be cancelled instead, and what publishing does: it can be done
        again then.
        """
        job = self._job
        moved = job
        if job.state != "publishing":
            moved = await asyncio.to_thread(self._store.move, job.id, job.token, "publishing")
        if moved.state != "publishing":
            raise Stopped("cancel")
        await asyncio.to_thread(self._publish)

    def cancel(self) -> None:
        """Removes what was written, and the plan. Blocking."""
        self.forget()
        self._store.move(self._job.id, self._job.token, "cancelled")

    def forget(self) -> None:
        """Removes what was written, and what is known of it: the next attempt begins anew."""
        # in this order: files that are gone must not count as written
        self._store.start_over(self._job.id, self._job.token)
        sweep(self._place, self._job.id)

    def _publish(self) -> None:
        job = self._job
        stored = self._store.planned(job.id)
        if stored is None:
            raise Internal(f"batch job {job.id} is publishing and has no plan")
        plan, results = read_plan(stored), self.results()
        publish(job.spec.output, self._place, _facts(job, plan), results)
        report = self._report.written(plan, results)
        rows = sum(result.written_rows for result in results)
        # before the end, with which those leave who follow the log
        self._store.log(job.id, "info", f"{rows:,} answers are visible at {job.spec.output.path}")
        self._store.move(job.id, job.token, "succeeded", report=report)

    def _results(self) -> Iterator[PartitionResult]:
        after = -1
        while page := self._store.partitions(self._job.id, after):
            for one in page:
                yield msgspec.json.decode(one.result, type=PartitionResult)
            after = page[-1].number


def _facts(job: BatchJob, plan: JobPlan) -> JobFacts:
    partitions = plan.input.partitions
    inputs = {part.file: part.identity for each in partitions for part in each.fragments}
    return JobFacts(
        job=job.id,
        model=job.model,
        version=job.version,
        format=job.spec.output.format,
        seed=job.spec.seed,
        inputs=tuple(ManifestInput(file, identity) for file, identity in inputs.items()),
    )
