"""Training tables in CSV where there is no pyarrow."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.importing.csv_rules import MISSING, check_bytes, check_header
from augurium.importing.training_table import Block, Field, Kind, block_rows, checked_blocks
from augurium.statistics.values import Values

GAPS = frozenset(MISSING)


class PlainCsvTable:
    """A CSV file with a header; a column is numbers where all that is there is numbers."""

    def __init__(self, file: Path) -> None:
        self._file = file
        check_bytes(file)
        header = next(self._lines(), [])
        self.left_out = check_header(header)
        self._positions = {name: index for index, name in enumerate(header) if name}
        texts: set[str] = set()
        for columns in self._columns():
            for name, index in self._positions.items():
                if name not in texts and not _all_numbers(columns[index]):
                    texts.add(name)
        self.fields = tuple(
            Field(name, Kind.TEXT if name in texts else Kind.NUMBER) for name in self._positions
        )

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        for columns in self._columns():
            yield {
                field.name: _values(columns[self._positions[field.name]], field.is_text)
                for field in self.fields
            }

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


def _values(texts: tuple[str, ...], is_text: bool) -> Values:
    if is_text:
        content = np.empty(len(texts), np.object_)
        content[:] = [None if text in GAPS else text for text in texts]
        return Values(content)
    missing = np.array([text in GAPS for text in texts], bool)
    numbers = [math.nan if gap else float(text) for text, gap in zip(texts, missing, strict=True)]
    return Values(np.array(numbers, np.float64), missing)
