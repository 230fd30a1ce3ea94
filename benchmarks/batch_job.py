"""Batch jobs on a node of this checkout, submitted as anybody submits them, and what they take."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from augurium.client import Client
from augurium.client.batch_run import BatchRun
from augurium.core.errors import Unprocessable
from benchmarks.augurium_node import AuguriumNode
from benchmarks.batch_peers import Run, answers_in
from benchmarks.server import free_ports
from benchmarks.tree_memory import MIB, TreeMemory

MODEL = "rows"
ENGINES = 1
LOOK_S = 0.05
LATER_LOOK_S = 0.2
MODULE = "augurium.batch"


class JobRun(Run, frozen=True, kw_only=True):
    """A job, from asking for it until its answers are there. `peak_mib` is that of its processes;
    `first_row_s` when the node told of rows that were read, up to 0.7 s after they were. `stages`
    are busy seconds.
    """

    first_row_s: float
    stages: dict[str, float]


class JobNode:
    """A node with the model; a context manager."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._home = folder / "home"
        self._node = AuguriumNode(self._home, free_ports(), ENGINES)
        self._model = model

    def __enter__(self) -> "JobNode":
        self._node.__enter__()
        try:
            self._client = Client(self._node.control_url)
            self._node.register(self._model, MODEL)
        except BaseException:
            self._node.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.close()
        self._node.__exit__(*error)

    @property
    def mib(self) -> float:
        """The memory of the node itself, which has no job now."""
        return self._node.pss_bytes() / MIB

    @property
    def rest_port(self) -> int:
        """Where the node answers predictions."""
        return self._node.ports.rest

    def serve(self, model: Path, name: str) -> None:
        """Serves another model beside that of the jobs."""
        self._node.register(model, name)

    def begin(self, rows: Path, output: Path, **options: Any) -> BatchRun:
        """Starts a job on a folder and returns when rows are scored."""
        job = self._client.batch(MODEL, rows, output, **options)
        for seen in job.looks(LOOK_S):
            if seen.progress.read_rows:
                return job
        raise Unprocessable(f"the job ended before it was seen: {job.job.reason}")

    def run(self, rows: Path, output: Path, **options: Any) -> JobRun:
        """Scores a folder. Raises Unprocessable when the job fails or leaves rows out."""
        first_row_s = 0.0
        began = time.monotonic()
        with TreeMemory(self._job_processes) as memory:
            job = self._client.batch(MODEL, rows, output, **options)
            for seen in job.looks(LOOK_S):
                if seen.progress.read_rows:
                    first_row_s = time.monotonic() - began
                    break
            # whoever looks takes time from it
            for _ in job.looks(LATER_LOOK_S):
                pass
        seconds = time.monotonic() - began
        if job.job.state != "succeeded":
            raise Unprocessable(f"the job is {job.job.state}: {job.job.reason}")
        report, answers = job.report(), answers_in(output)
        if answers[0] != report["rows"]["read"] or not answers[0]:
            raise Unprocessable(f"the job gave {answers[0]} answers: {report['rows']}")
        return JobRun(
            seconds=seconds,
            peak_mib=memory.peak_mib,
            answers=answers,
            first_row_s=first_row_s or seconds,
            core_s=report["core_s"],
            stages={stage["name"]: round(stage["seconds"], 2) for stage in report["stages"]},
        )

    def _job_processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if MODULE in words and str(self._home) in words:
                yield process


def plain(found: JobRun) -> dict[str, Any]:
    """The run as it is saved."""
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in msgspec.to_builtins(found).items()
    }
