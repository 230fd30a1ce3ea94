"""Which intervals become due, whatever clocks and outages do."""

from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.cron import Cron
from augurium.batch.due import due, through_of, upcoming
from augurium.core.batch_schedule import Interval

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = Cron("hourly")


def test_an_interval_is_due_when_it_has_ended() -> None:
    assert due(HOURLY, NOON, NOON + HOUR - timedelta(seconds=1), 1).runs == ()
    assert due(HOURLY, NOON, NOON + HOUR, 1).runs == (Interval(NOON, NOON + HOUR),)


def test_of_several_that_were_missed_the_newest_runs_and_the_others_are_told() -> None:
    found = due(HOURLY, NOON, NOON + 3.5 * HOUR, 1)

    assert found.runs == (Interval(NOON + 2 * HOUR, NOON + 3 * HOUR),)
    assert (found.missed, found.missed_count) == (Interval(NOON, NOON + 2 * HOUR), 2)


def test_catching_up_takes_each_once_and_the_oldest_first() -> None:
    found = due(HOURLY, NOON, NOON + 3.5 * HOUR, 100)

    assert [run.start.hour for run in found.runs] == [12, 13, 14]
    assert found.missed is None


def test_catching_up_is_bounded_and_counts_up_to_a_thousand_that_it_gives_up() -> None:
    found = due(HOURLY, NOON, NOON + 5000 * HOUR, 10)

    assert len(found.runs) == 10
    assert found.runs[-1].end == NOON + 5000 * HOUR
    assert found.missed == Interval(NOON, NOON + 4990 * HOUR)
    assert found.missed_count == 1000


def test_a_clock_that_goes_back_makes_nothing_due_again() -> None:
    assert due(HOURLY, NOON, NOON - 48 * HOUR, 100) == due(HOURLY, NOON, NOON, 100) == ((), None, 0)


def test_a_schedule_begins_with_the_interval_under_way() -> None:
    created = NOON + timedelta(minutes=20)
    through = through_of(HOURLY, created)

    assert through == NOON
    assert upcoming(HOURLY, through, 2) == (
        Interval(NOON, NOON + HOUR),
        Interval(NOON + HOUR, NOON + 2 * HOUR),
    )


def test_a_day_without_an_hour_and_one_with_an_hour_more_are_one_interval_each() -> None:
    nightly = Cron("0 2 * * *", "Europe/Berlin")

    def hours(day: datetime) -> list[float]:
        intervals = upcoming(nightly, through_of(nightly, day), 3)
        return [(one.end - one.start) / HOUR for one in intervals]

    assert hours(datetime(2026, 3, 28, 12, tzinfo=UTC)) == [24, 23, 24]
    assert hours(datetime(2026, 10, 24, 12, tzinfo=UTC)) == [24, 25, 24]


CRONS = ("hourly", "*/20 * * * *", "0 2 * * *", "30 2,14 * * *", "daily", "0 6 * * 1-5")
LOOKS = st.lists(st.integers(-180, 3000), min_size=1, max_size=25)


@given(st.sampled_from(CRONS), LOOKS, st.sampled_from([1, 3, 50]))
def test_intervals_follow_each_other_without_a_gap_or_an_overlap_whatever_the_clock_does(
    text: str, minutes: list[int], most: int
) -> None:
    cron = Cron(text, "Europe/Berlin")
    now = datetime(2026, 10, 23, 22, 10, tzinfo=UTC)
    begin = through = through_of(cron, now)
    covered: list[Interval] = []
    for step in minutes:
        now += timedelta(minutes=step)
        found = due(cron, through, now, most)
        covered += [found.missed] if found.missed else []
        covered += found.runs
        through = found.runs[-1].end if found.runs else through
        assert all(run.end <= now for run in found.runs)

    ends = [one.end for one in covered]
    assert [one.start for one in covered] == [begin, *ends][:-1] if covered else True
    runs = {one.end for one in covered}
    assert runs <= set(islice(cron.after(begin), 30_000))


@given(st.sampled_from(CRONS), st.lists(st.integers(1, 600), min_size=1, max_size=40))
def test_with_catch_up_looking_often_and_looking_once_find_the_same(
    text: str, minutes: list[int]
) -> None:
    cron = Cron(text, "Europe/Berlin")
    now = datetime(2026, 3, 28, 22, 10, tzinfo=UTC)
    begin = through = through_of(cron, now)
    often: list[Interval] = []
    for step in minutes:
        now += timedelta(minutes=step)
        often += due(cron, through, now, 10_000).runs
        through = often[-1].end if often else through

    assert tuple(often) == due(cron, begin, now, 10_000).runs
