"""Times in the parameters of routes."""

from datetime import UTC, datetime

from augurium.core.errors import InvalidArgument
from augurium.registry.history import check_moment


def moment(name: str, text: str) -> datetime:
    """The time that a parameter says. Raises InvalidArgument for what is none."""
    try:
        found = datetime.fromisoformat(text)
        check_moment(found)
        # a year beyond the calendar in UTC
        found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"{name}: {text[:64]!r} is not an ISO 8601 time; expected one such as "
            "2026-01-31T12:00:00Z"
        ) from error
    return found
