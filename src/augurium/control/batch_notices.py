"""What receivers of webhooks are told of runs of schedules: how each ended, once it has."""

from datetime import datetime

from msgspec import Struct

from augurium.registry.batch_schedule_records import BatchRun


class BatchNotice(Struct, frozen=True, kw_only=True):
    """How a run ended: `kind` is `batch_succeeded`, `batch_failed`, `batch_cancelled`,
    `batch_skipped` or `batch_missed`. `job` is empty where there was none.
    """

    kind: str
    schedule: str
    model: str
    run: int
    run_id: str
    job: str
    at: datetime
    start: datetime
    end: datetime
    count: int
    """Intervals that it is about: of those that were missed, maybe several."""
    files: int
    text: str

    @property
    def topic(self) -> str:
        """What receivers of webhooks know it as."""
        return self.kind.replace("_", ".", 1)

    @property
    def message_id(self) -> str:
        """The same for every time that it is sent, by whichever control."""
        return f"{self.run_id}.{self.kind}"


def notice(run: BatchRun) -> BatchNotice:
    """What is told of a run that has ended."""
    said = f"run {run.number} of schedule '{run.schedule}' {_ended(run)}"
    return BatchNotice(
        kind=f"batch_{run.state}",
        schedule=run.schedule,
        model=run.model,
        run=run.number,
        run_id=run.id,
        job=run.job,
        at=run.ended_at or run.created_at,
        start=run.start,
        end=run.end,
        count=run.count,
        files=run.files,
        text=f"{said}: {run.reason}" if run.reason else said,
    )


def _ended(run: BatchRun) -> str:
    return run.state if run.state in ("succeeded", "failed") else f"was {run.state}"
