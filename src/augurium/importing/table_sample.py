"""A sample of the training data, small enough to hold: telling rows first, then others by chance.

All rows of a small table. Two passes over a large one, the first of which finds the rows.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augurium.core.tensors import Array
from augurium.importing.table import Cell, Table, TableColumn
from augurium.importing.telling_rows import TellingRows
from augurium.importing.training_table import (
    Block,
    Field,
    Kind,
    Kinds,
    TrainingTable,
    open_table,
)
from augurium.statistics.values import Values

MAX_ROWS = 2000
MAX_TELLING_ROWS = 1000
SEED = 0


def read_sample(file: Path, declared: Kinds, finite: bool, binary: bool = False) -> Table:
    """At most 2000 rows of a table. Raises as `open_table`, and where the file is damaged."""
    table = open_table(file, declared, binary)
    telling = TellingRows(table.fields)
    for block in table.blocks():
        telling.observe(block)
    return taken(table, sample_positions(telling), finite)


def sample_positions(telling: TellingRows) -> Array:
    """Which rows belong to the sample, ascending; the same in every run."""
    if telling.rows <= MAX_ROWS:
        return np.arange(telling.rows)
    chosen = telling.positions(MAX_TELLING_ROWS)
    rng = np.random.default_rng(SEED)
    others = rng.choice(telling.rows, MAX_ROWS, replace=False, shuffle=False)
    fresh = rng.permutation(np.setdiff1d(others, chosen))
    return np.sort(np.concatenate([chosen, fresh[: MAX_ROWS - len(chosen)]]).astype(np.int64))


def taken(table: TrainingTable, positions: Array, finite: bool = True) -> Table:
    """Those rows of a table, in their order; `positions` ascend."""
    columns: dict[str, list[Cell]] = {field.name: [] for field in table.fields}
    offset = 0
    for block in table.blocks():
        count = len(next(iter(block.values())))
        first, last = np.searchsorted(positions, (offset, offset + count))
        rows = positions[first:last] - offset
        for name, cells in cells_of(block, table.fields, rows, finite).items():
            columns[name] += cells
        offset += count
        if last == len(positions):
            break
    return Table([TableColumn(name, values) for name, values in columns.items()])


def cells_of(
    block: Block, fields: Sequence[Field], rows: Array, finite: bool = True
) -> dict[str, list[Cell]]:
    """Some rows of a block as plain values, None where there is none."""
    return {field.name: _cells(block[field.name], field.kind, rows, finite) for field in fields}


def _cells(values: Values, kind: Kind, rows: Array, finite: bool) -> list[Any]:
    found = values.content[rows].tolist()
    if kind is Kind.TEXT:
        return list(found)
    gone = _not_finite if finite else math.isnan
    present = [None if gone(value) else value for value in found]
    if kind is Kind.NUMBER:
        return present
    plain = bool if kind is Kind.BOOLEAN else int
    return [None if value is None else plain(value) for value in present]


def _not_finite(value: float) -> bool:
    return not math.isfinite(value)
