"""Training tables in CSV, read by pyarrow, so in child processes only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import csv

from augurium.core.errors import InvalidArgument
from augurium.importing.arrow_columns import values_of
from augurium.importing.arrow_tables import damage_told
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

READ_BYTES = 8 * 1024**2
TYPES = {Kind.TEXT: pa.string(), Kind.NUMBER: pa.float64(), Kind.BOOLEAN: pa.bool_()}


class ArrowCsvTable:
    """A CSV file with a header; a column is numbers, or booleans, where all that is there is.

    `declared` kinds hold in any case; among declared numbers the texts stay texts.
    """

    def __init__(self, file: Path, declared: Kinds = NOTHING) -> None:
        self._file = file
        self._in_pairs = check_bytes(file)
        with damage_told("CSV"):
            names = self._open({}).schema.names
            self.left_out = check_header(names)
            self._names = named = [name for name in names if name]
            texts = {name for name, kind in declared.items() if kind is Kind.TEXT}
            kinds = self._kinds([name for name in named if name not in texts])
            self._mixed = {name for name in declared if name not in texts and name not in kinds}
        self.fields = tuple(Field(name, kinds.get(name, Kind.TEXT)) for name in named)

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        names = [field.name for field in self.fields]
        types = {field.name: TYPES[field.kind] for field in self.fields}
        rows = block_rows(len(names))
        with damage_told("CSV"):
            for batch in self._open(types):
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    yield {name: self._values(name, part.column(name)) for name in names}

    def _values(self, name: str, column: Any) -> Values:
        found = values_of(column)
        return Values(with_numbers(found.content)) if name in self._mixed else found

    def _kinds(self, names: list[str]) -> dict[str, Kind]:
        """What the columns hold; guessed from the first rows it would err."""
        possible = {name: dict(HOLDS) for name in names}
        for batch in self._open(dict.fromkeys(self._names, pa.string())):
            for name, kinds in possible.items():
                column = batch.column(name)
                possible[name] = {kind: holds for kind, holds in kinds.items() if holds(column)}
            self._check_end(batch)
        return {name: next(iter(kinds)) for name, kinds in possible.items() if kinds}

    def _check_end(self, batch: Any) -> None:
        """Pyarrow takes the rest of a file behind an open quotation mark for one value."""
        last = batch.slice(max(0, batch.num_rows - 1)).to_pylist()
        if not self._in_pairs and any(
            "\n" in (text or "") for row in last for text in row.values()
        ):
            raise InvalidArgument(
                "the training table cannot be read as CSV: a quotation mark is never closed"
            )

    def _open(self, types: dict[str, Any]) -> Any:
        return csv.open_csv(
            self._file,
            csv.ReadOptions(use_threads=False, block_size=READ_BYTES),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list(MISSING),
                strings_can_be_null=True,
                true_values=[text for text, value in BOOLEANS.items() if value],
                false_values=[text for text, value in BOOLEANS.items() if not value],
            ),
        )


def _all_numbers(column: Any) -> bool:
    try:
        pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _all_booleans(column: Any) -> bool:
    found = pc.all(pc.is_in(column.drop_null(), pa.array(list(BOOLEANS))))
    return found.as_py() is not False  # None without values


HOLDS = {Kind.NUMBER: _all_numbers, Kind.BOOLEAN: _all_booleans}
