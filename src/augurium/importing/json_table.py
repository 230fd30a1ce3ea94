"""Training tables in JSON: a list of objects, an object of columns, or a table with types.

The last is what clients send: `{"columns": [{"name": "age", "values": [31, null]}]}`. Bytes are
`{"b64": "..."}`.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.wrapped_bytes import is_wrapped, unwrapped
from augurium.importing.table import Cell, TableColumn
from augurium.importing.training_table import Block, Field, Kind, checked_blocks
from augurium.statistics.values import Values

MAX_BYTES = 256 * 1024**2
EXPECTED = (
    'expected [{"age": 31}, ...], {"age": [31, null]}, or {"columns": [{"name": "age", '
    '"values": [31, null]}]}'
)


class JsonTable:
    """A table that is held in memory; `binary` as in `open_table`."""

    def __init__(self, file: Path, binary: bool = False) -> None:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidArgument(
                f"the training table is more than {MAX_BYTES} bytes of JSON; send CSV or Parquet"
            )
        columns = _columns(_document(file))
        lengths = {len(column.values) for column in columns}
        if len(lengths) != 1 or lengths == {0}:
            raise InvalidArgument(
                f"the columns of the table have {sorted(lengths)[:8]} values; all need the same "
                "number, at least 1"
            )
        of_bytes = [column for column in columns if any(map(is_wrapped, column.values))]
        if not binary:
            columns = [column for column in columns if column not in of_bytes]
            self.left_out = tuple(f"{column.name} (bytes)" for column in of_bytes)
        self._columns = [TableColumn(c.name, unwrapped(c.values)) for c in columns]
        self.fields = tuple(Field(column.name, _kind(column)) for column in self._columns)

    fields: tuple[Field, ...]
    left_out: tuple[str, ...] = ()

    def blocks(self) -> Iterator[Block]:
        found = zip(self._columns, self.fields, strict=True)
        return checked_blocks(
            iter([{column.name: _values(column, field) for column, field in found}])
        )


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"the training table cannot be read as JSON: {error}; {EXPECTED}"
        ) from error


class _Column(msgspec.Struct):
    name: str
    values: list[int | float | str | bool | dict[str, str] | None]


def _columns(document: Any) -> list[_Column]:
    if isinstance(document, list):
        found = _of_rows(document)
    elif isinstance(document, dict) and set(document) == {"columns"}:
        found = document["columns"]
    elif isinstance(document, dict):
        found = [{"name": name, "values": values} for name, values in document.items()]
    else:
        found = None
    try:
        columns = msgspec.convert(found, list[_Column])
    except msgspec.ValidationError as error:
        raise InvalidArgument(
            f"the table of training rows cannot be read: {error}; {EXPECTED}"
        ) from error
    for column in columns:
        if any(isinstance(value, dict) and not is_wrapped(value) for value in column.values):
            raise InvalidArgument(
                f"column '{column.name}' of the table holds objects other than"
                f' {{"b64": "..."}}; {EXPECTED}'
            )
    return columns


def _of_rows(rows: list[Any]) -> Any:
    if not all(isinstance(row, dict) for row in rows):
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    return [{"name": name, "values": [row.get(name) for row in rows]} for name in names]


def _kind(column: TableColumn) -> Kind:
    present = {type(value) for value in column.values if value is not None}
    if present & {str, bytes}:
        return Kind.TEXT
    if present == {bool}:
        return Kind.BOOLEAN
    return Kind.INTEGER if present == {int} else Kind.NUMBER


def _values(column: TableColumn, field: Field) -> Values:
    if field.is_text:
        content = np.empty(len(column.values), np.object_)
        content[:] = column.values
        return Values(content)
    numbers = [_number(value, column.name) for value in column.values]
    return Values(np.array(numbers), np.array([value is None for value in column.values], bool))


def _number(value: Cell, name: str) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError as error:
        raise InvalidArgument(
            f"column '{name}' of the table holds a whole number too large for a float"
        ) from error
