"""Time zones by their names."""

from zoneinfo import ZoneInfo

from augurium.core.errors import InvalidArgument


def check_zone(name: str) -> str:
    """The name of a time zone. Raises InvalidArgument."""
    time_zone(name)
    return name


def time_zone(name: str) -> ZoneInfo:
    """The time zone of this name. Raises InvalidArgument."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise InvalidArgument(
            f"'{name[:64]}' is no time zone known on this machine; expected one such as UTC or"
            " Europe/Berlin (where the machine knows none: pip install tzdata)"
        ) from error
