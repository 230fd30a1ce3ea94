"""The port of the store of batch jobs."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from augurium.core.errors import Conflict
from augurium.registry.batch_records import (
    BatchDraft,
    BatchJob,
    BatchProgress,
    CommittedPartition,
    JobPlan,
    JobState,
    Level,
    LogLine,
    Wanted,
)
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.registry import Sees

MOST_LISTED = 1000
# of one job; older ones are let go
MOST_LINES = 1000


class LeaseLost(Conflict):
    """The caller does not hold the job, or not any more: it must stop, and write nothing."""


class BatchStore(Protocol):
    """Batch jobs, kept with the registry. Every method blocks.

    Every change is one transaction, whole or not at all; what a person decides stands in the
    registry's audit log in the same one. A job has one holder at a time, who names its token in all
    that it does: what comes with another token, or of a job that nobody holds, raises LeaseLost and
    changes nothing. Raises NotFound for a job that there is not, NotReady when the database cannot
    be used, and InsufficientStorage when its disk is full.
    """

    def submit(self, draft: BatchDraft, actor: str) -> BatchJob:
        """A new job that waits to be claimed, or the one that came with this idempotency key.

        Raises NotFound for a version that there is not, and Conflict for one that is deleted and
        for a key that came with another request.
        """
        ...

    def submitted(self, draft: BatchDraft) -> BatchJob | None:
        """The job that came with the draft's idempotency key, None if none did yet.

        Raises Conflict for a key that came with another request.
        """
        ...

    def get(self, job: str) -> BatchJob:
        """One job."""
        ...

    def find(
        self,
        model: str | None = None,
        states: Collection[JobState] = (),
        schedule: str | None = None,
        limit: int = 100,
        before: int | None = None,
        sees: Sees | None = None,
    ) -> Sequence[BatchJob]:
        """Jobs, the newest first: of one model, in one of the states, of one schedule, with a
        number below `before`, of models that are seen.
        """
        ...

    def want(self, job: str, wanted: Wanted, actor: str) -> BatchJob:
        """Asks for a job to be paused, to run again or to be cancelled; what is so already is no
        change. One that nobody works on, and that left nothing behind, is so at once.

        Raises Conflict for a job that has ended, is publishing its files or is being cancelled.
        """
        ...

    def retry(self, job: str, actor: str) -> BatchJob:
        """Queues a job that failed or was cancelled; what it committed stays. Raises Conflict for
        others, and if its model or version is deleted.
        """
        ...

    def claim(
        self,
        holder: str,
        watch: LeaseWatch,
        most_running: int,
        lease_s: float,
        besides: Collection[str] = (),
    ) -> BatchJob | None:
        """The next job to work on, with a token that nobody had, or None: by priority, then age.

        It is one that waits, one whose holder has not renewed its lease for `lease_s` by `watch`,
        one to be cancelled that left something behind, or one whose holder stopped in the middle of
        publishing. Of those that wait none is begun while `most_running` are held, by whomever.
        `besides` are jobs that are not asked for.
        """
        ...

    def renew(self, job: str, token: int, progress: BatchProgress) -> BatchJob:
        """Shows that the holder lives, and how far it is; `wanted` of the job says what to do."""
        ...

    def plan(self, job: str, token: int, plan: JobPlan) -> JobPlan:
        """Keeps the plan, once; the one that counts is returned, which may be an earlier one."""
        ...

    def planned(self, job: str) -> JobPlan | None:
        """The plan, if there is one yet."""
        ...

    def start_over(self, job: str, token: int) -> BatchJob:
        """Forgets the plan and all partitions of a job whose staged files are to be removed."""
        ...

    def commit(self, job: str, token: int, number: int, result: bytes) -> bool:
        """Makes a partition done for good; False, and no change, if it was before.

        Raises InvalidArgument for a number that the plan has not.
        """
        ...

    def committed(self, job: str) -> frozenset[int]:
        """The numbers of all partitions that are done."""
        ...

    def partitions(
        self, job: str, after: int = -1, limit: int = MOST_LISTED
    ) -> Sequence[CommittedPartition]:
        """Partitions that are done, in order, those with a number above `after`."""
        ...

    def move(
        self,
        job: str,
        token: int,
        state: JobState,
        reason: str = "",
        report: bytes | None = None,
    ) -> BatchJob:
        """Takes a job to its next state; all but `publishing` end the holder's lease.

        To `queued` it goes with its attempt counted. What somebody wants by then counts more: a job
        to be cancelled does not begin to publish but stays as it is, a pause that was taken back
        leaves it queued; so look at what is returned. Raises Conflict for a state that does not
        follow, and for publishing before all partitions are committed.
        """
        ...

    def release(self, job: str, token: int) -> BatchJob:
        """Gives a job back that nothing is wrong with, because its holder has to stop."""
        ...

    def report(self, job: str) -> bytes | None:
        """The report of a job, if it has one."""
        ...

    def log(self, job: str, level: Level, text: str, numbers: dict[str, Any] | None = None) -> None:
        """Adds a line to a job's log, which keeps the newest 1000; long texts are cut."""
        ...

    def log_lines(
        self,
        job: str | None = None,
        after: int = 0,
        limit: int = MOST_LISTED,
        sees: Sees | None = None,
    ) -> Sequence[LogLine]:
        """Lines with a number above `after`, the oldest first: of one job or of all."""
        ...

    def newest_line(self) -> int:
        """The number of the newest line of all; 0 before the first."""
        ...

    def sweep(self, keep_s: float) -> Sequence[str]:
        """Removes jobs that ended longer ago, with all that was kept of them; their ids."""
        ...
