"""A row of numbers as a line of text for a terminal."""

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], columns: int) -> str:
    """A block for each value, or for the largest of a few where there are more than `columns`; the
    highest stands for the largest of all, and a space for 0.
    """
    if not values:
        return ""
    shown = thinned(values, columns)
    peak = max(shown)
    return "".join(
        BLOCKS[round(value / peak * (len(BLOCKS) - 1)) if peak else 0] for value in shown
    )


def thinned(values: Sequence[float], columns: int) -> list[float]:
    """At most `columns` values, each the largest of its share."""
    columns = min(columns, len(values))
    edges = [round(column * len(values) / columns) for column in range(columns + 1)]
    return [max(values[low:high]) for low, high in pairwise(edges)]
