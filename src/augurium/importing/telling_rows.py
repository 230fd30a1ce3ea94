"""Which rows of a table tell a right conversion from a wrong one, found in one pass.

Rows with missing values, the two extremes of every number, and the first rows of rare categories.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np

from augurium.importing.training_table import Block, Field
from augurium.statistics.bins import MAX_CATEGORY_LENGTH, category_hash
from augurium.statistics.values import Values

KEPT_PER_REASON = 20
RARE_SHARE = 0.01
MAX_CATEGORIES = 2000


class TellingRows:
    """Looks at a table block by block and remembers positions; `rows` counts what it saw."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.rows = 0
        self._texts = {field.name: _TextRows() for field in fields if field.is_text}
        self._numbers = {field.name: _NumberRows() for field in fields if not field.is_text}

    def observe(self, block: Block) -> None:
        """Takes the next block."""
        for name, texts in self._texts.items():
            texts.observe(block[name], self.rows)
        for name, numbers in self._numbers.items():
            numbers.observe(block[name], self.rows)
        self.rows += len(next(iter(block.values())))

    def positions(self, most: int) -> list[int]:
        """At most that many positions, the most telling first, every column in its turn."""
        columns = [each.positions() for each in self._numbers.values()]
        columns += [each.positions(self.rows) for each in self._texts.values()]
        # column after column would let one with many rare values crowd out the others
        turns = chain.from_iterable(zip_longest(*columns))
        found: dict[int, None] = {}
        for position in turns:
            if position is not None:
                found[position] = None
            if len(found) >= most:
                break
        return list(found)


class _NumberRows:
    def __init__(self) -> None:
        self._missing: list[int] = []
        self._low, self._high = np.inf, -np.inf
        self._low_at = self._high_at = -1

    def observe(self, values: Values, offset: int) -> None:
        numbers = values.content
        if len(self._missing) < KEPT_PER_REASON:
            gaps = np.flatnonzero(np.isnan(numbers))[: KEPT_PER_REASON - len(self._missing)]
            self._missing += (gaps + offset).tolist()
        finite = np.where(np.isfinite(numbers), numbers, np.nan)
        if np.isnan(finite).all():
            return
        low, high = int(np.nanargmin(finite)), int(np.nanargmax(finite))
        if finite[low] < self._low:
            self._low, self._low_at = finite[low], low + offset
        if finite[high] > self._high:
            self._high, self._high_at = finite[high], high + offset

    def positions(self) -> Iterator[int]:
        found = (self._low_at, self._high_at)
        yield from self._missing[:1]
        yield from (position for position in found if position >= 0)
        yield from self._missing[1:]


class _TextRows:
    def __init__(self) -> None:
        self._counts: Counter[object] = Counter()
        self._at: dict[object, list[int]] = {}

    def observe(self, values: Values, offset: int) -> None:
        content = list(map(_key, values.content.tolist()))
        wanted = self._count(content)
        for row, value in enumerate(content) if wanted else ():
            if value in wanted:
                at = self._at.setdefault(value, [])
                if len(at) < KEPT_PER_REASON:
                    at.append(row + offset)

    def positions(self, rows: int) -> Iterator[int]:
        """Gaps first, then the rarest categories: one row of each, then the second of each."""
        allowed = RARE_SHARE * rows
        rare = sorted(
            (count, str(value)[:64], self._at[value])
            for value, count in self._counts.items()
            if value is not None and count <= allowed and value in self._at
        )
        gaps = self._at.get(None, [])
        yield from gaps[:1]
        for turn in zip_longest(*(at for _, _, at in rare)):
            yield from (position for position in turn if position is not None)
        yield from gaps[1:]

    def _count(self, content: list[object]) -> set[object]:
        """Counts a block; returns the values of which more rows are to be kept."""
        found = Counter(content)
        known = {
            value: count
            for value, count in found.items()
            if value in self._counts or len(self._counts) < MAX_CATEGORIES or value is None
        }
        wanted = {value for value in known if len(self._at.get(value, ())) < KEPT_PER_REASON}
        self._counts.update(known)
        return wanted


def _key(value: object) -> object:
    """The value, or a hash in place of a long text: thousands of them would fill the memory."""
    if isinstance(value, str) and len(value) > MAX_CATEGORY_LENGTH:
        return f"{value[:64]} {category_hash(value)}"
    return value
