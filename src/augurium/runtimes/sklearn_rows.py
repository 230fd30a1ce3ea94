"""Rows as scikit-learn wants them: a frame with the names of the training, or a plain matrix.

Numbers are double precision, as they were in training, and a missing text is None or NaN, whichever
the model learned.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array

MISSING_TEXT = "__NA__"


class RowColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column; `fill` stands in where the signature does not ask for it.

    `none_is_missing`: None, not NaN, marks a missing text.
    """

    name: str
    is_text: bool = False
    none_is_missing: bool = False
    fill: float | str | None = None


class RowLayout(msgspec.Struct, frozen=True, omit_defaults=True):
    """The columns in the order of the training, with their names if it knew them.

    `is_matrix`: the served model takes them as one matrix, not as an input per column.
    """

    columns: tuple[RowColumn, ...]
    named: bool = False
    is_matrix: bool = False

    def frame(self, rows: Mapping[str, Array]) -> Any:
        """What an estimator takes; `rows` has an array of one dimension per column."""
        count = len(next(iter(rows.values())))
        values = {
            column.name: _prepared(column, rows[column.name])
            if column.name in rows
            else _filled(column, count)
            for column in self.columns
        }
        if self.named:
            return pd.DataFrame({n: pd.Series(v, dtype=v.dtype) for n, v in values.items()})
        return np.column_stack(list(values.values()))

    def split(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The columns of a batch as a server gets it: one matrix, or an input per column.

        Raises ModelFailed for a matrix of another width.
        """
        if not self.is_matrix:
            return {name: _texts_or_numbers(values) for name, values in inputs.items()}
        matrix = next(iter(inputs.values()))
        if matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            raise ModelFailed(f"rows of {matrix.shape[1:]} features, expected {len(self.columns)}")
        return {column.name: matrix[:, index] for index, column in enumerate(self.columns)}


def _texts_or_numbers(values: Array) -> Array:
    flat = values.reshape(-1)
    if flat.dtype != np.object_:
        return flat
    marked = flat.copy()
    marked[flat == MISSING_TEXT] = None
    return marked


def _prepared(column: RowColumn, values: Array) -> Array:
    if values.dtype != np.object_:
        return values.astype(np.float64)
    if column.none_is_missing:
        return values
    marked = values.copy()
    marked[[value is None for value in values]] = np.nan
    return marked


def _filled(column: RowColumn, count: int) -> Array:
    if column.is_text:
        return _prepared(column, np.full(count, column.fill, np.object_))
    return np.full(count, np.nan if column.fill is None else column.fill, np.float64)
