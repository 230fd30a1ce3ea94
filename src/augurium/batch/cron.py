"""Cron expressions in a time zone: at which moments they fire.

Daylight saving is handled as Debian's cron does. An expression of fixed times (neither minute nor
hour begins with `*`) fires once for each of them: a time that the clocks skip comes when they go
on, and one that they show twice counts the first time. Every other one fires whenever the clocks
show such a time: `0 * * * *` every hour of real time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from augurium.core.errors import InvalidArgument, NotReady
from augurium.core.time_zones import time_zone

if TYPE_CHECKING:
    from cronsim import CronSim

WORDS = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
}
FIELDS = 5
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# the 29th of February on a certain day of the week comes every 28 years, or 40 over a century
MOST_DAYS = 50 * 366
EXAMPLE = "'0 2 * * *' (every day at 02:00), or one of " + ", ".join(WORDS)


class Cron:
    """When a schedule fires. Moments are aware and come back in UTC, to the minute."""

    def __init__(self, text: str, zone: str = "UTC") -> None:
        """`text` has five fields or is one of WORDS, `zone` says by which clocks.

        Raises InvalidArgument for what cannot be read or never fires, NotReady without cronsim.
        """
        self.text = WORDS.get(text.strip().lower(), " ".join(text.split()))
        self.zone = time_zone(zone)
        # it reads expressions and knows days; its own way through the hours of a day errs where
        # clocks change by half an hour
        self._fields = _read(self.text, text)
        self._clocks = [
            time(hour, minute)
            for hour in sorted(self._fields.hours)
            for minute in sorted(self._fields.minutes)
        ]
        minutes, hours = self.text.split()[:2]
        self._fixed = not (minutes.startswith("*") or hours.startswith("*"))
        if next(self.after(datetime(2026, 1, 1, tzinfo=UTC)), None) is None:
            raise _unreadable(text, "there is no such day in 50 years")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The moments after this one, without end."""
        last = moment.astimezone(UTC)
        for day in self._days(moment, 1):
            for fired in self._moments(day):
                if fired > last:
                    yield fired
                    last = fired

    def newest(self, until: datetime, count: int, since: datetime | None = None) -> list[datetime]:
        """The last `count` moments up to `until`, the oldest first, none before or at `since`."""
        found: list[datetime] = []
        before = until + timedelta.resolution
        for day in self._days(until, -1):
            for fired in reversed(self._moments(day)):
                if len(found) == count or (since is not None and fired <= since):
                    return found[::-1]
                if fired < before:
                    found.append(fired)
                    before = fired
        return found[::-1]

    def _days(self, moment: datetime, step: int) -> Iterator[date]:
        """The days on which it fires, onwards or back, beginning a day before `moment` is reached,
        because a skipped time may come on the day after.
        """
        first = moment.astimezone(self.zone).date().toordinal() - step
        for ordinal in range(first, first + step * MOST_DAYS, step):
            day = date.fromordinal(ordinal)
            if day.month in self._fields.months and self._fields.match_day(day):
                yield day

    def _moments(self, day: date) -> list[datetime]:
        clocks = [datetime.combine(day, clock) for clock in self._clocks]
        offset = self._offset(day)
        if offset == self._offset(day + DAY):
            return [(clock - offset).replace(tzinfo=UTC) for clock in clocks]
        shown = self._shown_once if self._fixed else self._shown
        return sorted({moment for clock in clocks for moment in shown(clock)})

    def _shown(self, clock: datetime) -> list[datetime]:
        """When the clocks show this: never, once or twice."""
        local = [clock.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1)]
        moments = [one.astimezone(UTC) for one in local]
        return [one for one in moments if one.astimezone(self.zone).replace(tzinfo=None) == clock]

    def _shown_once(self, clock: datetime) -> list[datetime]:
        """When the clocks first show this, or the next time that they do show."""
        while not (shown := self._shown(clock)):
            clock += MINUTE
        return shown[:1]

    def _offset(self, day: date) -> timedelta:
        return datetime.combine(day, time(), self.zone).utcoffset() or timedelta(0)


def _read(expression: str, text: str) -> "CronSim":
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise NotReady("schedules need cronsim: pip install 'augurium[batch]'") from error
    fields = len(expression.split())
    if fields != FIELDS:
        raise _unreadable(text, f"it has {fields} fields instead of {FIELDS}")
    try:
        return CronSim(expression, datetime(2026, 1, 1))
    except CronSimError as error:
        raise _unreadable(text, str(error).lower()) from error


def _unreadable(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"cron '{text[:64]}' cannot be read: {reason}; expected {EXAMPLE}")
