"""What columns the rows of a kind have, and how Python's values become them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from augurium.core.tensors import Array

# `texts` may be absent: "" is written as no value; a `number` that is not a number is none either
ColumnKind = Literal["text", "texts", "number", "integer", "flag"]
Schema = Mapping[str, ColumnKind]
SQL_TYPES: Mapping[ColumnKind, str] = {
    "text": "VARCHAR",
    "texts": "VARCHAR",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "flag": "BOOLEAN",
}


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text in SQL, for the few places that take no parameter."""
    return "'" + text.replace("'", "''") + "'"


def rows_of(files: Sequence[Path]) -> str:
    """The query for all rows of some segments."""
    listed = ", ".join(quoted_text(str(file)) for file in files)
    return f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"  # noqa: S608 - quoted


def empty_table(name: str, schema: Schema) -> str:
    """The statement that makes a table of these columns without rows."""
    columns = ", ".join(f"{quoted(column)} {SQL_TYPES[kind]}" for column, kind in schema.items())
    return f"CREATE TEMP TABLE {quoted(name)} ({columns})"


def selected(schema: Schema) -> str:
    """The columns of a registered table, of their types."""
    return ", ".join(
        f"{_typed(quoted(column), kind)} AS {quoted(column)}" for column, kind in schema.items()
    )


def arrays_of(schema: Schema, columns: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
    """Columns as arrays that DuckDB reads without copying; None stands for no value in `texts` and
    `number`.
    """
    return {name: _array(kind, columns[name]) for name, kind in schema.items()}


def _typed(column: str, kind: ColumnKind) -> str:
    typed = f"CAST({column} AS {SQL_TYPES[kind]})"
    return f"NULLIF({typed}, '')" if kind == "texts" else typed


def _array(kind: ColumnKind, values: Sequence[Any]) -> Array:
    if kind == "number":
        # None becomes NaN, which is written as no value
        return np.array(values, np.float64)
    if kind == "integer":
        return np.array(values, np.int64)
    if kind == "flag":
        return np.array(values, np.bool_)
    found = np.empty(len(values), object)
    found[:] = [_writable(value) for value in values]
    return found


def _writable(text: str | None) -> str:
    if not text:
        return ""
    # half of a surrogate pair has no form in UTF-8
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
