"""Batch jobs as the management API tells them."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from augurium.core.batch_job import BatchSpec
from augurium.registry.batch_records import BatchJob, BatchProgress, LogLine

_FIELDS = BatchJob.__struct_fields__


class BatchJobSummary(Struct, frozen=True, kw_only=True):
    """A job in a list: `input` is the first of its `inputs`.

    `wanted` is what is asked of it: run, pause or cancel. `rows` and `partitions` are those of its
    plan, None before there is one; `rows` also where only reading tells. `committed` counts
    partitions that are done for good.
    """

    id: str
    number: int
    model: str
    version: int
    state: str
    wanted: str
    reason: str
    priority: int
    labels: dict[str, str]
    input: str
    inputs: int
    output: str
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None
    schedule: str
    due_at: datetime | None
    holder: str
    attempts: int
    rows: int | None
    partitions: int | None
    committed: int
    progress: BatchProgress


class BatchJobDetail(BatchJobSummary, frozen=True, kw_only=True):
    """A job with what was asked for."""

    spec: BatchSpec


class BatchJobList(Struct, frozen=True):
    """Jobs, the newest first."""

    jobs: list[BatchJobSummary]


class BatchLog(Struct, frozen=True):
    """What happened in a job, the oldest first; `newest` is the number to go on after."""

    lines: list[LogLine]
    newest: int


def summary(job: BatchJob) -> BatchJobSummary:
    """What a list shows."""
    return BatchJobSummary(**_fields(job))


def detail(job: BatchJob) -> BatchJobDetail:
    """All of it."""
    return BatchJobDetail(**_fields(job), spec=job.spec)


def _fields(job: BatchJob) -> dict[str, Any]:
    spec = job.spec
    names = (name for name in BatchJobSummary.__struct_fields__ if name in _FIELDS)
    return {name: getattr(job, name) for name in names} | {
        "model": spec.model,
        "priority": spec.priority,
        "labels": spec.labels,
        "input": spec.input.paths[0],
        "inputs": len(spec.input.paths),
        "output": spec.output.path,
    }
