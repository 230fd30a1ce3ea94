"""What stands for the interval in paths and filters."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.templates import check_templates, fill, job_of
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.batch_schedule import Interval
from augurium.core.errors import InvalidArgument

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Interval(
    datetime(2026, 11, 1, 2, tzinfo=BERLIN).astimezone(UTC),
    datetime(2026, 11, 2, 2, tzinfo=BERLIN).astimezone(UTC),
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("s3://in/day={date}/", "s3://in/day=2026-11-01/"),
        ("{year}/{month}/{day}/{hour}", "2026/11/01/02"),
        ("{start}..{end}", "2026-11-01T02:00:00+01:00..2026-11-02T02:00:00+01:00"),
        ("{date-1d} {date+1d} {date-1w}", "2026-10-31 2026-11-02 2026-10-25"),
        ("{month-1d}", "10"),
        ("{hour-3h} {date-3h} {hour+24h}", "23 2026-10-31 02"),
        ("run-{run}", "run-000017"),
        ("{{date}} *.parquet", "{date} *.parquet"),
        ("no templates", "no templates"),
    ],
)
def test_templates_stand_for_the_interval_by_the_clocks_of_its_zone(text: str, filled: str) -> None:
    assert fill(text, NIGHT, BERLIN, 17) == filled


def test_a_day_earlier_is_the_same_time_and_24_hours_earlier_are_real_ones() -> None:
    # 25 October has 25 hours
    monday = datetime(2026, 10, 26, 1, 30, tzinfo=BERLIN)
    interval = Interval(monday, monday + timedelta(hours=1))

    assert fill("{start-1d}", interval, BERLIN, 1) == "2026-10-25T01:30:00+02:00"
    assert fill("{start-24h}", interval, BERLIN, 1) == "2026-10-25T02:30:00+02:00"


def test_an_hour_that_is_shown_twice_has_two_beginnings() -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)
    intervals = [
        Interval(first + timedelta(hours=n), first + timedelta(hours=n + 1)) for n in (0, 1)
    ]

    assert [fill("{hour}", one, BERLIN, 1) for one in intervals] == ["02", "02"]
    assert [fill("{start}", one, BERLIN, 1)[-6:] for one in intervals] == ["+02:00", "+01:00"]


@pytest.mark.parametrize(
    "text",
    ["{dat}", "{}", "{date", "date}", "{a,b}", "{date-1}", "{date-1y}", "{run+1d}", "{date:%Y}"],
)
def test_what_is_no_template_is_refused_with_those_that_there_are(text: str) -> None:
    job = BatchSpec(
        model="churn", input=InputSpec(paths=("in",)), output=OutputSpec(path=f"out/{text}")
    )
    with pytest.raises(InvalidArgument, match=r"is no template; expected one of \{date\}, .*\{\{"):
        check_templates(job)


def test_paths_filter_and_output_of_a_job_are_filled_in() -> None:
    job = BatchSpec(
        model="churn",
        input=InputSpec(paths=("in/{date}", "late/{date-1d}"), where="at >= '{start}'"),
        output=OutputSpec(path="out/{date}"),
    )

    filled = job_of(job, NIGHT, BERLIN, 1)

    assert filled.input.paths == ("in/2026-11-01", "late/2026-10-31")
    assert filled.input.where == "at >= '2026-11-01T02:00:00+01:00'"
    assert filled.output.path == "out/2026-11-01"
    assert filled.model == "churn"


@given(st.text(alphabet="ab{}/-+1dhw", max_size=20))
def test_no_text_is_filled_with_anything_but_itself_or_what_was_asked_for(text: str) -> None:
    try:
        filled = fill(text, NIGHT, UTC, 1)
    except InvalidArgument:
        return
    assert filled == text.replace("{{", "{").replace("}}", "}")
