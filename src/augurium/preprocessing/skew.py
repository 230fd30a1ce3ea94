"""Training/serving skew: the training table as its owner transformed it against what the compiled
graph makes of the raw rows.
"""

from typing import Any

import msgspec
import numpy as np
import onnxruntime

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.preprocessing.compiler import compiled
from augurium.preprocessing.fitted import FittedPreprocessing
from augurium.preprocessing.graph_inputs import graph_inputs
from augurium.preprocessing.raw_values import as_numbers
from augurium.preprocessing.tables import TableStream, batch_from, stream

RTOL = 1e-5
ATOL = 1e-6


class ColumnSkew(msgspec.Struct, kw_only=True):
    """One transformed column. `max_abs_difference` is None where only one side is missing or
    infinite; `first_row` counts from 0 and has the values at `expected` and `found`.
    """

    name: str
    max_abs_difference: float | None = 0.0
    rows_beyond_tolerance: int = 0
    first_row: int | None = None
    expected: float | None = None
    found: float | None = None


class SkewReport(msgspec.Struct, kw_only=True):
    """`agrees` when no value is beyond `atol` + `rtol` * |expected|. `against` says what the graph
    was held against; `unknown_columns` are expected columns that the preprocessing does not make.
    """

    agrees: bool
    rows: int
    against: str
    rtol: float
    atol: float
    columns: list[ColumnSkew]
    unknown_columns: list[str] = []


def skew(
    fitted: FittedPreprocessing,
    raw: Any,
    expected: Any = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> SkewReport:
    """Holds the graph's columns against `expected`, a table with a column for each output and the
    same rows as `raw`, or against the reference if there is none. Tables as in `tables.stream`.

    Raises InvalidArgument for tables that do not fit each other.
    """
    names = tuple(column.name for column in fitted.inputs)
    rows = stream(raw, {column.name: column.type for column in fitted.inputs})
    given = tuple(name for name in names if name in rows.types)
    other = None if expected is None else _Expected(stream(expected), fitted.outputs)
    session = _session(fitted)
    columns = [ColumnSkew(name=name) for name in fitted.outputs]
    count = 0
    for batch in rows.open(given):
        with batch_from(count):
            (found,) = session.run(None, graph_inputs(fitted, batch))
            right = fitted.transform(batch)[0] if other is None else other.take(len(found))
        for place, column in enumerate(columns):
            _compare(column, right[:, place], found[:, place], count, (rtol, atol))
        count += len(found)
    if other is not None:
        other.check_end(count)
    return SkewReport(
        agrees=not any(column.rows_beyond_tolerance for column in columns),
        rows=count,
        against="the NumPy reference" if other is None else "the expected table",
        rtol=rtol,
        atol=atol,
        columns=columns,
        unknown_columns=[] if other is None else other.unknown,
    )


class _Expected:
    """The rows of the expected table, however its batches are cut."""

    def __init__(self, table: TableStream, outputs: tuple[str, ...]) -> None:
        missing = [name for name in outputs if name not in table.types]
        if missing:
            raise InvalidArgument(
                f"the expected table lacks the columns {missing[:8]} that the preprocessing makes;"
                f" it has {list(table.types)[:16]}"
            )
        self.unknown = [name for name in table.types if name not in outputs]
        self._outputs = outputs
        self._batches = table.open(outputs)
        self._ready = np.empty((0, len(outputs)))
        self._taken = 0

    def take(self, count: int) -> Array:
        while len(self._ready) < count:
            batch = next(self._batches, None)
            if batch is None:
                raise InvalidArgument(
                    f"the expected table ends after {self._taken + len(self._ready)} rows, before"
                    " the raw one; both need the same rows in the same order"
                )
            columns = [as_numbers(name, batch[name]) for name in self._outputs]
            self._ready = np.concatenate([self._ready, np.column_stack(columns)])
        found, self._ready = self._ready[:count], self._ready[count:]
        self._taken += count
        return found

    def check_end(self, count: int) -> None:
        if len(self._ready) or next(self._batches, None) is not None:
            raise InvalidArgument(
                f"the expected table has more rows than the {count} raw ones; both need the same"
                " rows in the same order"
            )


def _session(fitted: FittedPreprocessing) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        compiled(fitted).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _compare(
    column: ColumnSkew, expected: Array, found: Array, start: int, tolerance: tuple[float, float]
) -> None:
    right, other = expected.astype(np.float64), found.astype(np.float64)
    rtol, atol = tolerance
    with np.errstate(invalid="ignore"):
        differences = np.abs(other - right)
    differences[(right == other) | (np.isnan(right) & np.isnan(other))] = 0.0
    allowed = atol + rtol * np.abs(np.nan_to_num(right, posinf=0.0, neginf=0.0))
    beyond = ~(differences <= allowed)
    largest = float(np.nan_to_num(differences, nan=np.inf).max(initial=0.0))
    if column.max_abs_difference is not None:
        known = max(column.max_abs_difference, largest)
        column.max_abs_difference = known if np.isfinite(known) else None
    column.rows_beyond_tolerance += int(beyond.sum())
    if beyond.any() and column.first_row is None:
        row = int(beyond.argmax())
        column.first_row = start + row
        column.expected, column.found = _plain(right[row]), _plain(other[row])


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
