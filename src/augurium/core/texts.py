"""Texts as a model takes them."""

from collections.abc import Callable, Sequence

CLEANINGS: dict[str, Callable[[str], str]] = {"trim": str.strip, "lower": str.lower}


def cleaned(text: str, cleaning: Sequence[str]) -> str:
    """The text after every step of `cleaning` (`trim`, `lower`), in that order."""
    for step in cleaning:
        text = CLEANINGS[step](text)
    return text
