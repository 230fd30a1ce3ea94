"""Whether a schedule can be, said before its first night."""

from datetime import datetime, timedelta

from augurium.batch.cron import EXAMPLE, Cron
from augurium.batch.due import through_of, upcoming
from augurium.batch.templates import check_templates, job_of
from augurium.core.batch_schedule import BatchScheduleSpec, Interval
from augurium.core.errors import InvalidArgument
from augurium.core.time_zones import time_zone

# of a day, by the hour, and of the first hours of the next one
LOOKED_AT = 26


def check_spec(spec: BatchScheduleSpec, now: datetime) -> None:
    """Raises InvalidArgument for a schedule that does not know when, whose templates are none, or
    whose second run would find the output of the first in its place.
    """
    time_zone(spec.timezone)
    check_templates(spec.job)
    if bool(spec.cron) == (spec.arrival is not None):
        raise InvalidArgument(
            f"a schedule runs by cron, such as {EXAMPLE}, or on arrival of files; give one of them"
        )
    if spec.arrival is not None and (spec.catch_up or spec.overlap == "skip"):
        raise InvalidArgument(
            "a schedule on arrival takes every file that has arrived, when the job before is done;"
            " leave out catch_up and overlap"
        )
    _check_output(spec, _intervals(spec, now))


def _intervals(spec: BatchScheduleSpec, now: datetime) -> tuple[Interval, ...]:
    if spec.arrival is None:
        cron = Cron(spec.cron, spec.timezone)
        return upcoming(cron, through_of(cron, now), LOOKED_AT)
    later = now + timedelta(seconds=spec.arrival.poll_s)
    return (Interval(now, now), Interval(now, later))


def _check_output(spec: BatchScheduleSpec, intervals: tuple[Interval, ...]) -> None:
    if spec.job.output.mode != "fail":
        return
    zone = time_zone(spec.timezone)
    paths = [
        job_of(spec.job, interval, zone, number).output.path
        for number, interval in enumerate(intervals, 1)
    ]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise InvalidArgument(
            f"several runs would write to {twice}, and a job does not write to a folder that is not"
            " empty; put {start} or {run} in the output's path, or set its mode to append or"
            " overwrite"
        )
