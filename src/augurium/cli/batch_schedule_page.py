"""Schedules of batch jobs as the command line shows them."""

from datetime import datetime
from typing import TYPE_CHECKING

from augurium.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from augurium.client.batch_schedule_results import (
        BatchSchedule,
        BatchScheduleSummary,
        ScheduledRun,
    )

COLUMNS = ("name", "model", "runs", "next", "newest run", "by", "waits for")
RUN_COLUMNS = ("run", "state", "from", "to", "files", "job", "why")


def schedules_table(schedules: "Sequence[BatchScheduleSummary]") -> "RenderableType":
    """A list, one schedule a line."""
    return table(
        COLUMNS,
        [
            (
                *(one.name, one.model, times(one), next_of(one)),
                *(newest(one.last_run), one.created_by, one.problem),
            )
            for one in schedules
        ],
    )


def fields(schedule: "BatchSchedule") -> "Iterator[tuple[str, object]]":
    """All about one schedule, a line each."""
    spec = schedule.spec
    yield "schedule", schedule.name
    yield "model", schedule.model
    yield "runs", times(schedule)
    if spec.arrival is None:
        yield "catches up", f"{spec.most_catch_up} intervals" if spec.catch_up else "no"
        yield "if one still runs", "it waits" if spec.overlap == "wait" else "it is skipped"
    yield "input", ", ".join(spec.job.input.paths)
    yield "output", spec.job.output.path
    yield "next", next_of(schedule)
    if schedule.problem:
        yield "waits for", schedule.problem
    yield "created", f"{schedule.created_at:%Y-%m-%d %H:%M:%S} UTC by {schedule.created_by}"


def next_table(schedule: "BatchSchedule") -> "RenderableType":
    """The next runs, a line each, by the clocks of the schedule."""
    zone = schedule.timezone
    rows = [
        (local(one.end, zone), local(one.start, zone), local(one.end, zone))
        for one in schedule.next_runs
    ]
    return table(("next runs", "data from", "data to"), rows)


def runs_table(runs: "Sequence[ScheduledRun]", zone: str) -> "RenderableType":
    """Runs, one a line, by the clocks of the schedule."""
    return table(
        RUN_COLUMNS,
        [
            (
                *(run.number, _state(run), local(run.start, zone), local(run.end, zone)),
                *(run.files or None, run.job or None, run.reason),
            )
            for run in runs
        ],
    )


def next_sentence(schedule: "BatchSchedule") -> str:
    """What was kept, and when it runs for the first time."""
    name = f"schedule {schedule.name} of {schedule.model}"
    if schedule.on_arrival:
        return f"{name} runs when files arrive"
    if not schedule.next_runs:
        return f"{name} is paused"
    first = schedule.next_runs[0]
    zone = schedule.timezone
    return (
        f"{name} runs next at {local(first.end, zone)} for the data from"
        f" {local(first.start, zone)} on"
    )


def times(schedule: "BatchScheduleSummary") -> str:
    """When it runs."""
    return "on arrival" if schedule.on_arrival else f"{schedule.cron} ({schedule.timezone})"


def next_of(schedule: "BatchScheduleSummary") -> str:
    """When it runs next."""
    if schedule.paused:
        return "paused"
    if schedule.next_at is None:
        return "when files arrive" if schedule.on_arrival else "-"
    return local(schedule.next_at, schedule.timezone)


def newest(run: "ScheduledRun | None") -> str:
    """The newest run, in a few words."""
    return "-" if run is None else f"{run.number} {_state(run)}"


def local(moment: datetime, zone: str) -> str:
    """A time by the clocks of a zone, with its offset."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        shown = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        # the server knows a zone that this machine does not
        shown = moment
    return f"{shown:%Y-%m-%d %H:%M %z}"


def _state(run: "ScheduledRun") -> str:
    return f"{run.state} ({run.count})" if run.count > 1 else run.state
