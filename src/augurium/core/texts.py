"""Texts: as a model takes them, and names in a message."""

from collections.abc import Callable, Sequence

MOST_NAMES_SHOWN = 8
CLEANINGS: dict[str, Callable[[str], str]] = {"trim": str.strip, "lower": str.lower}


def cleaned(text: str, cleaning: Sequence[str]) -> str:
    """The text after every step of `cleaning` (`trim`, `lower`), in that order."""
    for step in cleaning:
        text = CLEANINGS[step](text)
    return text


def shown(names: Sequence[str]) -> str:
    """Some of the names, for a message."""
    some = ", ".join(f"'{name[:64]}'" for name in names[:MOST_NAMES_SHOWN])
    hidden = len(names) - MOST_NAMES_SHOWN
    return f"[{some}]" if hidden <= 0 else f"[{some} and {hidden} more]"
