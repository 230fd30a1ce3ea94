"""A home with models and batch jobs, whose processes run as a node would run them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from augurium.control.import_pipeline import ImportOrder, ImportPipeline
from augurium.core.batch_job import BatchSpec
from augurium.core.clock import SystemClock
from augurium.core.home import Home, NodeConfig
from augurium.core.settings import Settings
from augurium.importing.importer import import_model
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.batch_records import BatchDraft, BatchJob
from augurium.registry.database import open_database, registry_url
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.records import Version
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_registry import SqlRegistry

ACTOR = "tests"
ENDS_WITHIN_S = 120


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

    def submit(self, spec: BatchSpec) -> BatchJob:
        """A job of the newest version, or of the one that is asked for."""
        version = spec.version or self.registry.model(spec.model).latest_version
        return self.jobs.submit(BatchDraft(spec=spec, version=version), ACTOR)

    def claim(self) -> BatchJob:
        """The next job, with a token for one process."""
        job = self.jobs.claim("tests", self._watch, most_running=10, lease_s=0.0)
        if job is None:
            raise AssertionError("no job waits")
        return job

    def start(self, job: BatchJob) -> "subprocess.Popen[bytes]":
        """The process of a job that was claimed."""
        options = {"home": self.home.path, "job": job.id, "token": job.token}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return subprocess.Popen([sys.executable, "-m", "augurium.batch", *words])

    def run(self, spec: BatchSpec) -> BatchJob:
        """A job from its submission to its end."""
        self.submit(spec)
        job = self.claim()
        assert self.start(job).wait(ENDS_WITHIN_S) == 0
        return self.jobs.get(job.id)

    def close(self) -> None:
        self.registry.close()
        self._database.dispose()
