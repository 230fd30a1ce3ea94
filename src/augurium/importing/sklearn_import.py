"""scikit-learn to ONNX.

Imports scikit-learn and its converter, therefore used in child processes only.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import skl2onnx
import sklearn

from augurium.core.errors import Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing.conversion import Conversion
from augurium.importing.formats import Format
from augurium.importing.hard_rows import Column, Rows, hard_rows
from augurium.importing.sklearn_columns import column_names, columns_of, facts_of
from augurium.importing.sklearn_graph import INPUT, Layout, to_onnx
from augurium.importing.sklearn_loading import load_model
from augurium.importing.sklearn_native import (
    MIN_ROWS,
    NativeModel,
    accepted,
    probed,
    subset,
    uncertain_rows,
)
from augurium.importing.sklearn_parts import check_supported, parts
from augurium.importing.sklearn_patches import MISSING_TEXT, rewrite_model
from augurium.importing.table import Table
from augurium.importing.xgboost_rules import read_supported


def import_file(file: Path, found: Format, table: Table | None) -> Conversion:
    """Converts a saved model. Raises Unprocessable and InvalidArgument, see `import_estimator`."""
    model = load_model(file, found)
    if type(model).__module__.startswith("xgboost."):
        # here, not above: XGBoost takes long to import
        from augurium.importing import xgboost_import

        booster = model.get_booster() if hasattr(model, "get_booster") else model
        content = bytes(booster.save_raw("ubj"))
        return xgboost_import.import_content(content, read_supported(content), table)
    return import_estimator(model, table)


def import_estimator(model: Any, table: Table | None) -> Conversion:
    """Converts a fitted estimator, which is changed on the way.

    Raises Unprocessable for models that cannot be converted, InvalidArgument for a table that does
    not fit.
    """
    check_supported(model)
    _use_one_thread(model)
    facts = facts_of(model)
    columns = columns_of(model, facts, table)
    named = column_names(model) is not None
    missing_as_none = (
        c.name for c, fact in zip(columns, facts, strict=True) if fact.none_is_missing
    )
    native = NativeModel(model, named, frozenset(missing_as_none))
    columns = probed(native, columns)
    rows, outputs, uncertain = _reference(native, columns)
    layout = _layout(columns, named or table is not None)
    rewrite_model(model)
    converted = to_onnx(native, layout, outputs)
    signature = _signature(layout, outputs, {value.name for value in converted.graph.input})
    return Conversion(
        framework="sklearn",
        framework_version=sklearn.__version__,
        model=converted.SerializeToString(),
        signature=signature,
        inputs=_inputs(layout, signature, rows),
        outputs=outputs,
        uncertain=uncertain,
        versions={
            "scikit-learn": sklearn.__version__,
            "skl2onnx": skl2onnx.__version__,
            "onnx": onnx.__version__,
        },
        notes=_notes(columns),
    )


def _use_one_thread(model: Any) -> None:
    for part in parts(model):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1


def _reference(
    native: NativeModel, columns: list[Column]
) -> tuple[Rows, dict[str, Array], dict[str, Array]]:
    rows = hard_rows(columns)
    rows = subset(rows, accepted(native, rows))
    count = len(next(iter(rows.values())))
    if count < MIN_ROWS:
        raise Unprocessable(
            f"the model answers only {count} of the rows made up to check it; send some rows of "
            "the training data along (data=...)"
        )
    outputs = native.answers(rows)
    steady = frozenset(column.name for column in columns if column.categories)
    return rows, outputs, uncertain_rows(native, rows, outputs, steady)


def _layout(columns: list[Column], named: bool) -> Layout:
    """A matrix, where all columns are numbers and all or none may be missing."""
    is_matrix = not any(column.is_text for column in columns) and (
        len({column.nullable for column in columns}) == 1
    )
    return Layout(tuple(columns), named, is_matrix)


def _signature(layout: Layout, outputs: dict[str, Array], used: set[str]) -> Signature:
    """Columns the graph does not use are not asked for."""
    inputs = (
        (_matrix_spec(layout),)
        if layout.is_matrix
        else tuple(_column_spec(column) for column in layout.columns if column.name in used)
    )
    return Signature(inputs, tuple(_output_spec(name, answer) for name, answer in outputs.items()))


def _matrix_spec(layout: Layout) -> TensorSpec:
    names = tuple(column.name for column in layout.columns) if layout.named else ()
    return TensorSpec(
        INPUT,
        "FP32",
        (-1, len(layout.columns)),
        features=names,
        nullable=layout.columns[0].nullable,
    )


def _column_spec(column: Column) -> TensorSpec:
    return TensorSpec(
        column.name,
        "BYTES" if column.is_text else "FP32",
        (-1, 1),
        nullable=column.nullable,
        missing_value=MISSING_TEXT if column.is_text and column.nullable else None,
    )


def _output_spec(name: str, answer: Array) -> TensorSpec:
    datatype = {"f": "FP32", "i": "INT64", "O": "BYTES"}[answer.dtype.kind]
    return TensorSpec(name, datatype, (-1, *answer.shape[1:]))


def _inputs(layout: Layout, signature: Signature, rows: Rows) -> dict[str, Array]:
    """The rows as the served model takes them."""
    if layout.is_matrix:
        return {INPUT: np.column_stack(list(rows.values())).astype(np.float32)}
    found = {}
    for spec in signature.inputs:
        values = rows[spec.name].copy()
        if spec.datatype == "BYTES":
            values[[value is None for value in values]] = MISSING_TEXT
        found[spec.name] = values.reshape(-1, 1)
    return found


def _notes(columns: list[Column]) -> tuple[str, ...]:
    closed = [column.name for column in columns if not column.open]
    if not closed:
        return ()
    return (
        f"scikit-learn refuses categories it has not seen in {', '.join(closed)}; the served model "
        "may answer them instead, as an unknown category",
    )
