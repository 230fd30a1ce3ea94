"""A sample of training data as the table a server checks models with.

The form is `{"columns": [{"name": "age", "values": [31, null]}]}` with numbers, strings, booleans,
nulls and bytes (`{"b64": "..."}`), at most 2000 rows. Rows with missing values and rare categories
are kept first, because they are where conversions go wrong.
"""

import csv
import json
import math
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.wrapped_bytes import bytes_wrapped, is_wrapped, unwrapped

MAX_ROWS = 2000
KEPT_PER_REASON = 20
RARE_SHARE = 0.01
SEED = 0
MISSING_TEXTS = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"})
EXPECTED = (
    "expected a pandas DataFrame, a dict of columns, a list of dicts, or the path of a .csv, "
    ".parquet or .json file"
)

Columns = dict[str, list[Any]]


def sample_table(data: object, as_codes: bool = False) -> bytes:
    """The table as JSON. Raises InvalidArgument for what is not a table, naming what was expected.

    `data` is a pandas DataFrame, a dict of columns, a list of dicts, or the path of a CSV (with a
    header), Parquet (needs pandas) or JSON file (a list of objects, an object of columns, or a
    table as it comes out of here). `as_codes` turns a DataFrame's columns of type category into
    their codes, which is what XGBoost learned from.
    """
    columns = column_lists(with_codes(data) if as_codes else data)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise InvalidArgument(
            f"the columns of the data have {sorted(lengths)[:8]} values; all need the same number, "
            "at least 1"
        )
    rows = _chosen(columns)
    table = {
        "columns": [
            {"name": name, "values": bytes_wrapped([values[row] for row in rows])}
            for name, values in columns.items()
        ]
    }
    return msgspec.json.encode(table)


def column_lists(data: object) -> Columns:
    """The columns of a table as lists of plain values. Raises InvalidArgument as `sample_table`."""
    if isinstance(data, str | os.PathLike):
        return _from_file(Path(data))
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        frame: Any = data
        return _from_mapping({name: frame[name].tolist() for name in frame.columns})
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        return _from_rows(data)
    raise InvalidArgument(f"data of type {type(data).__qualname__} is not a table; {EXPECTED}")


def with_codes(data: Any) -> Any:
    """The table with codes in place of the categories of a DataFrame."""
    if not hasattr(data, "select_dtypes"):
        return data
    names = list(data.select_dtypes("category").columns)
    # pandas writes -1 for a missing category
    codes = {name: data[name].cat.codes.astype(float).where(lambda c: c >= 0) for name in names}
    return data.assign(**codes)


def _from_file(path: Path) -> Columns:
    readers = {".csv": _from_csv, ".json": _from_json, ".parquet": _from_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidArgument(f"{path} is not a table that can be read; {EXPECTED}")
    try:
        return reader(path)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InvalidArgument(f"{path} cannot be read: {error}") from error


def _from_csv(path: Path) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    return {
        name: _parsed([row[name] for row in rows]) for name in (rows[0] if rows else {}) if name
    }


def _from_json(path: Path) -> Columns:
    document = json.loads(path.read_text("utf-8"))
    if isinstance(document, Mapping) and set(document) == {"columns"}:
        document = {column["name"]: column["values"] for column in document["columns"]}
    return column_lists(document)


def _from_parquet(path: Path) -> Columns:
    try:
        import pandas
    except ImportError as error:
        raise InvalidArgument("reading Parquet needs pandas: pip install pandas pyarrow") from error
    return column_lists(pandas.read_parquet(path))


def _from_mapping(data: Mapping[Any, Any]) -> Columns:
    return {str(name): [_cell(value, str(name)) for value in data[name]] for name in data}


def _from_rows(rows: Sequence[Any]) -> Columns:
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return {name: [_cell(row.get(name), name) for row in rows] for name in names}


def _parsed(texts: list[str | None]) -> list[Any]:
    """Numbers where all that is there is numbers, else the texts; None where nothing is."""
    present = [text for text in texts if text is not None and text not in MISSING_TEXTS]
    try:
        for text in present:
            float(text)
    except ValueError:
        return [None if text is None or text in MISSING_TEXTS else text for text in texts]
    return [None if t is None or t in MISSING_TEXTS else _finite(float(t)) for t in texts]


def _cell(value: Any, name: str) -> Any:
    """A value as JSON has it. NumPy's numbers come as Python's; NaN, NaT and NA as None."""
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if value is None or isinstance(value, str | bytes | bool | int):
        return value
    if is_wrapped(value):
        return unwrapped(value)
    if isinstance(value, float):
        return _finite(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise InvalidArgument(
        f"column '{name}' holds a value of type {type(value).__qualname__}; expected numbers, "
        "strings, booleans "
        "or nothing; leave the column out"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _chosen(columns: Columns) -> list[int]:
    """Which rows go along, in their order: all, or the telling ones filled up by chance."""
    count = len(next(iter(columns.values())))
    if count <= MAX_ROWS:
        return list(range(count))
    # the same rows for the same data, so that an import can be repeated; no secret depends on it
    chance = random.Random(SEED)  # noqa: S311
    kept: set[int] = set()
    for values in columns.values():
        for rows in _telling(values):
            kept.update(
                rows if len(rows) <= KEPT_PER_REASON else chance.sample(rows, KEPT_PER_REASON)
            )
    if len(kept) > MAX_ROWS:
        kept = set(chance.sample(sorted(kept), MAX_ROWS))
    others = [row for row in range(count) if row not in kept]
    kept.update(chance.sample(others, MAX_ROWS - len(kept)))
    return sorted(kept)


def _telling(values: list[Any]) -> list[list[int]]:
    """Groups of rows that should be there: missing values, each rare category, the two extremes."""
    groups: dict[str | None, list[int]] = {}
    counts = Counter(value for value in values if isinstance(value, str))
    rare = {value for value, count in counts.items() if count <= RARE_SHARE * len(values)}
    for row, value in enumerate(values):
        if value is None or value in rare:
            groups.setdefault(value, []).append(row)
    numbers = [row for row, value in enumerate(values) if isinstance(value, int | float)]
    if numbers:
        extremes = [min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__)]
        return [*groups.values(), extremes]
    return list(groups.values())
