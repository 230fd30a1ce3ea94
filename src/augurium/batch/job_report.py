"""The report of a job, made when its files have become visible."""

from collections.abc import Sequence

import msgspec

from augurium.batch.engine import Engine
from augurium.batch.job_plan import JobPlan
from augurium.batch.partition import PartitionResult
from augurium.batch.report import ReportFacts, report_of
from augurium.core.clock import Clock
from augurium.core.errors import NotFound
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.batch_records import BatchJob
from augurium.registry.registry import Registry
from augurium.statistics.profiles import Profile


class JobReport:
    """Makes the report of one job, which `engine` has scored. `per_core_hour` is what an hour of a
    core costs, 0 if that is not known.
    """

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        job: BatchJob,
        per_core_hour: float,
        clock: Clock,
        engine: Engine,
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._job = job
        self._per_core_hour = per_core_hour
        self._clock = clock
        self._engine = engine

    def written(self, plan: JobPlan, results: Sequence[PartitionResult]) -> bytes:
        """The report as JSON. Blocking."""
        job, now = self._job, self._clock.now()
        facts = ReportFacts(
            job=job.id,
            model=job.model,
            version=job.version,
            runtime=plan.model.runtime,
            output=job.spec.output.path,
            wall_s=(now - (job.started_at or now)).total_seconds(),
            # a job that is published by another process than scored it has told how many there were
            workers=job.progress.workers or self._engine.workers,
            batch_size=plan.batch_size,
            engine="ray" if job.spec.engine == "ray" else "local",
            per_core_hour=self._per_core_hour,
        )
        return msgspec.json.encode(report_of(facts, plan.input, results, self._profile()))

    def _profile(self) -> Profile | None:
        try:
            found = self._registry.version(self._job.model, self._job.version).profile
        except NotFound:
            # purged meanwhile: what it was trained with is not known any more
            return None
        if found is None:
            return None
        with self._artifacts.lease(found.digest) as file:
            return msgspec.json.decode(file.read_bytes(), type=Profile)
