"""Rows of the training data, as the owner of a model sent them along."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.importing.training_table import NOTHING, Kinds

PlainCell = int | float | str | bool | None
Cell = PlainCell | bytes


class TableColumn(msgspec.Struct, frozen=True):
    """One column: numbers and booleans, or strings, those that are not UTF-8 as `bytes`; None where
    a value is missing.
    """

    name: str
    values: list[Cell]

    @property
    def is_text(self) -> bool:
        """Whether any value is a string."""
        return any(isinstance(value, str | bytes) for value in self.values)


class PlainColumn(msgspec.Struct, frozen=True):
    """A column without bytes, as it stands in JSON."""

    name: str
    values: list[PlainCell]


class Table(msgspec.Struct, frozen=True):
    """Columns of equal length."""

    columns: list[TableColumn]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def find(self, name: str) -> TableColumn | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def read_table(
    file: Path, declared: Kinds = NOTHING, finite: bool = True, binary: bool = False
) -> Table:
    """A sample of the training data: all of a small table, 2000 telling rows of a large one.

    `declared` and `binary` as in `training_table.open_table`. Infinite numbers count as missing if
    `finite`.

    Raises InvalidArgument for what is not a table, see `training_table.py`.
    """
    # it imports this module
    from augurium.importing.table_sample import read_sample

    return read_sample(file, declared, finite, binary)


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
    """The values as an object array of strings, bytes and None. Raises InvalidArgument for
    numbers.
    """
    found = np.empty(len(column.values), np.object_)
    found[:] = column.values
    if not all(value is None or isinstance(value, str | bytes) for value in column.values):
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
