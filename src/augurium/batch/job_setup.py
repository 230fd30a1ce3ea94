"""What a job needs before its first row: a version, a plan, a model, and workers."""

import asyncio
from contextlib import suppress

from augurium.batch.batch_size import USUAL_BATCH
from augurium.batch.code_confinement import check_reach, confinement_of, runs_code
from augurium.batch.job_files import JobFiles
from augurium.batch.job_plan import JobPlan, read_plan
from augurium.batch.model_choice import ModelChoice, choose
from augurium.batch.model_files import ModelFiles
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import InputPlan
from augurium.batch.publication import check_output
from augurium.batch.storage import Storage
from augurium.batch.worker_messages import Convert, Converted, Load, Measure, Measured
from augurium.batch.worker_pool import WorkerPool
from augurium.batch.worker_process import WorkerDied
from augurium.core import processors
from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import Internal, NotFound, NotReady
from augurium.core.settings import Settings
from augurium.registry.batch_records import BatchJob
from augurium.registry.batch_store import BatchStore
from augurium.registry.records import Version
from augurium.registry.registry import Registry


class JobSetup:
    """Makes a job ready to be scored, or finds how it was made ready the first time."""

    def __init__(
        self,
        store: BatchStore,
        registry: Registry,
        files: JobFiles,
        storage: Storage,
        settings: Settings,
        job: BatchJob,
    ) -> None:
        self._store = store
        self._registry = registry
        self._files = files
        self._storage = storage
        self._settings = settings
        self._job = job

    async def prepare(self, pool: WorkerPool) -> JobPlan:
        """The plan, once every worker knows what to load. Raises what there is to say about it."""
        job = self._job
        version, device = await asyncio.to_thread(self._version)
        check_reach(job.spec, version)
        stored = await asyncio.to_thread(self._store.planned, job.id)
        plan = read_plan(stored) if stored else None
        model = plan.model if plan else choose(version, job.spec.runtime, job.spec.explain)
        importing = asyncio.create_task(pool.import_runtime(model.runtime))
        try:
            source = plan.input if plan else await asyncio.to_thread(self._planned, version)
        finally:
            await importing
        await pool.resize(1 if device.on_cuda else self._workers(source))
        files = await self._model_files(version, model, device, pool)
        if runs_code(version):
            await pool.confine(confinement_of(job.spec, files))
        pool.prepare(await asyncio.to_thread(self._load, version, source, files))
        if plan is not None:
            return plan
        plan = await self._kept(JobPlan(source, model, await self._batch_size(source, pool)))
        # a line that is lost is no reason to begin again
        with suppress(NotReady):
            await asyncio.to_thread(self._store.log, job.id, "info", _told(plan))
        return plan

    def _version(self) -> tuple[Version, DevicePolicy]:
        job = self._job
        version = self._registry.version(job.model, job.version)
        if version.deleted_at is not None:
            raise NotFound(
                f"version {job.version} of model '{job.model}' was deleted, so the job cannot go"
                " on; restore the version and retry the job, or submit it with another"
            )
        return version, self._registry.model(job.model).serving.device

    def _planned(self, version: Version) -> InputPlan:
        # here, not above: pyarrow takes a moment to load, and a plan is made once
        from augurium.batch.input_plan import plan_input

        spec = self._job.spec
        plan = plan_input(spec.input, version.signature, self._storage, spec.partition_rows)
        place = StoragePlace(self._storage, spec.output.path)
        files = {part.file for each in plan.partitions for part in each.fragments}
        check_output(spec.output, place, files)
        return plan

    def _workers(self, source: InputPlan) -> int:
        """As many as are wanted, and have something to do."""
        if self._job.spec.engine == "ray":
            # it only finds out how, see `RayEngine`
            return 1
        wanted = self._job.spec.workers or self._settings.batch.workers or len(processors.USABLE)
        return max(1, min(wanted, len(source.partitions) - self._job.committed))

    async def _model_files(
        self, version: Version, model: ModelChoice, device: DevicePolicy, pool: WorkerPool
    ) -> ModelFiles:
        files = self._files
        if not model.from_source:
            return await asyncio.to_thread(files.servable, version, model, device)
        source = await asyncio.to_thread(files.hold, version.source)
        order = Convert(model.runtime, str(source), str(files.folder))
        answer = await pool.workers[0].ask_again(order)
        if not isinstance(answer, Converted):
            raise Internal(f"a worker answered {type(answer).__name__} to a conversion")
        return ModelFiles(runtime=model.runtime, path=answer.path, options=answer.options)

    def _load(self, version: Version, source: InputPlan, files: ModelFiles) -> Load:
        profile = self._files.hold(version.profile) if version.profile else None
        job = self._job
        return Load(
            job=job.id,
            token=job.token,
            spec=job.spec,
            version=job.version,
            signature=version.signature,
            plan=JobPlan(source, ModelChoice(files.runtime), 1).outline,
            model=files,
            storage=self._settings.storage,
            roots=self._settings.batch.roots or None,
            profile=str(profile) if profile else None,
        )

    async def _batch_size(self, source: InputPlan, pool: WorkerPool) -> int:
        if self._job.spec.batch_size is not None:
            return self._job.spec.batch_size
        if not source.partitions:
            return USUAL_BATCH
        try:
            answer = await pool.workers[0].ask(Measure(source.partitions[0]))
        except WorkerDied:
            # a row that ends workers is found when its partition is scored
            return USUAL_BATCH
        return answer.batch_size if isinstance(answer, Measured) else USUAL_BATCH

    async def _kept(self, plan: JobPlan) -> JobPlan:
        """The plan that counts, which another holder may have made before."""
        job = self._job
        return read_plan(
            await asyncio.to_thread(self._store.plan, job.id, job.token, plan.stored())
        )


def _told(plan: JobPlan) -> str:
    """What a person wants to know of a plan."""
    source = plan.input
    rows = "" if source.rows is None else f", {source.rows:,} rows"
    return (
        f"{source.files:,} files{rows}, cut into {len(source.partitions):,} partitions;"
        f" {plan.model.runtime} scores {plan.batch_size:,} rows at a time"
    )
