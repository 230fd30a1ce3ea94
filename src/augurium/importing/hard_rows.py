"""Rows that tell a right conversion from a wrong one.

Missing and unseen values, every category, zeros, negatives, extremes and values around the
thresholds of the model are put, one at a time, into rows that are otherwise plain; plain rows of
the owner's table, or made up ones, follow. Each of these separates a conversion known to have gone
wrong silently.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array

SEED = 0
MAX_PLAIN_ROWS = 2000
MAX_HARD_ROWS = 2000
MAX_CELLS = 4_000_000
MIN_VALUES_PER_COLUMN = 4
MAX_LANDMARKS = 24
EXTREME_FACTOR = 10
SHARE_MISSING = 0.15
UNSEEN_TEXTS = ("__unseen__", "", "n\u00e4mlich \u2603")
SPREADS = np.array([0.1, 1.0, 10.0, 1000.0])

Rows = dict[str, Array]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one feature of a model.

    `categories` are the levels an encoder knows; `landmarks` numbers near which answers change.
    `values` are those of the table, float32 or object; empty if there is none. `nullable` and
    `open` say whether the model takes missing values and categories it has not seen.
    """

    name: str
    is_text: bool = False
    categories: tuple[Any, ...] = ()
    landmarks: tuple[float, ...] = ()
    values: Any = ()
    nullable: bool = True
    open: bool = True


def plain_rows(columns: list[Column]) -> Rows:
    """Rows without malice: from the table where there is one, else made up from what is known."""
    rng = np.random.default_rng(SEED)
    count = max(64, min(MAX_PLAIN_ROWS, MAX_CELLS // max(1, len(columns))))
    if not any(len(column.values) for column in columns):
        return {column.name: _made_up(column, count, rng) for column in columns}
    available = max(len(column.values) for column in columns)
    chosen = rng.permutation(available)[:count]
    return {column.name: np.asarray(column.values)[chosen] for column in columns}


def hard_rows(columns: list[Column]) -> Rows:
    """Hard rows first, then plain ones; the same in every call."""
    rng = np.random.default_rng(SEED)
    plain = plain_rows(columns)
    count = len(next(iter(plain.values())))
    cells = list(_hard_cells(columns, plain, rng))
    base = np.arange(len(cells)) % count
    hard = {name: values[base].copy() for name, values in plain.items()}
    for row, (name, value) in enumerate(cells):
        hard[name][row] = value
    holed = _with_holes(columns, plain, rng)
    return {name: np.concatenate([hard[name], holed[name], plain[name]]) for name in plain}


def with_values(rows: Rows, values: dict[str, Any]) -> Rows:
    """The same rows with some columns set to one value each."""
    changed = {name: rows[name].copy() for name in values}
    for name, value in values.items():
        changed[name][:] = value
    return {**rows, **changed}


def head(rows: Rows, count: int) -> Rows:
    """The first rows."""
    return {name: values[:count] for name, values in rows.items()}


def unseen_values(column: Column) -> list[Any]:
    """Values that no encoder of the column knows."""
    if column.is_text:
        return list(UNSEEN_TEXTS)
    known = [float(level) for level in column.categories]
    return [max(known) + 1, min(known) - 1] if known else []


def _hard_cells(
    columns: list[Column], plain: Rows, rng: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    allowance = max(MIN_VALUES_PER_COLUMN, MAX_HARD_ROWS // max(1, len(columns)))
    allowance = min(allowance, max(1, MAX_CELLS // len(columns) ** 2))
    for column in columns:
        values = list(_hard_values(column, plain[column.name], rng))
        for value in values[:allowance]:
            yield column.name, value


def _hard_values(column: Column, plain: Array, rng: np.random.Generator) -> Iterator[Any]:
    if column.nullable:
        yield None if column.is_text else np.nan
    if column.open:
        yield from unseen_values(column)
    yield from column.categories
    if column.is_text:
        yield from dict.fromkeys(value for value in plain if value is not None)
    elif not column.categories:
        yield from _extremes(plain)
        yield from _around(np.array(column.landmarks, np.float32), rng)


def _extremes(plain: Array) -> Iterator[float]:
    yield from (0.0, -1.0, 1.0)
    finite = plain[np.isfinite(plain)]
    if len(finite):
        low, high = float(finite.min()), float(finite.max())
        yield from (low, high, low * EXTREME_FACTOR, high * EXTREME_FACTOR, -high)


def _around(landmarks: Array, rng: np.random.Generator) -> Iterator[float]:
    """A sample of the landmarks, each with its two neighbours among the float32 numbers."""
    chosen = np.unique(landmarks)
    if len(chosen) > MAX_LANDMARKS:
        chosen = rng.choice(chosen, MAX_LANDMARKS, replace=False)
    for value in chosen:
        yield from (value, np.nextafter(value, np.float32(-np.inf)))
        yield np.nextafter(value, np.float32(np.inf))


def _with_holes(columns: list[Column], plain: Rows, rng: np.random.Generator) -> Rows:
    """Rows in which several values are missing at once, and one row of nothing."""
    count = min(64, len(next(iter(plain.values()))))
    holed = {name: values[:count].copy() for name, values in plain.items()}
    for column in columns:
        if column.nullable:
            missing = rng.random(count) < SHARE_MISSING
            missing[0] = True
            holed[column.name][missing] = None if column.is_text else np.nan
    return holed


def _made_up(column: Column, count: int, rng: np.random.Generator) -> Array:
    if column.is_text:
        made = np.empty(count, np.object_)
        made[:] = rng.choice(list(column.categories) or ["a", "b", "c"], count)
        return made
    if column.categories:
        levels: Array = rng.choice(np.array(column.categories, np.float32), count)
        return levels
    if column.landmarks:
        return _between(np.array(column.landmarks), count, rng)
    spread: Array = rng.choice(SPREADS, count)
    return (rng.normal(size=count) * spread).astype(np.float32)


def _between(landmarks: Array, count: int, rng: np.random.Generator) -> Array:
    """Numbers near the landmarks and a little beyond them."""
    reach = float(np.ptp(landmarks)) or max(1.0, abs(float(landmarks[0])))
    near = rng.choice(landmarks, count) + rng.normal(size=count) * reach * 0.1
    wide = rng.uniform(landmarks.min() - reach / 4, landmarks.max() + reach / 4, count)
    made: Array = np.where(rng.random(count) < 0.5, near, wide).astype(np.float32)
    return made
