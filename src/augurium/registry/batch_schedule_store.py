"""The port of the store of schedules of batch jobs, and the rules that every adapter keeps."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
from msgspec.structs import asdict, replace

from augurium.core.batch_schedule import BatchScheduleSpec
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.identifiers import check_name, new_id
from augurium.registry.batch_schedule_records import (
    OPEN,
    WITHOUT_JOB,
    ArrivedFile,
    BatchRun,
    BatchSchedule,
    RunDraft,
    RunState,
)
from augurium.registry.registry import Sees

MOST_SCHEDULES = 1000
MOST_LISTED = 1000
# of one schedule; older ones are let go when they have ended
MOST_RUNS = 1000
MAX_SPEC_BYTES = 512 * 1024
MAX_REASON_LENGTH = 4000


class BatchScheduleStore(Protocol):
    """Schedules and their runs, kept with the registry. Every method blocks.

    Every change is one transaction, whole or not at all; what a person decides stands in the
    registry's audit log in the same one. Raises NotFound for a schedule that there is not, and
    NotReady when the database cannot be used.
    """

    def create(
        self, name: str, spec: BatchScheduleSpec, through: datetime, actor: str, anew: bool = False
    ) -> BatchSchedule:
        """Keeps a schedule. With `anew` one of this name is changed, and keeps its runs and the
        files that it has seen.

        Raises Conflict for a name that is taken, and NotFound for an unknown model.
        """
        ...

    def get(self, name: str) -> BatchSchedule:
        """One schedule."""
        ...

    def find(self, model: str | None = None, sees: Sees | None = None) -> Sequence[BatchSchedule]:
        """Schedules by name: of one model or of all, of models that are seen."""
        ...

    def pause(self, name: str, actor: str) -> BatchSchedule:
        """Lets a schedule rest; one that rests already stays so."""
        ...

    def resume(self, name: str, through: datetime, actor: str) -> BatchSchedule:
        """Lets one that rests go on, with what comes after `through`."""
        ...

    def delete(self, name: str, actor: str) -> None:
        """Forgets a schedule, its runs and the files that it has seen; jobs stay."""
        ...

    def claim(
        self, schedule: BatchSchedule, through: datetime, drafts: Sequence[RunDraft]
    ) -> Sequence[BatchRun]:
        """Writes runs down, and how far the schedule has come with them.

        Of several who do so for one schedule as they know it, one does; the others get Conflict.
        Intervals that have a run already get none.
        """
        ...

    def claim_files(
        self, schedule: BatchSchedule, draft: RunDraft, files: Sequence[ArrivedFile]
    ) -> BatchRun | None:
        """Writes a run down with those of the files that are new to the schedule; None, and no
        change, if all have been in a run before. Raises Conflict as `claim`.
        """
        ...

    def unseen(self, name: str, files: Collection[ArrivedFile]) -> frozenset[ArrivedFile]:
        """Which of these files are new to a schedule."""
        ...

    def order(
        self, name: str, drafts: Sequence[RunDraft], actor: str, again: bool = False
    ) -> Sequence[BatchRun]:
        """Writes runs down that a person wants; those of intervals that had a job only `again`."""
        ...

    def runs(self, name: str, limit: int = 100, before: int | None = None) -> Sequence[BatchRun]:
        """Runs, the newest first, with a number below `before`."""
        ...

    def open_runs(self) -> Sequence[BatchRun]:
        """Runs of all schedules that have not ended, the oldest first."""
        ...

    def files(self, run: BatchRun) -> Sequence[str]:
        """Where the files of a run are, in order."""
        ...

    def move(self, run: BatchRun, state: RunState, job: str = "", reason: str = "") -> bool:
        """Brings a run from the state that it was seen in to another one; False, and no change, if
        it is in another one, or gone.
        """
        ...

    def untold(self) -> Sequence[BatchRun]:
        """Runs that have ended without that anybody was told, the oldest first."""
        ...

    def tell(self, runs: Sequence[BatchRun]) -> None:
        """Writes down that receivers of events were told of the end of these runs."""
        ...


def check_schedule(name: str, spec: BatchScheduleSpec) -> None:
    """Raises InvalidArgument for a name that is none, and for more than 512 KiB of JSON."""
    check_name("schedule", name)
    size = len(msgspec.json.encode(spec))
    if size > MAX_SPEC_BYTES:
        raise InvalidArgument(
            f"the schedule takes {size} bytes of JSON; at most {MAX_SPEC_BYTES} are allowed; name"
            " folders or globs instead of single files"
        )


def check_listed(limit: int) -> None:
    """Raises InvalidArgument unless 1 to 1000."""
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidArgument(f"limit {limit} is not allowed; expected 1 to {MOST_LISTED}")


def check_count(known: int) -> None:
    """Raises Conflict if there are as many schedules as there may be."""
    if known >= MOST_SCHEDULES:
        raise Conflict(
            f"there are {known} schedules already, which is the most; delete one that is not"
            " needed with `augurium batch schedule delete`"
        )


def schedule_not_found(name: str) -> NotFound:
    """What is said of a name that no schedule has."""
    return NotFound(
        f"there is no schedule '{name[:64]}'; see those there are with"
        " `augurium batch schedule list`"
    )


def check_current(known: BatchSchedule, seen: BatchSchedule) -> None:
    """Raises Conflict for a claim by one who has not seen the newest state."""
    if (known.id, known.revision) != (seen.id, seen.revision) or known.paused:
        raise Conflict(f"schedule '{known.name}' was changed meanwhile; look at it again")


def created(
    known: BatchSchedule | None,
    name: str,
    spec: BatchScheduleSpec,
    at: tuple[datetime, datetime],
    actor: str,
    anew: bool,
) -> BatchSchedule:
    """What becomes of a name that has `known`, by somebody at a time, with what it is through.

    Raises Conflict for a name that is taken.
    """
    now, through = at
    if known is None:
        return BatchSchedule(
            id=new_id(), name=name, spec=spec, through=through, created_at=now, created_by=actor
        )
    if not anew:
        raise Conflict(
            f"there is a schedule '{name}' already, created by {known.created_by}; change it with"
            " --replace, or use another name"
        )
    return replace(known, spec=spec, through=through, revision=known.revision + 1)


def run_of(schedule: BatchSchedule, draft: RunDraft, at: datetime, actor: str) -> BatchRun:
    """The next run of a schedule."""
    return BatchRun(
        **asdict(draft),
        id=new_id(),
        number=schedule.runs + 1,
        schedule=schedule.name,
        model=schedule.model,
        created_at=at,
        created_by=actor,
        ended_at=None if draft.state in OPEN else at,
    )


def had_job(run: BatchRun) -> bool:
    """Whether it counts as the run of its interval."""
    return run.state not in WITHOUT_JOB


def moved(run: BatchRun, state: RunState, job: str, reason: str, at: datetime) -> BatchRun:
    """A run in its next state."""
    return replace(
        run,
        state=state,
        job=job or run.job,
        reason=reason[:MAX_REASON_LENGTH],
        ended_at=None if state in OPEN else at,
    )


def digest_of(file: ArrivedFile) -> bytes:
    """What a file is known by, in 16 bytes: its place and what is in it."""
    return blake2b(f"{file.location}\0{file.identity}".encode(), digest_size=16).digest()


def details_of(schedule: BatchSchedule) -> dict[str, Any]:
    """What the audit log says of a schedule."""
    spec = schedule.spec
    when = spec.cron and {"cron": spec.cron, "timezone": spec.timezone}
    return {"schedule": schedule.name, **(when or {"on_arrival": True})}


def ordered_details(schedule: BatchSchedule, runs: Sequence[BatchRun]) -> dict[str, Any]:
    """What the audit log says of runs that somebody wanted."""
    return {
        "schedule": schedule.name,
        "runs": len(runs),
        "start": min(run.start for run in runs).isoformat(),
        "end": max(run.end for run in runs).isoformat(),
    }
