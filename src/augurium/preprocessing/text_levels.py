"""The tables of one text as one table."""

from functools import cached_property
from typing import Any

import numpy as np

from augurium.preprocessing import expressions as e
from augurium.preprocessing.fitted import MISSING_TEXT
from augurium.preprocessing.graph_writer import array_of


class TextLevels:
    """All tables of one text as one: the union of their levels, a row of numbers for each."""

    def __init__(self, text: Any, members: list[Any]) -> None:
        self.text = text
        self.members = members

    @cached_property
    def levels(self) -> list[str]:
        found = dict.fromkeys(level for x in self.members for level in x.levels)
        return [level for level in found if level != MISSING_TEXT]

    @cached_property
    def table(self) -> Any:
        """Rows by levels, then unseen and missing; columns by members."""
        texts = np.array([*self.levels, None, MISSING_TEXT], np.object_)
        return np.column_stack([_column(x, texts) for x in self.members])


def unfilled(text: Any) -> Any:
    """The text before missing values were filled in, which tables do themselves."""
    while isinstance(text, e.FilledText):
        text = text.parent
    return text


def _column(table: e.TextTable, texts: Any) -> Any:
    """The numbers of a table for these texts, where None stands for an unseen one."""
    known = dict(zip(table.levels, table.values, strict=False))
    *_, unseen, missing = table.values
    known.setdefault(MISSING_TEXT, missing)
    parent, fills = table.parent, []
    while isinstance(parent, e.FilledText):
        fills.append(parent.value)
        parent = parent.parent
    # what stands next to the raw text acts first
    as_missing = fills[-1] if fills else MISSING_TEXT
    return array_of(
        [known.get(as_missing if text == MISSING_TEXT else text, unseen) for text in texts]
    )
