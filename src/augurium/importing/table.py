"""Rows of the training data, as the owner of a model sent them along."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

Cell = int | float | str | bool | None


class TableColumn(msgspec.Struct, frozen=True):
    """One column: numbers and booleans, or strings; None where a value is missing."""

    name: str
    values: list[Cell]

    @property
    def is_text(self) -> bool:
        """Whether any value is a string."""
        return any(isinstance(value, str) for value in self.values)


class Table(msgspec.Struct, frozen=True):
    """Columns of equal length."""

    columns: list[TableColumn]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def find(self, name: str) -> TableColumn | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def read_table(file: Path) -> Table:
    """Reads the JSON of `ImportRequest.table`.

    Raises InvalidArgument for what is not such a table.
    """
    try:
        table = msgspec.json.decode(file.read_bytes(), type=Table)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(
            f'the table of sample rows cannot be read: {error}; expected {{"columns": '
            '[{"name": "age", "values": [31, null]}]}'
        ) from error
    lengths = {len(column.values) for column in table.columns}
    if len(lengths) != 1 or lengths == {0}:
        raise InvalidArgument(
            f"the columns of the table have {sorted(lengths)[:8]} values; all need the same "
            "number, at least 1"
        )
    if len(set(table.names)) != len(table.names):
        raise InvalidArgument("the table names a column twice; give every column its own name")
    return table


def numbers(column: TableColumn) -> Array:
    """The values as float32 numbers, NaN where missing: what a server will see.

    Raises InvalidArgument for text.
    """
    if column.is_text:
        raise InvalidArgument(
            f"column '{column.name}' of the table holds strings where the model takes numbers"
        )
    found = [np.nan if value is None else float(value) for value in column.values]
    return np.array(found, np.float32)


def texts(column: TableColumn) -> Array:
    """The values as an object array of strings and None. Raises InvalidArgument for numbers."""
    found = np.empty(len(column.values), np.object_)
    found[:] = column.values
    if not all(value is None or isinstance(value, str) for value in column.values):
        raise InvalidArgument(
            f"column '{column.name}' of the table holds numbers where the model takes strings"
        )
    return found


def find_columns(table: Table, names: list[str]) -> list[TableColumn]:
    """The columns of those names, in that order. Raises InvalidArgument if one is not there."""
    found: list[Any] = [table.find(name) for name in names]
    missing = [name for name, column in zip(names, found, strict=True) if column is None]
    if missing:
        raise InvalidArgument(
            f"the table lacks the columns {missing[:8]} that the model takes; it has "
            f"{table.names[:32]}"
        )
    return found
