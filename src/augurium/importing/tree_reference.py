"""Rows, reference answers and signatures of models of trees that take one matrix of numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing.hard_rows import Column, hard_rows
from augurium.importing.table import Table, find_columns, numbers
from augurium.runtimes.tree_answers import BINARY, MULTICLASS, MULTILABEL, Meaning

INPUT = "features"
TIE = 1e-5


def feature_names(own: Sequence[str], count: int, table: Table | None) -> list[str]:
    """The model's own, else those of a table that fits, else f0, f1 and so on."""
    if own:
        return list(own)
    if table is not None and len(table.columns) == count:
        return table.names
    return [f"f{index}" for index in range(count)]


def matrix(
    names: Sequence[str],
    thresholds: Mapping[int, Sequence[float]],
    levels: Mapping[int, Sequence[int]],
    table: Table | None,
) -> Array:
    """Hard rows as float32, a column per feature.

    `thresholds` and the codes of categories, `levels`, are known by position. Raises
    InvalidArgument for a table that lacks a feature.
    """
    given = find_columns(table, list(names)) if table else []
    columns = [
        Column(
            name=name,
            categories=tuple(levels.get(index, ())),
            landmarks=tuple(thresholds.get(index, ())),
            values=numbers(given[index]) if given else (),
        )
        for index, name in enumerate(names)
    ]
    rows = hard_rows(columns)
    return np.column_stack([rows[name] for name in names]).astype(np.float32)


def ties(meaning: Meaning, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Masks of rows whose label hangs on the last digits of a probability."""
    if meaning.kind == MULTILABEL:
        distances = np.abs(outputs["probabilities"] - 0.5)
        return {"label": distances.min(axis=1) < TIE}
    if meaning.kind in (BINARY, MULTICLASS):
        best = np.sort(outputs["probabilities"], axis=1)[:, -2:]
        return {"label": best[:, 1] - best[:, 0] < TIE}
    return {}


def signature(names: Sequence[str], outputs: Mapping[str, Array]) -> Signature:
    """One matrix in, the answers out."""
    features = TensorSpec(INPUT, "FP32", (-1, len(names)), features=tuple(names), nullable=True)
    return Signature(
        (features,), tuple(_output_spec(name, answer) for name, answer in outputs.items())
    )


def _output_spec(name: str, answer: Array) -> TensorSpec:
    datatype = {"f": "FP32", "i": "INT64", "O": "BYTES"}[answer.dtype.kind]
    return TensorSpec(name, datatype, (-1, *answer.shape[1:]))
