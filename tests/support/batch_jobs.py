"""A home with models and batch jobs, whose processes run as a node would run them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from augurium.control.import_pipeline import ImportOrder, ImportPipeline
from augurium.core.batch_job import BatchSpec
from augurium.core.clock import SystemClock
from augurium.core.home import Home, NodeConfig
from augurium.core.settings import Settings
from augurium.core.signature import Signature
from augurium.importing.importer import import_model
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.batch_records import BatchDraft, BatchJob
from augurium.registry.database import open_database, registry_url
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.records import Version, VersionDraft
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_registry import SqlRegistry

ACTOR = "tests"
ENDS_WITHIN_S = 600


class BatchHome:
    """The folder of a node that is not running; whoever made it closes it."""

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        given = {**(settings or {}), "node": {"home": str(folder)}}
        self.config = NodeConfig(msgspec.convert(given, Settings), ())
        self.home = Home(folder)
        self.home.create()
        self.home.config.write_bytes(msgspec.json.encode(self.config))
        storage, clock = self.config.settings.storage, SystemClock()
        self.artifacts = open_artifacts(storage, self.home.artifacts, self.home.cache, os.environ)
        self._database = open_database(registry_url(storage, self.home.database))
        self.registry = SqlRegistry(self._database, clock, self.artifacts.contains)
        self.jobs = SqlBatchJobs(self._database, clock)
        self._watch = LeaseWatch(clock)

    def register(self, file: Path, model: str, **order: Any) -> Version:
        """Imports a file as a node does."""
        artifact = self.artifacts.put_file(file)
        limits, staging = self.config.settings.importing, self.home.staging
        pipeline = ImportPipeline(self.registry, self.artifacts, import_model, limits, staging)
        wanted = ImportOrder(artifact=artifact.digest, filename=file.name, **order)
        return pipeline.run(f"import-{file.name}", model, wanted, ACTOR, lambda *_: None)

    def register_runtime(
        self, content: bytes, model: str, runtime: str, signature: Signature
    ) -> Version:
        """Registers a file that a runtime loads as it is."""
        artifact = self.artifacts.put([content], max_bytes=len(content))
        draft = VersionDraft(
            framework=runtime,
            framework_version="1",
            runtime=runtime,
            source=artifact,
            source_name="model",
            servable=artifact,
            signature=signature,
        )
        return self.registry.register(model, draft, ACTOR)

    def submit(self, spec: BatchSpec) -> BatchJob:
        """A job of the newest version, or of the one that is asked for."""
        version = spec.version or self.registry.model(spec.model).latest_version
        return self.jobs.submit(BatchDraft(spec=spec, version=version), ACTOR)

    def claim(self) -> BatchJob:
        """The next job, with a token for one process."""
        job = self._claimed()
        if job is None:
            raise AssertionError("no job waits")
        return job

    def take_over(self, job: BatchJob) -> BatchJob:
        """The job with another token, though its holder may live."""
        others = {other.id for other in self.jobs.find()} - {job.id}
        # a look notes how the lease stands, and the next one finds whether it stands so still
        deadline = time.monotonic() + ENDS_WITHIN_S
        while (found := self._claimed(others)) is None:
            assert time.monotonic() < deadline, self.jobs.get(job.id)
        return found

    def start(self, job: BatchJob) -> "subprocess.Popen[bytes]":
        """The process of a job that was claimed."""
        options = {"home": self.home.path, "job": job.id, "token": job.token}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return subprocess.Popen([sys.executable, "-m", "augurium.batch", *words])

    def finish(self, job: BatchJob) -> BatchJob:
        """A job that waits, run to its end."""
        return self._ended(self.start(self.take_over(job)), job.id)

    def run(self, spec: BatchSpec) -> BatchJob:
        """A job from its submission to its end."""
        return self.finish(self.submit(spec))

    def wait(self, job: str, until: Callable[[BatchJob], bool]) -> BatchJob:
        """The job as soon as it is so."""
        deadline = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < deadline:
            found = self.jobs.get(job)
            if until(found):
                return found
            time.sleep(0.02)
        raise AssertionError(f"the job is {found}")

    def _claimed(self, besides: Collection[str] = ()) -> BatchJob | None:
        return self.jobs.claim(ACTOR, self._watch, most_running=10, lease_s=0.0, besides=besides)

    def _ended(self, process: "subprocess.Popen[bytes]", job: str) -> BatchJob:
        assert process.wait(ENDS_WITHIN_S) == 0
        return self.jobs.get(job)

    def close(self) -> None:
        self.registry.close()
        self._database.dispose()
