"""Templates in the paths and filters of scheduled jobs: `s3://in/day={date}/`.

They stand for the interval whose data the job scores, by the clocks of the schedule's zone:

    {date}                   2026-11-01, the day on which it begins
    {year} {month} {day} {hour}      2026 11 01 02
    {start} {end}            2026-11-01T02:00:00+01:00
    {run}                    the number of the run, 000017

`{date-1d}`, `{hour+2h}` and `{day-1w}` are so much earlier or later: days and weeks by the
calendar, hours by real time. `{{` and `}}` are braces.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import structs

from augurium.core.batch_job import BatchSpec
from augurium.core.batch_schedule import Interval
from augurium.core.errors import InvalidArgument

PARTS: dict[str, str] = {
    "date": "%Y-%m-%d",
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
}
NAMES = (*PARTS, "start", "end", "run")
_piece = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_template = re.compile(r"(?P<name>[a-z]+)(?:(?P<amount>[+-][0-9]{1,4})(?P<unit>[hdw]))?")
_ANY = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def job_of(job: BatchSpec, interval: Interval, zone: tzinfo, run: int) -> BatchSpec:
    """The job of an interval: every template in its paths and its filter is filled in."""

    def filled(text: str) -> str:
        return fill(text, interval, zone, run)

    rows = structs.replace(
        job.input, paths=tuple(map(filled, job.input.paths)), where=filled(job.input.where)
    )
    output = structs.replace(job.output, path=filled(job.output.path))
    return structs.replace(job, input=rows, output=output)


def check_templates(job: BatchSpec) -> None:
    """Raises InvalidArgument for a template that is none."""
    job_of(job, _ANY, UTC, 1)


def fill(text: str, interval: Interval, zone: tzinfo, run: int) -> str:
    """The text with what its templates stand for. Raises InvalidArgument for what is no template.

    What is filled in is digits and `-:T+` alone, so that it means nothing to SQL or to globs.
    """

    def value(piece: re.Match[str]) -> str:
        if piece[0] in ("{{", "}}"):
            return piece[0][0]
        found = _template.fullmatch(piece[1] or "")
        if found is None or found["name"] not in NAMES or _moved_run(found):
            raise _unknown(piece[0], text)
        return f"{run:06d}" if found["name"] == "run" else _moment(found, interval, zone)

    return _piece.sub(value, text)


def _moved_run(found: re.Match[str]) -> bool:
    return found["name"] == "run" and found["amount"] is not None


def _moment(found: re.Match[str], interval: Interval, zone: tzinfo) -> str:
    name = found["name"]
    moment = _shifted(interval.end if name == "end" else interval.start, zone, found)
    return moment.strftime(PARTS[name]) if name in PARTS else moment.isoformat("T", "seconds")


def _shifted(moment: datetime, zone: tzinfo, found: re.Match[str]) -> datetime:
    amount, moment = int(found["amount"] or 0), moment.astimezone(UTC)
    # hours are real ones, also where the clocks change in between; a day later is the same time of
    # the next day, however long that day is
    if found["unit"] == "h":
        return (moment + timedelta(hours=amount)).astimezone(zone)
    local = moment.astimezone(zone)
    if amount:
        local += timedelta(days=amount * (7 if found["unit"] == "w" else 1))
    # a time that the clocks skip becomes the one that they show instead
    return local.astimezone(UTC).astimezone(zone)


def _unknown(piece: str, text: str) -> InvalidArgument:
    return InvalidArgument(
        f"'{piece[:64]}' in '{text[:128]}' is no template; expected one of"
        f" {', '.join('{' + name + '}' for name in NAMES)}, also as {{date-1d}} or {{hour+2h}};"
        " braces themselves are written {{ and }}"
    )
