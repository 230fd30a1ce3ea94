"""What pictures in SVG and pages in HTML have in common: colours, texts, round numbers."""

import math
from html import escape

# tell apart also who does not see red and green alike (Okabe and Ito, "Color Universal Design")
# lighter on a dark ground: DARK_COLOURS
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DARK_COLOURS = ("#58a6e8", "#ff8b3d", "#2fd1a3", "#e6a3c8", "#f5bb45", "#8ccdf2")


def markup(text: str) -> str:
    """The text as content or attribute; what cannot be printed becomes a question mark."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))


def cut(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def round_step(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-300)))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= step * (1 - 1e-9))
