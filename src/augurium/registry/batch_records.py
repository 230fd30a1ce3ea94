"""Batch jobs as the registry keeps them: what was asked for, how they stand, who works on them.

The registry knows nothing of rows or files: plans, results of partitions and reports are bytes that
the job's process writes and reads.
"""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from augurium.core.batch_job import BatchSpec

JobState = Literal["queued", "running", "paused", "publishing", "succeeded", "failed", "cancelled"]
Wanted = Literal["run", "pause", "cancel"]
Level = Literal["info", "warning", "error"]
ENDED: frozenset[JobState] = frozenset({"succeeded", "failed", "cancelled"})


class BatchDraft(Struct, frozen=True, kw_only=True):
    """A job to be submitted. `version` is what the version, alias or default in `spec` led to.

    `schedule` is the name of the one that submits it, empty for none, and `due_at` the end of the
    interval that the job is for. A draft with a known `idempotency_key` is the job it made before.
    """

    spec: BatchSpec
    version: int
    schedule: str = ""
    due_at: datetime | None = None
    idempotency_key: str | None = None


class BatchProgress(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How far a job has come, as its process says with each renewal of the lease.

    Counts are of all rows so far, whether their partition is committed or not; `stage_s` is seconds
    by stage, added up over processes. `rows_per_s` and `eta_s` are of the last moments.
    """

    read_rows: int = 0
    written_rows: int = 0
    filtered_rows: int = 0
    rejected: dict[str, int] = {}
    rows_per_s: float = 0.0
    eta_s: float | None = None
    stage_s: dict[str, float] = {}
    workers: int = 0


class BatchJob(BatchDraft, frozen=True, kw_only=True):
    """A job as it stands.

    `number` counts jobs in the order of their submission. `wanted` is what its process shall bring
    about. Whoever works on it is its `holder` (empty: nobody), proves that by `token`, which grows
    with every claim, and lives while `beat` grows. `attempts` are claims since a partition was last
    committed. `partitions` and `rows` are those of the plan, `rows` None if only reading tells;
    `committed` counts partitions.
    """

    id: str
    number: int
    created_at: datetime
    created_by: str
    state: JobState = "queued"
    wanted: Wanted = "run"
    reason: str = ""
    """Why it failed, or what made its last holder give it back."""
    token: int = 0
    beat: int = 0
    holder: str = ""
    attempts: int = 0
    partitions: int | None = None
    rows: int | None = None
    committed: int = 0
    progress: BatchProgress = BatchProgress()
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def model(self) -> str:
        """The model it scores with."""
        return self.spec.model

    @property
    def priority(self) -> int:
        """Those that wait begin in the order of it, the highest first."""
        return self.spec.priority

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it, unless it is retried."""
        return self.state in ENDED

    @property
    def held(self) -> bool:
        """Whether somebody works on it, or did until a moment ago."""
        return self.holder != ""


class JobPlan(Struct, frozen=True, kw_only=True):
    """The plan of a job: `content` is whatever its process wrote. `rows` None: not known before."""

    content: bytes
    partitions: int
    rows: int | None = None


class CommittedPartition(Struct, frozen=True):
    """A partition that is done for good, and what it came to."""

    number: int
    result: bytes


class LogLine(Struct, frozen=True, kw_only=True):
    """Something that happened to a job. `number` counts the lines of all jobs."""

    number: int
    job: str
    model: str
    at: datetime
    level: Level
    text: str
    numbers: dict[str, Any] = {}
