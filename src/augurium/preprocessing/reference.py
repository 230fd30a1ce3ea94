"""The reference: every step in plain NumPy and double precision. What it answers is right."""

from typing import Any

import numpy as np

from augurium.core.tensors import Array
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program
from augurium.preprocessing.calendar import END_SECOND, FIRST_SECOND, Calendar
from augurium.preprocessing.hashing import murmur3
from augurium.preprocessing.raw_values import Columns, raw_columns

SEPARATOR = "\x1f"
SPLITTER = 2.0**20 + 1
LARGE = 1e300


def transform(fitted: f.FittedPreprocessing, table: Any) -> Array:
    """The matrix of a table, float32. Raises InvalidArgument for values the columns refuse."""
    columns = raw_columns(fitted.inputs, table)
    for step in fitted.steps:
        columns = applied(step, columns)
    with np.errstate(over="ignore"):
        return np.column_stack([values.astype(np.float32) for values in columns.values()])


def applied(step: f.AnyStep, columns: Columns) -> Columns:
    """The columns after one step, in the order of `program.placed`."""
    if isinstance(step, f.Kept):
        return {name: columns[name] for name in step.columns}
    if isinstance(step, f.Joined):
        return {**columns, step.output: joined([columns[name] for name in step.columns])}
    values = columns[step.column]
    if isinstance(step, f.Copied):
        return {**columns, step.output: values}
    if isinstance(step, program.IN_PLACE):
        return {**columns, step.column: mapped(step, values)}
    found: Columns = {}
    for name, others in columns.items():
        found.update(_made(step, values) if name == step.column else {name: others})
    return found


def mapped(step: f.AnyStep, values: Array) -> Array:
    """One column after a step that changes it in place."""
    with np.errstate(all="ignore"):
        match step:
            case f.Fill(value=value):
                # what a caller would have sent: a float32
                filled = value if isinstance(value, str) else float(np.float32(value))
                return np.where(is_missing(values), filled, values)
            case f.Scale(subtract=subtract, divide=divide):
                return np.asarray((values - subtract) / divide)
            case f.Limit(low=low, high=high):
                return np.clip(values, low, high)
            case f.Logarithm(plus_one=plus_one):
                return rounded(np.log1p(values) if plus_one else np.log(values))
            case f.YeoJohnson(exponent=exponent):
                return rounded(yeo_johnson(values, exponent))
            case f.BoxCox(exponent=exponent):
                return rounded(np.where(values < 0, np.nan, _box_cox(values, exponent)))
            case f.Buckets(edges=edges):
                narrow, bounds = values.astype(np.float32), np.asarray(edges, np.float32)
                counts = np.searchsorted(bounds, narrow, side="right").astype(np.float64)
                return np.where(np.isnan(values), np.nan, counts)
            case f.Lookup():
                rows = level_rows(step.levels, values)
                table = np.array([*map(f.number, (*step.values, step.unseen, step.missing))])
                return np.asarray(table[rows])
    raise TypeError(f"{program.kind_of(step)} does not change a column in place")


def rounded(values: Array) -> Array:
    """Numbers with 33 significant bits.

    Logarithms and powers differ in their last bits from library to library; where a later step
    compares with a number that was learned from such a value, that would decide. T. J. Dekker, "A
    floating-point technique for extending the available precision", 1971, splits numbers so.
    """
    shifted = values * SPLITTER
    return np.where(np.abs(values) < LARGE, shifted - (shifted - values), values)


def is_missing(values: Array) -> Array:
    """Where a column of numbers or texts is missing."""
    return values == f.MISSING_TEXT if values.dtype == np.object_ else np.isnan(values)


def level_rows(levels: tuple[f.Level, ...], values: Array) -> Array:
    """The number of each value's level; len(levels) if unseen, one more if missing."""
    count = len(levels)
    if values.dtype == np.object_:
        known = {level: row for row, level in enumerate(levels)}
        known.setdefault(f.MISSING_TEXT, count + 1)
        return np.array([known.get(value, count) for value in values.tolist()], np.int64)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
        numbers = {float(np.float32(level)): row for row, level in enumerate(levels)}
    unique, places = np.unique(narrow, return_inverse=True)
    rows = [count + 1 if v != v else numbers.get(float(v), count) for v in unique.tolist()]
    return np.array(rows, np.int64)[places]


def joined(columns: list[Array]) -> Array:
    """The texts of several columns row by row; numbers as whole numbers."""
    texts = [_texts(values) for values in columns]
    found = np.empty(len(texts[0]), np.object_)
    found[:] = [SEPARATOR.join(row) for row in zip(*texts, strict=True)]
    return found


def yeo_johnson(values: Array, exponent: float) -> Array:
    """I.-K. Yeo, R. A. Johnson, "A new family of power transformations", Biometrika 87 (2000)."""
    positive = _box_cox(np.maximum(values, 0.0) + 1.0, exponent)
    negative = _box_cox(np.maximum(-values, 0.0) + 1.0, 2.0 - exponent)
    return np.asarray(positive - negative)


def _box_cox(values: Array, exponent: float) -> Array:
    if exponent == 0:
        return np.log(values)
    return np.asarray((np.power(values, exponent) - 1.0) / exponent)


def _made(step: f.AnyStep, values: Array) -> Columns:
    """The columns that take the place of the one a step reads."""
    match step:
        case f.Dropped():
            return {}
        case f.OneHotLevels():
            return _one_hot(step, values)
        case f.HashBucket():
            return _hashed(step, values)
        case f.Indicate(column=column, output=output):
            return {column: values, output: is_missing(values).astype(np.float64)}
        case f.DatePart(column=column, output=output, part=part):
            return {column: values, output: date_part(values, part)}
    raise TypeError(f"{program.kind_of(step)} makes no columns")


def date_part(seconds: Array, part: str) -> Array:
    """A part of points in time; missing outside of the years 1 to 9999."""
    known = (seconds >= FIRST_SECOND) & (seconds < END_SECOND)
    found: Array = Calendar(np.where(known, seconds, np.nan), _NumpyArithmetic()).part(part)
    return found


class _NumpyArithmetic:
    def add(self, value: Array, other: Array | float) -> Array:
        return np.asarray(value + other)

    def times(self, value: Array, factor: float) -> Array:
        return np.asarray(value * factor)

    def quotient(self, value: Array, divisor: float) -> Array:
        return np.asarray(np.floor(value / divisor))


def _one_hot(step: f.OneHotLevels, values: Array) -> Columns:
    targets = (*step.targets, step.unseen, step.missing)
    chosen = np.array([-1 if target is None else target for target in targets])
    found = chosen[level_rows(step.levels, values)]
    return {name: (found == i).astype(np.float64) for i, name in enumerate(step.outputs)}


def _hashed(step: f.HashBucket, values: Array) -> Columns:
    known = {value: float(murmur3(value, step.seed) % step.buckets) for value in set(values)}
    found = np.array([known[value] for value in values.tolist()], np.float64)
    if not step.outputs:
        return {step.column: found}
    return {name: (found == i).astype(np.float64) for i, name in enumerate(step.outputs)}


def _texts(values: Array) -> list[str]:
    if values.dtype == np.object_:
        return list(values)
    return [f.MISSING_TEXT if v != v else str(int(v)) for v in values.tolist()]
