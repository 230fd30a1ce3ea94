"""Schedules of batch jobs as the registry keeps them, and what they have run.

A run is one job that a schedule asks for, or an interval that got none: it is written down before
its job is submitted, so that whoever finds it can, and its id is the job's idempotency key.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from augurium.core.batch_schedule import BatchScheduleSpec, Interval

RunKind = Literal["interval", "arrival", "ordered"]
RunState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "skipped", "missed"]
OPEN: frozenset[RunState] = frozenset({"waiting", "running"})
# got no job, so that an order for the same interval is the first
WITHOUT_JOB: frozenset[RunState] = frozenset({"skipped", "missed"})


class BatchSchedule(Struct, frozen=True, kw_only=True):
    """A schedule as it stands.

    `through` is up to when it has dealt with what there is: the end of the newest interval, or when
    files were last taken. `revision` grows with every change and every claim; `runs` is the number
    of the newest run.
    """

    id: str
    name: str
    spec: BatchScheduleSpec
    through: datetime
    created_at: datetime
    created_by: str
    paused: bool = False
    revision: int = 1
    runs: int = 0

    @property
    def model(self) -> str:
        """The model of its jobs."""
        return self.spec.job.model

    @property
    def actor(self) -> str:
        """The name that its jobs are submitted under."""
        return f"schedule:{self.name}"


class RunDraft(Struct, frozen=True, kw_only=True):
    """A run to be written down: of which interval. `count` says how many intervals it stands for,
    where they are missed.
    """

    kind: RunKind
    start: datetime
    end: datetime
    state: RunState = "waiting"
    reason: str = ""
    count: int = 1

    @property
    def interval(self) -> Interval:
        """The interval that its job is for."""
        return Interval(self.start, self.end)


class BatchRun(RunDraft, frozen=True, kw_only=True):
    """A run as it stands; `number` counts those of its schedule, `files` those that it was given
    where they arrived, `job` is empty until there is one. `told` says whether receivers of events
    know how it ended.
    """

    id: str
    number: int
    schedule: str
    model: str
    created_at: datetime
    created_by: str
    files: int = 0
    job: str = ""
    ended_at: datetime | None = None
    told: bool = False

    @property
    def open(self) -> bool:
        """Whether it waits for its job or for the end of it."""
        return self.state in OPEN

    @property
    def key(self) -> str:
        """The idempotency key of its job."""
        return f"schedule:{self.schedule}:{self.id}"


class ArrivedFile(NamedTuple):
    """A file that a schedule found; `identity` changes when its content does."""

    location: str
    identity: str
