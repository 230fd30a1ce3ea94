"""The input example of an MLflow model: rows to check an import with where no other data is given.

Source: MLflow, `mlflow.models.utils._Example`: data frames as objects of columns and data, arrays
as nested lists, other things as they are in JSON.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.importing.table import Cell, PlainColumn, Table, TableColumn

MAX_BYTES = 16 * 1024**2
MAX_ROWS = 1000
SHOWN_ROWS = 12
# parity wants more rows than an example has
WIDENED_ROWS = 256
NOISE = 0.25
SEED = 0
# an array beside parameters, and arrays as MLflow sends them to servers
WRAPPERS = ("inputs", "dataframe_split")


class Example(msgspec.Struct, frozen=True):
    """A table of at least one row. `is_named` says that its columns have names of their owner's."""

    table: Table
    is_named: bool

    def first_rows(self) -> Table:
        """What may be shown."""
        return _taken(self.table, SHOWN_ROWS)


def read_example(file: Path, names: tuple[str, ...]) -> Example | None:
    """The example as a table; None where it is none, as with images and nested objects.

    `names` are the columns of the signature, for rows without names.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        content = _unwrapped(json.loads(file.read_text("utf-8")))
        columns = _of_frame(content) or _of_objects(content) or _of_matrix(content, names)
        found = msgspec.convert(columns, list[PlainColumn])
    except (OSError, ValueError, RecursionError, TypeError):
        return None
    table = Table([TableColumn(column.name, [*column.values]) for column in found])
    lengths = {len(column.values) for column in table.columns}
    if len(lengths) != 1 or lengths == {0} or len(set(table.names)) < len(table.columns):
        return None
    named = bool(names) or not _is_matrix(content)
    return Example(_taken(table, MAX_ROWS), named)


def widened(table: Table) -> Table:
    """The rows, and more of their kind: values of other rows, numbers with some noise."""
    rng = np.random.default_rng(SEED)
    return Table([_widened(column, rng) for column in table.columns])


def _widened(column: TableColumn, rng: np.random.Generator) -> TableColumn:
    known = len(column.values)
    more = max(0, WIDENED_ROWS - known)
    drawn = [column.values[at] for at in rng.integers(0, known, more)]
    floats = [value for value in column.values if isinstance(value, float)]
    spread = float(np.std(floats)) or abs(floats[0]) or 1.0 if floats else 0.0
    noise = rng.normal(size=more) * spread * NOISE
    noisy: list[Cell] = [
        value + float(by) if isinstance(value, float) else value
        for value, by in zip(drawn, noise, strict=True)
    ]
    return TableColumn(column.name, [*column.values, *noisy])


def _taken(table: Table, rows: int) -> Table:
    return Table([TableColumn(column.name, column.values[:rows]) for column in table.columns])


def _unwrapped(content: Any) -> Any:
    for key in WRAPPERS:
        if isinstance(content, dict) and key in content and set(content) <= {key, "params"}:
            content = content[key]
    return content


def _of_frame(content: Any) -> list[dict[str, Any]] | None:
    """An object of names and rows."""
    if not isinstance(content, dict) or not {"columns", "data"} <= set(content):
        return None
    rows = list(zip(*content["data"], strict=True))
    named = zip(content["columns"], rows, strict=True)
    return [{"name": str(name), "values": list(values)} for name, values in named]


def _of_objects(content: Any) -> list[dict[str, Any]] | None:
    """A list of objects, an object of lists, or one object of plain values."""
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        names = dict.fromkeys(name for row in content for name in row)
        return [{"name": name, "values": [row.get(name) for row in content]} for name in names]
    if not isinstance(content, dict):
        return None
    return [
        {"name": name, "values": values if isinstance(values, list) else [values]}
        for name, values in content.items()
    ]


def _of_matrix(content: Any, names: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """A list of rows, or of the values of one column."""
    if not _is_matrix(content):
        return None
    rows = [row if isinstance(row, list) else [row] for row in content]
    columns = list(zip(*rows, strict=True))
    known = names or tuple(f"f{place}" for place in range(len(columns)))
    named = zip(known, columns, strict=True)
    return [{"name": name, "values": list(values)} for name, values in named]


def _is_matrix(content: Any) -> bool:
    return isinstance(content, list) and not any(isinstance(row, dict) for row in content)
