from datetime import UTC, datetime

import pytest

from augurium.core.errors import InvalidArgument
from augurium.scaling.schedule import read_schedule

# a Monday
MONDAY = (2026, 1, 5)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def test_a_window_holds_from_its_first_minute_until_before_its_last() -> None:
    schedule = read_schedule("weekdays 08:00-18:00 min 4")

    assert not schedule.holds(at(5, 7, 59))
    assert schedule.holds(at(5, 8))
    assert schedule.holds(at(5, 17, 59))
    assert not schedule.holds(at(5, 18))
    assert not schedule.holds(at(10, 12))
    assert (schedule.smallest, schedule.largest) == (4, None)


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    schedule = read_schedule("fri 22:00-06:00 max 1")

    assert schedule.holds(at(9, 23))
    assert schedule.holds(at(10, 5, 59))
    assert not schedule.holds(at(9, 5))
    assert not schedule.holds(at(10, 23))


def test_a_window_follows_the_clocks_of_its_zone_through_summer_time() -> None:
    schedule = read_schedule("daily 08:00-09:00 Europe/Berlin min 2")

    assert schedule.holds(datetime(2026, 1, 5, 7, 30, tzinfo=UTC))
    assert schedule.holds(datetime(2026, 7, 6, 6, 30, tzinfo=UTC))
    assert not schedule.holds(datetime(2026, 7, 6, 7, 30, tzinfo=UTC))


def test_one_that_names_no_zone_has_that_of_the_settings() -> None:
    assert read_schedule("daily 00:00-24:00 min 1", "Asia/Tokyo").zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("daily", (0, 1, 2, 3, 4, 5, 6)),
        ("weekends", (5, 6)),
        ("mon-wed", (0, 1, 2)),
        ("fri-mon", (0, 4, 5, 6)),
        ("mon+thu", (0, 3)),
        ("sun", (6,)),
    ],
)
def test_days_are_words_and_ranges(days: str, expected: tuple[int, ...]) -> None:
    assert read_schedule(f"{days} 00:00-24:00 min 1").days == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "such as 'weekdays"),
        ("weekdays 8-18 min 4", "such as 'weekdays"),
        ("weekdays 08:00-18:00", "neither min nor max"),
        ("weekdays 08:00-18:00 min 4 max 3", "min 4 is above max 3"),
        ("funday 08:00-18:00 min 4", "'funday' is no day"),
        ("mon- 08:00-18:00 min 4", "'mon-' is no day"),
        ("mon 08:00-18:60 min 4", "no time of the day"),
        ("mon 08:00-25:00 min 4", "no time of the day"),
        ("mon 08:00-08:00 min 4", "holds no time"),
        ("mon 24:00-08:00 min 4", "holds no time"),
        ("mon 08:00-18:00 Mars/Olympus min 4", "no time zone"),
        ("mon 08:00-18:00 ../../etc/passwd min 4", "such as 'weekdays"),
        ("mon 08:00-18:00 UTC/../../etc min 4", "such as 'weekdays"),
        ("mon 08:00-18:00 min -1", "such as 'weekdays"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read_schedule(text)
