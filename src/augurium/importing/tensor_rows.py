"""Rows for models that take tensors: the owner's examples, what is made up, and hard ones.

A hard row is a plain one with one thing changed: zeros, other signs, other sizes, extremes, single
numbers that vanish or grow.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, Array, TensorSpec, is_float
from augurium.importing.table import Table, TableColumn, numbers, texts

SEED = 0
MAX_CELLS = 4_000_000
MAX_CELL_CHANGES = 64
FREE_EXTENT = 4
NOISE = 0.25
TEXTS = ("a", "b", "", "\u2603")
FACTORS = (0.0, -1.0, 1e-3, 10.0, 100.0)
# a part of what the type can hold: a sum of many must not overflow in one engine and not in another
EXTREMES = {"FP16": 1e2, "BF16": 1e4, "FP32": 1e4, "FP64": 1e4}

Rows = dict[str, Array]


def with_features(signature: Signature, table: Table | None) -> Signature:
    """Names the columns of a single matrix after the table's."""
    if table is None or not is_matrix_for(signature, table):
        return signature
    named = msgspec.structs.replace(signature.inputs[0], features=tuple(table.names))
    return msgspec.structs.replace(signature, inputs=(named,))


def is_matrix_for(signature: Signature, table: Table) -> bool:
    """Whether the only input is a matrix of numbers as wide as the table."""
    first = signature.inputs[0]
    numeric = first.datatype != "BYTES" and not any(column.is_text for column in table.columns)
    alone = signature.batched and len(signature.inputs) == 1
    return alone and numeric and first.shape == (-1, len(table.columns))


def plain_rows(
    signature: Signature,
    examples: Mapping[str, Array],
    table: Table | None,
    count: int,
    elements: Sequence[str | bytes] = TEXTS,
) -> Rows:
    """`count` rows, or whole cases without a batch dimension.

    Rows of the table come first where it fits, then those of `examples`, which are repeated with
    noise on numbers; made up where there are none, BYTES of `elements`. `examples` have the rank of
    the signature.
    """
    rng = np.random.default_rng(SEED)
    given = from_table(signature, table)
    if given:
        available = len(next(iter(given.values())))
        positions = rng.permutation(available)[:count] if available > count else ...
        return {name: values[positions] for name, values in given.items()}
    if not signature.batched:
        examples = {name: values[np.newaxis] for name, values in examples.items()}
    made = _MadeUp(signature, examples, elements, rng)
    return {spec.name: made.drawn(spec, count) for spec in signature.inputs}


def from_table(signature: Signature, table: Table | None) -> Rows:
    """Columns by the names of the inputs, or all of them as one matrix; nothing if none fits."""
    if table is None or not signature.batched:
        return {}
    if is_matrix_for(signature, table):
        first = signature.inputs[0]
        columns = [_cells(column, first) for column in table.columns]
        return {first.name: np.column_stack(columns)}
    found = {spec.name: table.find(spec.name) for spec in signature.inputs}
    flat = all(spec.shape in ((-1,), (-1, 1)) for spec in signature.inputs)
    if not flat or any(column is None for column in found.values()):
        return {}
    return {
        spec.name: _cells(column, spec).reshape(-1, *spec.shape[1:])
        for spec in signature.inputs
        if (column := found[spec.name]) is not None
    }


def hard_rows(signature: Signature, plain: Rows) -> Rows:
    """Hard rows without missing values; none for inputs that are all texts."""
    parts = list(_changed_rows(signature, plain)) or [{n: v[:0] for n, v in plain.items()}]
    return {name: np.concatenate([part[name] for part in parts]) for name in plain}


def holed_rows(spec: TensorSpec, plain: Rows) -> Rows:
    """Rows in which numbers of one input are missing: one, some, all."""
    rng = np.random.default_rng(SEED)
    count = min(8, len(plain[spec.name]))
    rows = {name: values[:count].copy() for name, values in plain.items()}
    cells = rows[spec.name].reshape(count, -1)
    missing = rng.random(cells.shape) < 0.2
    missing[0] = True
    missing[1:, 0] = True
    cells[missing] = np.nan
    return rows


def row_cells(signature: Signature, examples: Mapping[str, Array]) -> int:
    """How many numbers one row has."""
    extents = _extents(signature, examples)
    sizes = [int(np.prod(shape)) for shape in extents.values()]
    return max(1, sum(sizes))


def _cells(column: TableColumn, spec: TensorSpec) -> Array:
    if spec.datatype == "BYTES":
        values = texts(column)
        values[[value is None for value in values]] = ""
        return values
    return numbers(column).astype(spec.dtype)


class _MadeUp:
    """Draws rows from the examples, and makes them up where there are none."""

    def __init__(
        self,
        signature: Signature,
        examples: Mapping[str, Array],
        elements: Sequence[str | bytes],
        rng: np.random.Generator,
    ) -> None:
        self._examples = examples
        self._extents = _extents(signature, examples)
        self._elements = np.empty(len(elements), np.object_)
        self._elements[:] = elements
        self._rng = rng

    def drawn(self, spec: TensorSpec, count: int) -> Array:
        known = self._examples.get(spec.name)
        if known is None or not len(known):
            return self._made_up(spec, (count, *self._extents[spec.name]))
        drawn: Array = known[np.arange(count) % len(known)].copy()
        if spec.datatype in FLOATS and count > len(known) and not _is_mask(known):
            spread = float(np.nan_to_num(known.astype(np.float64)).std()) or 1.0
            noise = self._rng.normal(size=drawn[len(known) :].shape) * spread * NOISE
            drawn[len(known) :] += noise.astype(drawn.dtype)
        return drawn

    def _made_up(self, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
        made: Any
        if spec.datatype == "BYTES":
            made = self._rng.choice(self._elements, shape)
        elif spec.datatype in FLOATS:
            made = self._rng.normal(size=shape)
        else:
            # small, because integers are most often positions in a list, or masks with something
            # in it
            made = self._rng.integers(0, 2, shape)
            made[..., :1] = 1
        array: Array = np.asarray(made).astype(spec.dtype)
        return array


def _is_mask(known: Array) -> bool:
    """Only zeros and one other number: noise would make something else of it."""
    if known.size <= 1:
        return False
    return len(np.unique(known.astype(np.float64) if is_float(known.dtype) else known)) <= 2


def _extents(signature: Signature, examples: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """The shape of one row by input; free extents as in the examples."""
    found = {}
    for spec in signature.inputs:
        shape = spec.shape[1:] if signature.batched else spec.shape
        known = examples.get(spec.name)
        if known is not None:
            shape = known.shape[1:] if signature.batched else known.shape
        found[spec.name] = tuple(extent if extent > 0 else FREE_EXTENT for extent in shape)
    return found


def _changed_rows(signature: Signature, plain: Rows) -> Iterator[Rows]:
    for spec in signature.inputs:
        values = plain[spec.name]
        if spec.datatype == "BYTES" or _is_mask(values):
            # without a text there is nothing to change; what a mask hides entirely has no answer
            continue
        if spec.datatype in FLOATS:
            for factor in FACTORS:
                yield _with(plain, spec.name, values[:2] * spec.dtype.type(factor))
            extreme = np.full_like(values[:1], EXTREMES[spec.datatype])
            yield _with(plain, spec.name, np.concatenate([extreme, -extreme]))
            yield from _changed_cells(spec, plain)
        else:
            yield _with(plain, spec.name, np.zeros_like(values[:1]))


def _changed_cells(spec: TensorSpec, plain: Rows) -> Iterator[Rows]:
    """One number at a time becomes zero, changes its sign, or grows."""
    values = plain[spec.name]
    cells = int(np.prod(values.shape[1:]))
    for cell in range(min(cells, MAX_CELL_CHANGES)):
        changed = values[[cell % len(values)] * 3].copy()
        flat = changed.reshape(3, -1)
        flat[:, cell] = [0.0, -flat[0, cell], 10.0 * flat[0, cell]]
        yield _with(plain, spec.name, changed)


def _with(plain: Rows, name: str, values: Array) -> Rows:
    rows = {other: taken[: len(values)] for other, taken in plain.items()}
    if any(len(taken) < len(values) for taken in rows.values()):
        positions = np.arange(len(values)) % len(plain[name])
        rows = {other: taken[positions] for other, taken in plain.items()}
    return {**rows, name: values}
