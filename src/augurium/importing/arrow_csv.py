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
from augurium.importing.csv_rules import MISSING, check_bytes, check_header
from augurium.importing.training_table import Block, Field, Kind, block_rows, checked_blocks

READ_BYTES = 8 * 1024**2


class ArrowCsvTable:
    """A CSV file with a header; a column is numbers where all that is there is numbers."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._in_pairs = check_bytes(file)
        with damage_told("CSV"):
            names = self._open({}).schema.names
            self.left_out = check_header(names)
            named = [name for name in names if name]
            texts = self._texts(named)
        self.fields = tuple(
            Field(name, Kind.TEXT if name in texts else Kind.NUMBER) for name in named
        )

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        names = [field.name for field in self.fields]
        types = {f.name: pa.string() if f.is_text else pa.float64() for f in self.fields}
        rows = block_rows(len(names))
        with damage_told("CSV"):
            for batch in self._open(types):
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    yield {name: values_of(part.column(name)) for name in names}

    def _texts(self, names: list[str]) -> set[str]:
        """Which columns hold anything but numbers; types guessed from the first rows would err."""
        texts: set[str] = set()
        for batch in self._open(dict.fromkeys(names, pa.string())):
            for name in names:
                if name not in texts and not _all_numbers(batch.column(name)):
                    texts.add(name)
            self._check_end(batch)
        return texts

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
            ),
        )


def _all_numbers(column: Any) -> bool:
    try:
        pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
