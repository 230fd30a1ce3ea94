"""Points in time as numbers: seconds since 1970-01-01T00:00:00Z."""

from datetime import UTC, datetime

from augurium.core.errors import InvalidArgument

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_seconds(text: str) -> float:
    """The seconds since 1970 of an ISO 8601 date or time; UTC where it names no time zone.

    Exact to the microsecond. Raises InvalidArgument for other texts and for years out of 1 to 9999.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return (found - _EPOCH).total_seconds()
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"'{text[:64]}' is not an ISO 8601 date or time; expected one such as"
            " 2026-01-31T12:00:00Z"
        ) from error
