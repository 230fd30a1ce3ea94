"""Days and times as people write them, by the clocks of a zone."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from augurium.core.errors import InvalidArgument


def span_of(texts: tuple[str, str], zone: tzinfo) -> tuple[datetime, datetime]:
    """From the beginning of the first until the end of the last of two days, or between two times;
    one without an offset is by the clocks of `zone`. Raises InvalidArgument.
    """
    first, last = texts
    begin, stop = _beginning(first, zone), _end(last, zone)
    if begin >= stop:
        raise InvalidArgument(f"{first}..{last} holds no time; give the earlier one first")
    return begin, stop


def _beginning(text: str, zone: tzinfo) -> datetime:
    day = _day(text)
    return _time(text, zone) if day is None else _midnight(day, zone)


def _end(text: str, zone: tzinfo) -> datetime:
    day = _day(text)
    return _time(text, zone) if day is None else _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _time(text: str, zone: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument(
            f"'{text[:64]}' is no day and no time; expected one such as 2026-11-01 or"
            " 2026-11-01T02:00"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
