"""Times of the week in which another smallest or largest number holds.

`mon-fri 08:00-18:00 Europe/Berlin min 4` is what KEDA's cron scaler says with two cron
expressions: a beginning, an end, a time zone and a number.
"""

import re
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.time_zones import check_zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
MINUTES_PER_DAY = 24 * 60
EXAMPLE = "weekdays 08:00-18:00 Europe/Berlin min 4"
_form = re.compile(
    r"(?P<days>[a-z+-]+)\s+(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?:\s+(?P<zone>[A-Z][\w/+-]*))?"
    r"(?:\s+min\s+(?P<smallest>\d{1,4}))?(?:\s+max\s+(?P<largest>\d{1,4}))?"
)


class Schedule(msgspec.Struct, frozen=True):
    """On `days` (0 is Monday), from minute `begin` of the day until before minute `end`, by the
    clocks of `zone`. A window whose end is not after its beginning goes on into the next day.
    """

    text: str
    days: tuple[int, ...]
    begin: int
    end: int
    zone: str
    smallest: int | None = None
    largest: int | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is time; `now` is aware."""
        local = now.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return local.weekday() in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return local.weekday() in self.days
        return minute < self.end and (local - timedelta(days=1)).weekday() in self.days


def read_schedule(text: str, zone: str = "UTC") -> Schedule:
    """Reads `DAYS HH:MM-HH:MM [ZONE] [min N] [max N]`; `zone` is that of one that names none.

    DAYS is daily, weekdays, weekends, or days such as `mon-fri` and `mon+wed`. Raises
    InvalidArgument.
    """
    found = _form.fullmatch(" ".join(text.split()))
    if found is None:
        raise _wrong(text, f"expected DAYS HH:MM-HH:MM [ZONE] [min N] [max N], such as '{EXAMPLE}'")
    smallest, largest = (
        None if found[name] is None else int(found[name]) for name in ("smallest", "largest")
    )
    if smallest is None and largest is None:
        raise _wrong(text, f"it says neither min nor max; such as '{EXAMPLE}'")
    if smallest is not None and largest is not None and smallest > largest:
        raise _wrong(text, f"min {smallest} is above max {largest}")
    named = found["zone"] or zone
    return Schedule(
        text,
        _days(text, found["days"]),
        *_window(text, found["begin"], found["end"]),
        check_zone(named),
        smallest,
        largest,
    )


class _Window(NamedTuple):
    begin: int
    end: int


def _window(text: str, begin: str, end: str) -> _Window:
    window = _Window(_minute(text, begin), _minute(text, end))
    if window.begin == MINUTES_PER_DAY or window.begin == window.end:
        raise _wrong(text, "the window holds no time; a whole day is 00:00-24:00")
    return window


def _minute(text: str, clock: str) -> int:
    hours, minutes = map(int, clock.split(":"))
    minute = hours * 60 + minutes
    if minutes > 59 or minute > MINUTES_PER_DAY:
        raise _wrong(text, f"'{clock}' is no time of the day")
    return minute


def _days(text: str, words: str) -> tuple[int, ...]:
    days: set[int] = set()
    for word in words.split("+"):
        first, _, last = word.partition("-")
        if word in GROUPS:
            days.update(GROUPS[word])
        elif first in DAYS and (last in DAYS or word == first):
            begin, end = DAYS.index(first), DAYS.index(last or first)
            # fri-mon goes over the end of the week
            days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
        else:
            raise _wrong(text, f"'{word}' is no day; expected {', '.join([*GROUPS, *DAYS])}")
    return tuple(sorted(days))


def _wrong(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"schedule '{text}' cannot be read: {reason}")
