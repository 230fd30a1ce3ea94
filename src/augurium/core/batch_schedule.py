"""What a schedule of batch jobs asks for: which job, and when or on which files."""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from augurium.core.batch_job import BatchSpec

Overlap = Literal["wait", "skip"]
MOST_CATCH_UP = 1000


class Interval(NamedTuple):
    """A while whose data one job scores: from `start` until before `end`, both aware.

    It lies between two times of a schedule, and its job begins when it has ended.
    """

    start: datetime
    end: datetime


class Arrival(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How files that arrive are noticed: by listing the job's input every `poll_s` seconds.

    A file counts when two listings in succession found it the same. With `marker`, it counts when
    a file of that name, such as `_SUCCESS`, is in its folder.
    """

    poll_s: Annotated[float, Meta(ge=1, le=86400)] = 60.0
    marker: Annotated[str, Meta(pattern=r"^[^/\x00]*$", max_length=255)] = ""


class BatchScheduleSpec(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A job, and when it runs: by `cron`, or on `arrival` of files.

    In the job's paths and in its `where`, `{date}` and other templates stand for the interval, by
    the clocks of `timezone` (`augurium.batch.templates`).
    """

    job: BatchSpec
    cron: Annotated[str, Meta(max_length=256)] = ""
    """Minute, hour, day of the month, month, day of the week; or hourly, daily, weekly, monthly."""
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"
    arrival: Arrival | None = None
    catch_up: bool = False
    """Whether every interval that was missed gets its job later; otherwise only the newest."""
    most_catch_up: Annotated[int, Meta(ge=1, le=MOST_CATCH_UP)] = 100
    """So many missed intervals at most, the newest; those before them are given up, and told."""
    overlap: Overlap = "wait"
    """What becomes of an interval that ends while the job of another one is not done."""
