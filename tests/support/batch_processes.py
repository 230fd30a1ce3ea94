"""Batch jobs of a node as tests see them: their processes, and what they leave behind."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from augurium.client import Client
from augurium.client.batch_results import BatchJob
from tests.support.processes import children_that_run
from tests.support.scoring import processes_of

WORKER = "augurium.batch.worker"


def job_process(job: str) -> psutil.Process | None:
    """The process of a job, if it has one now."""
    return next(iter(processes_of(job)), None)


def workers_of(job: str) -> Sequence[psutil.Process]:
    """The processes that score rows of a job now."""
    process = job_process(job)
    return children_that_run(WORKER, process.pid) if process is not None else ()


def ended_job(client: Client, job: str, patience_s: float) -> BatchJob:
    """The job, once it has ended."""
    deadline = time.monotonic() + patience_s
    while not (found := client.batch_job(job)).ended:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def digests(files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of the visible files by the number of their partition: names differ by the job."""
    visible = [file for file in files if file.name.startswith("part-")]
    found = {_place(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in visible}
    assert len(found) == len(visible)
    return found


def _place(file: Path) -> str:
    number = file.name[: len("part-00000")]
    return f"{file.parent.name}/{number}" if file.parent.name == "_rejected" else number
