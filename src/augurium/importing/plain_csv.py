"""Training tables in CSV where there is no pyarrow."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.importing.csv_rules import BOOLEANS, MISSING, check_bytes, check_header, with_numbers
from augurium.importing.training_table import (
    NOTHING,
    Block,
    Field,
    Kind,
    Kinds,
    block_rows,
    checked_blocks,
)
from augurium.statistics.values import Values

GAPS = frozenset(MISSING)


class PlainCsvTable:
    """A CSV file with a header; a column is numbers, or booleans, where all that is there is.

    `declared` kinds hold in any case; among declared numbers the texts stay texts.
    """

    def __init__(self, file: Path, declared: Kinds = NOTHING) -> None:
        self._file = file
        check_bytes(file)
        header = next(self._lines(), [])
        self.left_out = check_header(header)
        self._positions = {name: index for index, name in enumerate(header) if name}
        texts = {name for name, kind in declared.items() if kind is Kind.TEXT}
        possible = {name: dict(HOLDS) for name in self._positions if name not in texts}
        for columns in self._columns():
            for name, kinds in possible.items():
                column = columns[self._positions[name]]
                possible[name] = {kind: holds for kind, holds in kinds.items() if holds(column)}
        self._mixed = {name for name in declared if name not in texts and not possible.get(name)}
        self.fields = tuple(
            Field(name, next(iter(possible.get(name, ())), Kind.TEXT)) for name in self._positions
        )

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        for columns in self._columns():
            yield {
                field.name: self._values(field, columns[self._positions[field.name]])
                for field in self.fields
            }

    def _values(self, field: Field, texts: tuple[str, ...]) -> Values:
        found = _values(texts, field.kind)
        return Values(with_numbers(found.content)) if field.name in self._mixed else found

    def _columns(self) -> Iterator[list[Any]]:
        lines = self._lines()
        header = next(lines, [])
        most, rows = block_rows(len(header)), []
        for number, row in enumerate(lines, 1):
            if not row:
                continue
            if len(row) != len(header):
                raise InvalidArgument(
                    f"the training table cannot be read as CSV: row {number} has {len(row)} "
                    f"values, and the header names {len(header)} columns"
                )
            rows.append(row)
            if len(rows) == most:
                yield list(zip(*rows, strict=True))
                rows = []
        if rows:
            yield list(zip(*rows, strict=True))

    def _lines(self) -> Iterator[list[str]]:
        try:
            with self._file.open(newline="", encoding="utf-8-sig") as stream:
                yield from csv.reader(stream, strict=True)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidArgument(
                f"the training table cannot be read as CSV: {error}; save it again as UTF-8"
            ) from error


def _all_numbers(texts: tuple[str, ...]) -> bool:
    try:
        for text in texts:
            if text not in GAPS:
                float(text)
    except ValueError:
        return False
    return True


def _all_booleans(texts: tuple[str, ...]) -> bool:
    return all(text in BOOLEANS or text in GAPS for text in texts)


HOLDS = {Kind.NUMBER: _all_numbers, Kind.BOOLEAN: _all_booleans}


def _values(texts: tuple[str, ...], kind: Kind) -> Values:
    if kind is Kind.TEXT:
        content = np.empty(len(texts), np.object_)
        content[:] = [None if text in GAPS else text for text in texts]
        return Values(content)
    missing = np.array([text in GAPS for text in texts], bool)
    number: Callable[[str], float] = BOOLEANS.__getitem__ if kind is Kind.BOOLEAN else float
    numbers = [math.nan if gap else number(text) for text, gap in zip(texts, missing, strict=True)]
    return Values(np.array(numbers, np.float64), missing)
