"""scikit-learn models: candidates for ONNX, treelite and scikit-learn itself, and its answers.

Imports scikit-learn, therefore used in child processes only.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import sklearn

from augurium.core.errors import Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing import sklearn_rules
from augurium.importing.attempts import Attempts
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.formats import Format
from augurium.importing.hard_rows import Column, Rows, hard_rows
from augurium.importing.sklearn_columns import Facts, column_names, columns_of, facts_of
from augurium.importing.sklearn_loading import load_model
from augurium.importing.sklearn_native import (
    MIN_ROWS,
    NativeModel,
    accepted,
    check_certain,
    probed,
    subset,
    uncertain_rows,
)
from augurium.importing.sklearn_parts import check_servable, parts
from augurium.importing.table import Table
from augurium.runtimes.sklearn_rows import MISSING_TEXT, RowColumn, RowLayout

INPUT = "features"
ONNX_FILE = "model.onnx"
SCORES = "probabilities"
NATIVE_FILES = {Format.SKOPS: "model.skops", Format.PICKLE: "model.pkl"}


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts a skops file.

    Raises Unprocessable for models that cannot be served, InvalidArgument for a table that does
    not fit.
    """
    return _import(file, Format.SKOPS, table, engines)


def import_pickle(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts a pickle or joblib file, which runs its code. Raises as `import_file` does."""
    converted = _import(file, Format.PICKLE, table, engines)
    converted.allowed_code = True
    return converted


def _import(file: Path, found: Format, table: Table | None, engines: frozenset[str]) -> Conversion:
    model = load_model(file, found)
    package = type(model).__module__.partition(".")[0]
    # here, not above: libraries of trees take long to import
    if package == "xgboost":
        from augurium.importing import xgboost_import

        booster = model.get_booster() if hasattr(model, "get_booster") else model
        return xgboost_import.import_content(bytes(booster.save_raw("ubj")), table, engines)
    if package == "lightgbm":
        from augurium.importing import lightgbm_import

        return lightgbm_import.import_content(lightgbm_import.text_of(model), table, engines)
    return _Estimator(model, table).convert(file, found, engines)


class _Estimator:
    """A fitted estimator, the rows it was asked, and its answers."""

    def __init__(self, model: Any, table: Table | None) -> None:
        check_servable(model)
        _use_one_thread(model)
        facts = facts_of(model)
        columns = columns_of(model, facts, table)
        self._model = model
        self._named = column_names(model) is not None
        columns = probed(NativeModel(model, _rows(columns, facts, self._named)), columns)
        self._columns = columns
        self._native = NativeModel(model, _rows(columns, facts, self._named))
        self._rows, self._outputs, self._uncertain = _reference(self._native, columns)
        # a matrix, where all columns are numbers and all or none may be missing
        self._is_matrix = not any(column.is_text for column in columns) and (
            len({column.nullable for column in columns}) == 1
        )
        self._shows_names = self._named or table is not None
        self._used: set[str] | None = None

    def convert(self, file: Path, found: Format, engines: frozenset[str]) -> Conversion:
        """Makes the candidates; treelite's before ONNX's, which changes the model."""
        attempts = Attempts(engines)
        self._make_treelite(attempts)
        self._make_onnx(attempts)
        signature = self._signature()
        attempts.make("sklearn", lambda: self._candidate(file, found, signature))
        return Conversion(
            framework="sklearn",
            framework_version=sklearn.__version__,
            candidates=attempts.candidates,
            tried=attempts.tried,
            signature=signature,
            inputs=self._inputs(signature),
            outputs=self._outputs,
            uncertain=self._uncertain,
            versions={"scikit-learn": sklearn.__version__, **attempts.versions},
            notes=_notes(self._columns),
        )

    def _make_onnx(self, attempts: Attempts) -> None:
        wrong, fails = sklearn_rules.wrong_in_onnx(self._model), ""
        if wrong:
            attempts.refuse("onnx", wrong)
        else:
            fails = sklearn_rules.unsupported_in_onnx(self._model)
        if fails:
            attempts.skip("onnx", fails)
        if not wrong and not fails:
            attempts.make("onnx", lambda: self._onnx(attempts))

    def _onnx(self, attempts: Attempts) -> Candidate:
        from augurium.importing import sklearn_graph

        check_certain(self._uncertain)
        attempts.versions.update(sklearn_graph.versions())
        layout = sklearn_graph.Layout(tuple(self._columns), self._is_matrix)
        converted = sklearn_graph.to_onnx(self._native, layout, self._outputs)
        Path(ONNX_FILE).write_bytes(converted.SerializeToString())
        self._used = {value.name for value in converted.graph.input}
        return Candidate(runtime="onnx", file=ONNX_FILE)

    def _make_treelite(self, attempts: Attempts) -> None:
        if self._is_matrix and sklearn_rules.is_known_to_treelite(self._model):
            attempts.make("treelite", lambda: self._treelite(attempts))
        else:
            attempts.skip("treelite", "it takes ensembles of trees alone, without steps before")

    def _treelite(self, attempts: Attempts) -> Candidate:
        from augurium.importing import treelite_model

        attempts.versions.update(treelite_model.version())
        return treelite_model.from_sklearn(self._model)

    def _candidate(self, file: Path, found: Format, signature: Signature) -> Candidate:
        """The file as it came, which holds all that answers."""
        native = NATIVE_FILES[found]
        shutil.copyfile(file, native)
        fills = subset(self._rows, np.arange(1))
        columns = tuple(
            msgspec.structs.replace(column, fill=_plain(fills[column.name][0]))
            for column in self._native.layout.columns
        )
        rows = RowLayout(columns, named=self._named, is_matrix=self._is_matrix)
        options = {"format": found.value, "rows": json.dumps(msgspec.to_builtins(rows))}
        return Candidate(runtime="sklearn", file=native, options=options)

    def _signature(self) -> Signature:
        """Columns that the graph does not use are not asked for, whichever engine serves."""
        inputs = (
            (self._matrix_spec(),)
            if self._is_matrix
            else tuple(
                _column_spec(column)
                for column in self._columns
                if self._used is None or column.name in self._used
            )
        )
        outputs = tuple(
            _output_spec(name, answer, self._labels(answer) if name == SCORES else ())
            for name, answer in self._outputs.items()
        )
        return Signature(inputs, outputs)

    def _labels(self, scores: Array) -> tuple[str, ...]:
        """The names of the classes, where they are not their numbers."""
        classes = np.asarray(getattr(self._model, "classes_", ()))
        names = tuple(str(one) for one in classes.tolist()) if classes.ndim == 1 else ()
        numbers = tuple(str(number) for number in range(len(names)))
        return names if scores.shape[1:] == (len(names),) and names != numbers else ()

    def _matrix_spec(self) -> TensorSpec:
        names = tuple(column.name for column in self._columns) if self._shows_names else ()
        nullable = self._columns[0].nullable
        return TensorSpec(
            INPUT, "FP32", (-1, len(self._columns)), features=names, nullable=nullable
        )

    def _inputs(self, signature: Signature) -> dict[str, Array]:
        """The rows as the served model takes them."""
        if self._is_matrix:
            return {INPUT: np.column_stack(list(self._rows.values())).astype(np.float32)}
        found = {}
        for spec in signature.inputs:
            values = self._rows[spec.name].copy()
            if spec.datatype == "BYTES":
                values[[value is None for value in values]] = MISSING_TEXT
            found[spec.name] = values.reshape(-1, 1)
        return found


def _rows(columns: list[Column], facts: list[Facts], named: bool) -> RowLayout:
    return RowLayout(
        tuple(
            RowColumn(column.name, column.is_text, fact.none_is_missing)
            for column, fact in zip(columns, facts, strict=True)
        ),
        named=named,
    )


def _plain(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return None if np.isnan(value) else float(value)


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


def _column_spec(column: Column) -> TensorSpec:
    return TensorSpec(
        column.name,
        "BYTES" if column.is_text else "FP32",
        (-1, 1),
        nullable=column.nullable,
        missing_value=MISSING_TEXT if column.is_text and column.nullable else None,
    )


def _output_spec(name: str, answer: Array, labels: tuple[str, ...]) -> TensorSpec:
    datatype = {"f": "FP32", "i": "INT64", "O": "BYTES"}[answer.dtype.kind]
    return TensorSpec(name, datatype, (-1, *answer.shape[1:]), labels=labels)


def _notes(columns: list[Column]) -> tuple[str, ...]:
    closed = [column.name for column in columns if not column.open]
    if not closed:
        return ()
    return (
        f"scikit-learn refuses categories it has not seen in {', '.join(closed)}; the served model "
        "may answer them instead, as an unknown category",
    )
