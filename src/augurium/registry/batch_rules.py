"""How batch jobs change: pure functions that every store of them keeps to."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.identifiers import check_name, new_id
from augurium.registry.batch_records import (
    BatchDraft,
    BatchJob,
    BatchProgress,
    JobPlan,
    JobState,
    Level,
    LogLine,
    Wanted,
)
from augurium.registry.batch_store import MOST_LISTED, LeaseLost
from augurium.registry.draft_limits import check_key, check_text
from augurium.registry.lease_watch import Lease

MAX_SPEC_BYTES = 1024 * 1024
MAX_HOLDER_BYTES = 256
MAX_REASON_LENGTH = 4000
MAX_LINE_LENGTH = 2000
# what the audit log calls what somebody wants
ACTIONS: dict[Wanted, str] = {
    "run": "resume_batch_job",
    "pause": "pause_batch_job",
    "cancel": "cancel_batch_job",
}
_NEXT: dict[JobState, frozenset[JobState]] = {
    "running": frozenset({"queued", "paused", "publishing", "failed", "cancelled"}),
    "publishing": frozenset({"queued", "succeeded", "failed"}),
}


def check_batch_draft(draft: BatchDraft) -> None:
    """Raises InvalidArgument for a request above 1 MiB of JSON, a bad name of a schedule or a bad
    idempotency key.
    """
    size = len(msgspec.json.encode(draft.spec))
    if size > MAX_SPEC_BYTES:
        raise InvalidArgument(
            f"the job takes {size} bytes of JSON; at most {MAX_SPEC_BYTES} are allowed; name"
            " folders or globs instead of single files"
        )
    if draft.schedule:
        check_name("schedule", draft.schedule)
    if draft.idempotency_key is not None:
        check_key(draft.idempotency_key)


def check_holder(holder: str) -> None:
    """Raises InvalidArgument unless a text of 1 to 256 bytes."""
    if not holder:
        raise InvalidArgument("holder is empty; expected a name of who claims")
    check_text("holder", holder, MAX_HOLDER_BYTES)


def check_listed(limit: int) -> None:
    """Raises InvalidArgument unless 1 to 1000."""
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidArgument(f"limit {limit} is not allowed; expected 1 to {MOST_LISTED}")


def check_keep(keep_s: float) -> None:
    """Raises InvalidArgument for a time that is negative or not finite."""
    if not 0 <= keep_s < 1e10:
        raise InvalidArgument(f"jobs cannot be kept for {keep_s:g} seconds; expected 0 or more")


def kept_text(text: str, most: int) -> str:
    """A text as a database takes it, at most so long: what files hold may be no Unicode, or NUL."""
    return text[:most].encode(errors="replace").decode().replace("\0", "\ufffd")


def job_not_found(job: str) -> NotFound:
    """What is said of an id that no job has."""
    return NotFound(f"there is no batch job '{job[:64]}'; see `augurium batch list`")


def check_same_job(first: BatchJob, draft: BatchDraft) -> None:
    """Raises Conflict when an idempotency key comes back with another request."""
    if first.spec != draft.spec:
        raise Conflict(
            f"idempotency key '{draft.idempotency_key}' submitted another job, {first.id} of"
            f" '{first.model}'; use a new key for a new job"
        )


def submitted(draft: BatchDraft, number: int, at: datetime, actor: str) -> BatchJob:
    """The job that a draft becomes."""
    given = msgspec.structs.asdict(draft)
    return BatchJob(**given, id=new_id(), number=number, created_at=at, created_by=actor)


def wished(job: BatchJob, wanted: Wanted, at: datetime) -> BatchJob:
    """The job once somebody wants it to run, pause or be cancelled; itself if that is so already.

    Raises Conflict.
    """
    if (wanted, job.state) in (("cancel", "cancelled"), ("run", "publishing")):
        return job
    _check_open(job)
    if job.wanted == wanted:
        return job
    if job.wanted == "cancel":
        raise Conflict(f"batch job {job.id} is being cancelled; retry it when it has ended")
    if job.held:
        return replace(job, wanted=wanted)
    if wanted == "cancel" and job.token == 0:
        return replace(job, state="cancelled", wanted="run", ended_at=at)
    return replace(job, state="paused" if wanted == "pause" else "queued", wanted=wanted)


def retried(job: BatchJob) -> BatchJob:
    """A job that failed or was cancelled, waiting again. Raises Conflict for others."""
    if job.state not in ("failed", "cancelled"):
        raise Conflict(
            f"batch job {job.id} is {job.state}; only a job that failed or was cancelled can be"
            " retried"
        )
    return replace(
        job, state="queued", reason="", attempts=0, ended_at=None, progress=BatchProgress()
    )


def claimable(job: BatchJob, lapsed: Collection[Lease], may_begin: bool = True) -> bool:
    """Whether the job may be claimed: it waits, was left in the middle, or its lease has lapsed."""
    if job.held:
        return (job.id, job.token, job.beat) in lapsed
    left = job.wanted == "cancel" or job.state == "publishing"
    return not job.ended and (left or (may_begin and job.state == "queued"))


def claimed(job: BatchJob, holder: str, at: datetime) -> BatchJob:
    """The job in the hands of a new holder."""
    return replace(
        job,
        state="publishing" if job.state == "publishing" else "running",
        reason="",
        token=job.token + 1,
        beat=0,
        holder=holder,
        attempts=job.attempts + 1,
        started_at=job.started_at or at,
    )


def check_lease(job: BatchJob, token: int) -> None:
    """Raises LeaseLost unless the job is held with this token."""
    if job.held and job.token == token:
        return
    now = f"held by {job.holder} with token {job.token}" if job.held else job.state
    raise LeaseLost(
        f"batch job {job.id} is {now}, and token {token} holds it no more; stop, and leave what"
        " was not committed"
    )


def renewed(job: BatchJob, token: int, progress: BatchProgress) -> BatchJob:
    """The job after a sign of life."""
    check_lease(job, token)
    return replace(job, beat=job.beat + 1, progress=progress)


def with_plan(job: BatchJob, token: int, plan: JobPlan) -> BatchJob:
    """The job with its plan; itself if it has one. Raises InvalidArgument for less than none."""
    check_lease(job, token)
    if plan.partitions < 0:
        raise InvalidArgument(f"{plan.partitions} partitions cannot be planned")
    if job.partitions is not None:
        return job
    return replace(job, partitions=plan.partitions, rows=plan.rows)


def started_over(job: BatchJob, token: int) -> BatchJob:
    """The job without plan and partitions."""
    check_lease(job, token)
    if job.state == "publishing":
        raise Conflict(f"batch job {job.id} is publishing its files and cannot start over")
    return replace(job, partitions=None, rows=None, committed=0)


def with_partition(job: BatchJob, token: int, number: int) -> BatchJob:
    """The job with one more partition that is done."""
    check_lease(job, token)
    if job.state != "running":
        raise Conflict(f"batch job {job.id} is {job.state}; nothing more can be committed")
    if job.partitions is None or not 0 <= number < job.partitions:
        planned = "no plan" if job.partitions is None else f"{job.partitions} partitions"
        raise InvalidArgument(f"batch job {job.id} has {planned}, so no partition {number}")
    return replace(job, committed=job.committed + 1, attempts=0)


def moved(job: BatchJob, token: int, state: JobState, reason: str, at: datetime) -> BatchJob:
    """The job in its next state, or in the one that somebody wants by now. Raises Conflict."""
    check_lease(job, token)
    if state not in _NEXT[job.state]:
        raise Conflict(f"batch job {job.id} is {job.state} and cannot become {state}")
    reason = kept_text(reason, MAX_REASON_LENGTH)
    if state == "publishing":
        return _publishing(job)
    if state == "queued":
        return replace(_let_go(job), reason=reason)
    if state == "paused":
        return replace(_unfailed(_let_go(job)), reason=reason)
    if state == "cancelled" and job.wanted != "cancel":
        raise Conflict(f"batch job {job.id} shall {job.wanted}, nobody wants it cancelled")
    return replace(job, state=state, reason=reason, wanted="run", holder="", ended_at=at)


def released(job: BatchJob, token: int) -> BatchJob:
    """The job for the next holder, with the attempt not counted."""
    check_lease(job, token)
    return _unfailed(_let_go(job))


def log_line(
    job: BatchJob,
    number: int,
    at: datetime,
    level: Level,
    text: str,
    numbers: dict[str, Any] | None,
) -> LogLine:
    """The line that is kept of a job."""
    return LogLine(
        number=number,
        job=job.id,
        model=job.model,
        at=at,
        level=level,
        text=kept_text(text, MAX_LINE_LENGTH),
        numbers=numbers or {},
    )


def _check_open(job: BatchJob) -> None:
    if job.ended:
        raise Conflict(
            f"batch job {job.id} has ended: it {_ENDS[job.state]}; "
            + ("submit it again" if job.state == "succeeded" else "retry it to have it run again")
        )
    if job.state == "publishing":
        raise Conflict(
            f"batch job {job.id} is publishing its files, all rows are scored; wait for its end"
        )


_ENDS: dict[JobState, str] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
}


def _publishing(job: BatchJob) -> BatchJob:
    if job.wanted == "cancel":
        return job
    if job.partitions is None or job.committed < job.partitions:
        raise Conflict(
            f"batch job {job.id} has committed {job.committed} of"
            f" {'no plan' if job.partitions is None else job.partitions} partitions; it cannot"
            " publish before all are"
        )
    return replace(job, state="publishing", wanted="run")


def _let_go(job: BatchJob) -> BatchJob:
    """Without a holder, and as it is wanted. What is half visible has to be finished, so it stays
    `publishing`.
    """
    if job.state == "publishing":
        return replace(job, holder="")
    return replace(job, state="paused" if job.wanted == "pause" else "queued", holder="")


def _unfailed(job: BatchJob) -> BatchJob:
    return replace(job, attempts=max(0, job.attempts - 1))
