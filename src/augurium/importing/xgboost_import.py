"""XGBoost to ONNX. Imports xgboost and its converter, therefore used in child processes only."""

from typing import Any

import numpy as np
import onnx
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.importing import graph
from augurium.importing.conversion import Conversion
from augurium.importing.hard_rows import Column, hard_rows
from augurium.importing.table import Table, find_columns, numbers
from augurium.importing.xgboost_file import XgboostFile
from augurium.importing.xgboost_rules import CLASSIFIERS, REGRESSORS

INPUT = "features"
TIE = 1e-5


def import_content(content: bytes, found: XgboostFile, table: Table | None) -> Conversion:
    """Converts a saved model that was read and found supported. Blocking.

    Raises InvalidArgument for a table that does not fit.
    """
    found.feature_names = _feature_names(found, table)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    booster = _used_part(booster)
    native = _native(booster, found)
    rows = hard_rows(_columns(found, table))
    inputs = np.column_stack([rows[name] for name in found.feature_names])
    outputs, uncertain = _answers(native, inputs)
    return Conversion(
        framework="xgboost",
        framework_version=xgboost.__version__,
        model=_converted(native, found).SerializeToString(),
        signature=_signature(found, outputs),
        inputs={INPUT: inputs},
        outputs=outputs,
        uncertain=uncertain,
        versions={
            "xgboost": xgboost.__version__,
            "onnxmltools": onnxmltools.__version__,
            "onnx": onnx.__version__,
        },
        notes=_notes(found, booster),
    )


def _used_part(booster: Any) -> Any:
    """The trees up to the best iteration after early stopping, as in XGBoost's own wrappers."""
    best = booster.attr("best_iteration")
    return booster[: int(best) + 1] if best is not None else booster


def _native(booster: Any, found: XgboostFile) -> Any:
    """The booster inside the wrapper that fits its objective, with anonymous features."""
    booster.feature_names = None
    booster.set_attr(scikit_learn=None)
    if found.objective == "multi:softmax":
        # the two differ in what they answer, a class or probabilities, not in what they learned
        booster.set_param({"objective": "multi:softprob", "num_class": found.num_class})
    is_classifier = found.objective in CLASSIFIERS
    native = xgboost.XGBClassifier() if is_classifier else xgboost.XGBRegressor()
    native.load_model(booster.save_raw("ubj"))
    return native


def _feature_names(found: XgboostFile, table: Table | None) -> list[str]:
    """The model's own, else those of a table that fits, else f0, f1 and so on as XGBoost counts."""
    if found.feature_names:
        return found.feature_names
    if table is not None and len(table.columns) == found.num_feature:
        return table.names
    return [f"f{index}" for index in range(found.num_feature)]


def _columns(found: XgboostFile, table: Table | None) -> list[Column]:
    given = find_columns(table, found.feature_names) if table else []
    return [
        Column(
            name=name,
            categories=tuple(range(found.levels[index])) if index in found.levels else (),
            landmarks=tuple(found.thresholds.get(index, ())),
            values=numbers(given[index]) if given else (),
        )
        for index, name in enumerate(found.feature_names)
    ]


def _answers(native: Any, inputs: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    if isinstance(native, xgboost.XGBClassifier):
        probabilities = native.predict_proba(inputs).astype(np.float32)
        labels = native.predict(inputs).astype(np.int64)
        best = np.sort(probabilities, axis=1)[:, -2:]
        return (
            {"label": labels, "probabilities": probabilities},
            {"label": best[:, 1] - best[:, 0] < TIE},
        )
    return {"prediction": native.predict(inputs).astype(np.float32)}, {}


def _converted(native: Any, found: XgboostFile) -> Any:
    model = onnxmltools.convert_xgboost(
        native,
        initial_types=[(INPUT, FloatTensorType([None, found.num_feature]))],
    )
    names = [output.name for output in model.graph.output]
    if found.objective in CLASSIFIERS:
        graph.rename(model.graph, dict(zip(names, ("label", "probabilities"), strict=True)))
    else:
        graph.rename(model.graph, {names[0]: "prediction"})
        graph.flatten_output(model.graph, "prediction")
    return model


def _signature(found: XgboostFile, outputs: dict[str, Array]) -> Signature:
    features = TensorSpec(
        INPUT, "FP32", (-1, found.num_feature), features=tuple(found.feature_names), nullable=True
    )
    if found.objective in REGRESSORS:
        return Signature((features,), (TensorSpec("prediction", "FP32", (-1,)),))
    classes = outputs["probabilities"].shape[1]
    label = TensorSpec("label", "INT64", (-1,))
    return Signature((features,), (label, TensorSpec("probabilities", "FP32", (-1, classes))))


def _notes(found: XgboostFile, booster: Any) -> tuple[str, ...]:
    notes = []
    if found.levels:
        names = [found.feature_names[feature] for feature in sorted(found.levels)]
        notes.append(f"send categories as their codes (0, 1, ...) in {', '.join(names)}")
    if booster.attr("best_iteration") is not None:
        notes.append(
            f"trees up to the best iteration are used: {booster.num_boosted_rounds()} rounds"
        )
    return tuple(notes)
