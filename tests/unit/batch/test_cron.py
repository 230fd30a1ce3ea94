"""Cron expressions against tables written by hand, and against looking at every minute."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.cron import Cron
from augurium.core.errors import InvalidArgument

BERLIN = "Europe/Berlin"


def fired(text: str, zone: str, begin: str, count: int) -> list[str]:
    """The first moments after `begin`, as clocks in the zone show them, with their offset."""
    start = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone))
    moments = islice(Cron(text, zone).after(start), count)
    return [f"{one.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for one in moments]


# on 29 March 2026 clocks in Berlin go from 02:00 to 03:00, on 25 October from 03:00 back to 02:00
@pytest.mark.parametrize(
    ("text", "begin", "expected"),
    [
        ("hourly", "2026-03-29T00:30", ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]),
        ("0 2 * * *", "2026-03-28T00:00", ["28 02:00 +0100", "29 03:00 +0200", "30 02:00 +0200"]),
        ("30 2 * * *", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0 2,3 * * *", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
        ("daily", "2026-03-28T12:00", ["29 00:00 +0100", "30 00:00 +0200"]),
        ("*/30 * * * *", "2026-03-29T01:15", ["29 01:30 +0100", "29 03:00 +0200"]),
    ],
)
def test_what_falls_into_the_skipped_hour_comes_when_the_clocks_go_on(
    text: str, begin: str, expected: list[str]
) -> None:
    assert fired(text, BERLIN, begin, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "begin", "expected"),
    [
        (
            "hourly",
            "2026-10-25T01:30",
            ["25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100", "25 04:00 +0100"],
        ),
        ("0 2 * * *", "2026-10-24T12:00", ["25 02:00 +0200", "26 02:00 +0100"]),
        ("30 2 * * *", "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("0 2,3 * * *", "2026-10-24T12:00", ["25 02:00 +0200", "25 03:00 +0100", "26 02:00 +0100"]),
        ("daily", "2026-10-24T12:00", ["25 00:00 +0200", "26 00:00 +0100"]),
        (
            "*/30 * * * *",
            "2026-10-25T01:45",
            ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100"],
        ),
    ],
)
def test_fixed_times_fire_once_and_others_in_both_of_two_hours_that_are_called_the_same(
    text: str, begin: str, expected: list[str]
) -> None:
    assert fired(text, BERLIN, begin, len(expected)) == expected


def test_a_fixed_time_does_not_fire_again_for_one_who_asks_within_the_second_hour() -> None:
    second_hour = datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo(BERLIN), fold=1)

    assert next(Cron("30 2 * * *", BERLIN).after(second_hour)).day == 26


def test_midnight_that_the_clocks_skip_comes_at_one() -> None:
    # in Cairo the clocks go from 00:00 to 01:00 on 24 April 2026
    expected = ["24 01:00 +0300", "25 00:00 +0300"]

    assert fired("daily", "Africa/Cairo", "2026-04-23T12:00", 2) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hourly", "2026-02-28 23:00"),
        ("daily", "2026-02-28 00:00"),
        ("weekly", "2026-02-23 00:00"),
        ("Monthly", "2026-02-01 00:00"),
        ("0 6 * * MON-FRI", "2026-02-27 06:00"),
        ("0 0 L * *", "2026-02-28 00:00"),
        ("0 12 29 2 *", "2024-02-29 12:00"),
    ],
)
def test_the_newest_moment_is_found_however_long_ago_it_was(text: str, expected: str) -> None:
    found = Cron(text).newest(datetime(2026, 2, 28, 23, 59, tzinfo=UTC), 1)

    assert [f"{one:%Y-%m-%d %H:%M}" for one in found] == [expected]


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "every day", "0 25 * * *", "x x"],
)
def test_what_is_no_cron_expression_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"cannot be read: .*0 2 \* \* \*"):
        Cron(text)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no time zone known"):
        Cron("daily", "Europe/Atlantis")


ZONES = ("UTC", BERLIN, "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata")
# days around changes of the clocks of all of these, and one far from any
DAYS = ("2026-03-07", "2026-03-28", "2026-04-04", "2026-04-23", "2026-10-24", "2026-10-31")
MINUTES = ("0", "30", "15,45", "*", "*/20", "10-12")
HOURS = ("*", "*/3", "2", "0,1,2,3", "1-4", "23", "0")
BEGINS = st.builds(
    lambda day, minutes: (
        datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from([*DAYS, "2026-07-01"]),
    st.integers(0, 36 * 60),
)


@given(st.sampled_from(MINUTES), st.sampled_from(HOURS), st.sampled_from(ZONES), BEGINS)
def test_moments_are_those_that_looking_at_every_minute_finds(
    minute: str, hour: str, zone: str, begin: datetime
) -> None:
    end = begin + timedelta(hours=40)
    cron = Cron(f"{minute} {hour} * * *", zone)

    found = [one for one in islice(cron.after(begin), 3000) if one <= end]

    assert found == sorted(looked_at(minute, hour, ZoneInfo(zone), begin, end))


@given(st.sampled_from(MINUTES), st.sampled_from(HOURS), st.sampled_from(ZONES), BEGINS)
def test_the_newest_moments_are_the_last_that_come_after_an_earlier_one(
    minute: str, hour: str, zone: str, begin: datetime
) -> None:
    cron, until = Cron(f"{minute} {hour} * * *", zone), begin + timedelta(hours=40)
    between = [one for one in islice(cron.after(begin), 3000) if one <= until]

    assert cron.newest(until, 5, since=begin) == between[-5:]
    assert cron.newest(until, 1) == (between or cron.newest(begin, 1))[-1:]
    assert all(earlier < later for earlier, later in pairwise(cron.newest(until, 50)))


def looked_at(
    minute: str, hour: str, zone: ZoneInfo, begin: datetime, end: datetime
) -> set[datetime]:
    if minute.startswith("*") or hour.startswith("*"):
        return {
            moment
            for moment in minutes(begin.replace(second=0) + timedelta(minutes=1), end)
            if matches(moment.astimezone(zone), minute, hour)
        }
    clocks = minutes(begin.replace(tzinfo=None) - timedelta(days=2), end.replace(tzinfo=None))
    clocks += minutes(clocks[-1], clocks[-1] + timedelta(days=2))
    wanted = [clock for clock in clocks if matches(clock, minute, hour)]
    shown = {real(clock, zone) for clock in wanted}
    return {moment for moment in shown if begin < moment <= end}


def real(clock: datetime, zone: ZoneInfo) -> datetime:
    """When clocks first show this, or the first time after it that they do show."""
    while True:
        moment = clock.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == clock:
            return moment
        clock += timedelta(minutes=1)


def minutes(begin: datetime, end: datetime) -> list[datetime]:
    count = int((end - begin) / timedelta(minutes=1))
    return [begin + timedelta(minutes=minute) for minute in range(count + 1)]


def matches(clock: datetime, minute: str, hour: str) -> bool:
    return clock.minute in field(minute, 60) and clock.hour in field(hour, 24)


def field(text: str, size: int) -> set[int]:
    if text.startswith("*"):
        return set(range(0, size, int(text[2:] or 1)))
    if "-" in text:
        first, last = map(int, text.split("-"))
        return set(range(first, last + 1))
    return set(map(int, text.split(",")))
