"""Texts: as a model takes them, and names in a message."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

MOST_NAMES_SHOWN = 8
CLEANINGS: dict[str, Callable[[str], str]] = {"trim": str.strip, "lower": str.lower}


def cleaned(text: str, cleaning: Sequence[str]) -> str:
    """The text after every step of `cleaning` (`trim`, `lower`), in that order."""
    for step in cleaning:
        text = CLEANINGS[step](text)
    return text


def text_of(content: bytes) -> str | bytes:
    """An element of a BYTES tensor: the text, or the bytes themselves where they are not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def has_bytes(values: Iterable[Any]) -> bool:
    """Whether any element is not UTF-8."""
    return bytes in set(map(type, values))


def shown(names: Sequence[str]) -> str:
    """Some of the names, for a message."""
    some = ", ".join(f"'{name[:64]}'" for name in names[:MOST_NAMES_SHOWN])
    hidden = len(names) - MOST_NAMES_SHOWN
    return f"[{some}]" if hidden <= 0 else f"[{some} and {hidden} more]"
