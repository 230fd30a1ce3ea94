"""Raw columns as they come from tables: to float64 numbers, seconds, or cleaned texts.

Missing is NaN among numbers and `MISSING_TEXT` among texts from here on, as in the compiled graph.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.moments import epoch_seconds
from augurium.core.tensors import Array
from augurium.core.texts import cleaned
from augurium.preprocessing.fitted import MISSING_TEXT, RawColumn

Columns = dict[str, Array]


def raw_columns(columns: tuple[RawColumn, ...], table: Any) -> Columns:
    """The raw columns of a table, checked and with defaults in place.

    Raises InvalidArgument for columns that are absent, differ in length or hold refused values.
    """
    values = columns_of_table(table)
    given = {c.name: values.get(c.name) for c in columns}
    lengths = {name: len(column) for name, column in given.items() if column is not None}
    if not lengths:
        raise InvalidArgument(
            f"the table has none of the columns {[c.name for c in columns][:8]}; it has"
            f" {list(values)[:16]}"
        )
    rows = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != rows:
            raise InvalidArgument(
                f"column '{name}' has {length} values and others have {rows}; all need the same"
                " number"
            )
    return {c.name: _raw_column(c, given[c.name], rows) for c in columns}


def columns_of_table(table: Any) -> Mapping[str, Any]:
    """Columns by name of a mapping, or of a table of pyarrow or pandas.

    Raises InvalidArgument for what is no table and for names that are no texts or there twice.
    """
    if isinstance(table, Mapping):
        for name, values in table.items():
            if not hasattr(values, "__len__") or isinstance(values, str):
                raise InvalidArgument(
                    f"column '{name}' is a {type(values).__name__}; expected a value for every row"
                )
        return table
    names = getattr(table, "column_names", None)  # pyarrow: Table and RecordBatch
    if names is None and hasattr(table, "columns"):
        names = list(table.columns)
        if not all(isinstance(name, str) for name in names):
            raise InvalidArgument("the table has columns whose names are not texts; rename them")
    if names is None:
        raise InvalidArgument(
            f"a {type(table).__name__} is not a table; expected columns by name, a pyarrow or a"
            " pandas table"
        )
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InvalidArgument(
            f"the table names a column twice: {twice[:8]}; give every column its own name"
        )
    return {name: table[name] for name in names}


def as_numbers(name: str, values: Any, lenient: bool = False) -> Array:
    """float64 with NaN where missing. Raises InvalidArgument for texts unless `lenient`."""
    found = _as_array(name, values)
    if found.dtype.kind in "fiub":
        return found.astype(np.float64)
    numbers = np.empty(len(found))
    for row, value in enumerate(found.tolist()):
        if _is_missing(value):
            numbers[row] = np.nan
        else:
            number = _number(value)
            if number is None and not lenient:
                raise _wrong_type(name, row, value, "a number")
            numbers[row] = np.nan if number is None else number
    return numbers


def as_seconds(name: str, values: Any, lenient: bool = False) -> Array:
    """Seconds since 1970 in float64, NaN where missing or outside of the years 1 to 9999.

    Takes ISO 8601 texts, date and time objects, and seconds. Raises InvalidArgument for others.
    """
    found = _as_array(name, values)
    if found.dtype.kind == "M":
        counts = found.astype("datetime64[us]").astype(np.int64)
        return np.where(np.isnat(found), np.nan, counts / 1e6)
    if found.dtype.kind in "fiu":
        return found.astype(np.float64)
    seconds = np.empty(len(found))
    for row, value in enumerate(found.tolist()):
        seconds[row] = _seconds(name, row, value, lenient)
    return seconds


def as_texts(name: str, values: Any, lenient: bool = False) -> Array:
    """An object array of texts, `MISSING_TEXT` where missing. Raises InvalidArgument for others."""
    found = np.empty(len(values), np.object_)
    for row, value in enumerate(_as_array(name, values).tolist()):
        if isinstance(value, str):
            found[row] = value
        elif _is_missing(value) or lenient:
            found[row] = MISSING_TEXT
        else:
            raise _wrong_type(name, row, value, "a text")
    return found


def _raw_column(column: RawColumn, values: Any, rows: int) -> Array:
    if values is None:
        if not column.optional:
            raise InvalidArgument(
                f"the table lacks the column '{column.name}'; add it, or declare"
                " missing = 'ignore' or 'default' for it"
            )
        values = [None] * rows
    lenient = column.wrong_type != "error"
    if column.type == "text":
        return _refined_texts(column, as_texts(column.name, values, lenient))
    if column.type == "datetime":
        found = as_seconds(column.name, values, lenient)
        default = epoch_seconds(str(column.default)) if column.default is not None else None
    else:
        # a server sees float32
        with np.errstate(over="ignore"):
            found = as_numbers(column.name, values, lenient).astype(np.float32).astype(np.float64)
        default = None if column.default is None else float(np.float32(column.default))
    missing = np.isnan(found)
    if missing.any() and not column.nullable:
        raise _missing(column, int(missing.argmax()))
    return found if default is None else np.where(missing, default, found)


def _refined_texts(column: RawColumn, found: Array) -> Array:
    allowed = frozenset(column.categories)
    for row, value in enumerate(found.tolist()):
        if value == MISSING_TEXT:
            if not column.nullable:
                raise _missing(column, row)
            found[row] = MISSING_TEXT if column.default is None else column.default
        else:
            found[row] = value = cleaned(value, column.cleaning)
            if allowed and value not in allowed:
                raise InvalidArgument(
                    f"column '{column.name}' has the category {value[:64]!r} in row {row}, which"
                    f" was not seen in training; expected one of {sorted(allowed)[:8]}, or"
                    " unseen = 'ignore' in its transform"
                )
    return found


def _as_array(name: str, values: Any) -> Array:
    found = _array(values)
    if found.ndim != 1:
        raise InvalidArgument(
            f"column '{name}' has the shape {list(found.shape)}; expected one value for every row"
        )
    return found


def _array(values: Any) -> Array:
    if hasattr(values, "combine_chunks"):  # pyarrow.ChunkedArray
        values = values.combine_chunks()
    if hasattr(values, "to_numpy"):
        try:
            values = values.to_numpy(zero_copy_only=False)  # pyarrow.Array
        except TypeError:
            values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values
    found = np.empty(len(values), np.object_)
    found[:] = list(values)
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # lists of numbers, endless whole numbers
        return None


def _is_missing(value: Any) -> bool:
    # NaN, NaT and pandas.NA
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT", "<NA>"))


def _seconds(name: str, row: int, value: Any, lenient: bool) -> float:
    if _is_missing(value):
        return float("nan")
    if hasattr(value, "isoformat"):
        value = value.isoformat()
    try:
        if isinstance(value, str):
            return epoch_seconds(value)
        if not isinstance(value, bool):
            return float(value)
    except (InvalidArgument, TypeError, ValueError):
        pass
    if lenient:
        return float("nan")
    raise _wrong_type(name, row, value, "an ISO 8601 date or time, or seconds since 1970")


def _wrong_type(name: str, row: int, value: Any, expected: str) -> InvalidArgument:
    return InvalidArgument(
        f"column '{name}' has {str(value)[:64]!r} ({type(value).__name__}) in row {row}; expected"
        f" {expected}; correct the table, or declare wrong_type = 'missing'"
    )


def _missing(column: RawColumn, row: int) -> InvalidArgument:
    return InvalidArgument(
        f"column '{column.name}' has a missing value in row {row}, and none were expected; fill it"
        " in, or declare missing = 'ignore' or an impute for it"
    )
