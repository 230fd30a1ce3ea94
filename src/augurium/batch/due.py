"""Which intervals of a schedule want a job now: a pure function of times."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from augurium.batch.cron import Cron
from augurium.core.batch_schedule import MOST_CATCH_UP, Interval


class Due(NamedTuple):
    """What has become due since `through`, the end of the newest interval that was dealt with.

    `runs` get a job, the oldest first. `missed` is the while before them whose intervals get none,
    `missed_count` how many those are; MOST_CATCH_UP means as many or more.
    """

    runs: tuple[Interval, ...] = ()
    missed: Interval | None = None
    missed_count: int = 0


NOTHING = Due()


def due(cron: Cron, through: datetime, now: datetime, most: int) -> Due:
    """The intervals that ended after `through` and up to `now`; at most `most` get a job, the
    newest. Where `now` is before `through`, because a clock went back, there are none.
    """
    if now <= through:
        return NOTHING
    ends = cron.newest(now, MOST_CATCH_UP + most, since=through)
    if not ends:
        return NOTHING
    # each begins where the one before it ends, so that no row is in two or in none
    intervals = [Interval(*ends) for ends in pairwise([through, *ends])]
    runs = tuple(intervals[-most:])
    given_up = intervals[:-most]
    if not given_up:
        return Due(runs)
    return Due(runs, Interval(through, runs[0].start), min(len(given_up), MOST_CATCH_UP))


def through_of(cron: Cron, now: datetime) -> datetime:
    """Where a schedule begins that looks forward only: the end of the newest interval up to now."""
    return cron.newest(now, 1)[0]


def begun_between(
    cron: Cron, begin: datetime, stop: datetime, now: datetime, most: int
) -> list[Interval]:
    """The intervals that begin from `begin` until before `stop` and have ended by `now`; of more
    than `most` the first ones, and one more.
    """
    found: list[Interval] = []
    moments = cron.after(begin - timedelta.resolution)
    for interval in (Interval(*ends) for ends in pairwise(moments)):
        if interval.start >= stop or interval.end > now or len(found) > most:
            break
        found.append(interval)
    return found


def upcoming(cron: Cron, through: datetime, count: int) -> tuple[Interval, ...]:
    """The next intervals after `through`, as far as they are known; each runs at its end."""
    ends = [end for end, _ in zip(cron.after(through), range(count), strict=False)]
    return tuple(Interval(*ends) for ends in pairwise([through, *ends]))
