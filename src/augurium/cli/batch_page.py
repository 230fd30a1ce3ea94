"""Batch jobs as the command line shows them."""

from typing import TYPE_CHECKING

from augurium.cli.output import printable, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from augurium.client.batch_results import BatchJob, BatchJobSummary

COLUMNS = ("id", "model", "state", "rows", "rejected", "done", "submitted", "by", "output")
MINUTE_S, HOUR_S = 60, 3600


def jobs_table(jobs: "Sequence[BatchJobSummary]") -> "RenderableType":
    """A list, one job a line."""
    return table(
        COLUMNS,
        [
            (
                *(job.id, f"{job.model}@{job.version}", standing(job)),
                *(f"{job.progress.written_rows:,}", f"{job.rejected:,}", share(job)),
                *(job.created_at, job.created_by, job.output),
            )
            for job in jobs
        ],
    )


def fields(job: "BatchJob") -> "Iterator[tuple[str, object]]":
    """All about one job, a line each."""
    progress = job.progress
    yield "job", job.id
    yield "model", f"{job.model}@{job.version}"
    yield "state", standing(job)
    if job.reason:
        yield "because", job.reason
    yield "input", job.input + (f" and {job.inputs - 1} more" if job.inputs > 1 else "")
    yield "output", job.output
    yield "rows", rows(job)
    for reason, count in progress.rejected.items():
        yield f"  {reason}", f"{count:,}"
    if job.partitions is not None:
        yield "partitions", f"{job.committed:,} of {job.partitions:,}"
    if job.started_at is not None:
        yield "time", f"{duration(job.elapsed_s)}{_rate(job)}"
    if progress.stage_s:
        yield "stages", ", ".join(f"{name} {took:.1f} s" for name, took in progress.stage_s.items())
    yield "priority", job.priority
    if job.labels:
        yield "labels", job.labels
    if job.schedule:
        yield "schedule", job.schedule
    yield "submitted", f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC by {job.created_by}"
    if job.holder and not job.ended:
        workers = f", {progress.workers} workers" if progress.workers else ""
        yield "on", f"{job.holder}{workers}"


def standing(job: "BatchJobSummary") -> str:
    """Its state, and what it is about to become."""
    coming = {"pause": "pausing", "cancel": "cancelling"}.get(job.wanted, "")
    reached = job.ended or (job.state, job.wanted) == ("paused", "pause")
    return job.state if reached or not coming else f"{job.state}, {coming}"


def line(job: "BatchJobSummary") -> str:
    """How it stands, in one line."""
    if job.state == "running" and job.partitions is None and job.wanted == "run":
        return "starting"
    said = [standing(job), share(job), rows(job)]
    if not job.ended and job.progress.rows_per_s:
        said.append(f"{job.progress.rows_per_s:,.0f} rows/s")
    if not job.ended and job.progress.eta_s is not None:
        said.append(f"{duration(job.progress.eta_s)} left")
    return printable(", ".join(part for part in said if part))


def rows(job: "BatchJobSummary") -> str:
    """What became of its rows."""
    total = f" of {job.rows:,}" if job.rows is not None and not job.ended else ""
    said = [f"{job.progress.written_rows:,}{total} rows"]
    said += [f"{job.rejected:,} rejected"] if job.rejected else []
    said += [f"{job.progress.filtered_rows:,} left out"] if job.progress.filtered_rows else []
    return ", ".join(said)


def share(job: "BatchJobSummary") -> str:
    """How much of it is done; empty if that is not known."""
    return "" if job.done is None else f"{job.done:.0%}"


def duration(seconds: float) -> str:
    """A time for people, such as `1 h 05 min`."""
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{seconds:.1f} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S:02d} s"
    return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S:02d} min"


def _rate(job: "BatchJobSummary") -> str:
    return f", {job.progress.read_rows / job.elapsed_s:,.0f} rows/s" if job.elapsed_s >= 1 else ""
