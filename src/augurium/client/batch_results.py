"""What the server answers about batch jobs, typed."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from augurium.core.batch_job import BatchSpec

JobState = Literal["queued", "running", "paused", "publishing", "succeeded", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"succeeded", "failed", "cancelled"})


class BatchProgress(msgspec.Struct, frozen=True):
    """How far a job is: rows so far, by what became of them, and the speed of the last moments.

    `rejected` counts by reason, `stage_s` are seconds by stage of all processes together.
    """

    read_rows: int = 0
    written_rows: int = 0
    filtered_rows: int = 0
    rejected: dict[str, int] = {}
    rows_per_s: float = 0.0
    eta_s: float | None = None
    stage_s: dict[str, float] = {}
    workers: int = 0


class BatchJobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list: `input` is the first of its `inputs`; `wanted` is run, pause or cancel.

    `rows` and `partitions` are those of its plan, None before there is one; `rows` also where only
    reading tells. `committed` counts partitions that are done for good.
    """

    id: str
    number: int
    model: str
    version: int
    state: JobState
    wanted: str = "run"
    reason: str = ""
    priority: int = 50
    labels: dict[str, str] = {}
    input: str
    inputs: int = 1
    output: str
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    schedule: str = ""
    due_at: datetime | None = None
    holder: str = ""
    attempts: int = 0
    rows: int | None = None
    partitions: int | None = None
    committed: int = 0
    progress: BatchProgress = BatchProgress()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it, unless it is retried."""
        return self.state in ENDED

    @property
    def rejected(self) -> int:
        """Rows that were set aside."""
        return sum(self.progress.rejected.values())

    @property
    def done(self) -> float | None:
        """The share of it that is done, from 0 to 1; None if that is not known."""
        if self.state == "succeeded":
            return 1.0
        shares = [self.committed / self.partitions] if self.partitions else []
        # rows of partitions that are under way are known as well
        shares += [min(1.0, self.progress.read_rows / self.rows)] if self.rows else []
        return max(shares, default=None)

    @property
    def elapsed_s(self) -> float:
        """Seconds from its beginning to its end, or until now."""
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds())


class BatchJob(BatchJobSummary, frozen=True, kw_only=True):
    """All that is known of a job: `spec` is what was asked for."""

    spec: BatchSpec


class BatchJobs(msgspec.Struct, frozen=True):
    """The server's answer with a list of jobs."""

    jobs: tuple[BatchJobSummary, ...]


class BatchLogLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a job: `number` counts the lines of all jobs."""

    number: int
    job: str
    model: str
    at: datetime
    level: str
    text: str
    numbers: dict[str, Any] = {}


class BatchLog(msgspec.Struct, frozen=True):
    """Lines, the oldest first; `newest` is the number to go on after."""

    lines: tuple[BatchLogLine, ...]
    newest: int
