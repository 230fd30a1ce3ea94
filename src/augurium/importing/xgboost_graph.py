"""XGBoost to ONNX. Imports its converter, therefore used in child processes only."""

from pathlib import Path
from typing import Any

import onnx
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from augurium.importing import graph
from augurium.importing.conversion import Candidate
from augurium.importing.tree_reference import INPUT
from augurium.importing.xgboost_file import XgboostFile
from augurium.importing.xgboost_rules import CLASSIFIERS

FILE = "model.onnx"


def write(booster: Any, found: XgboostFile) -> Candidate:
    """Converts a booster without feature names; the converter wants the wrapper of its kind."""
    is_classifier = found.objective in CLASSIFIERS
    native = xgboost.XGBClassifier() if is_classifier else xgboost.XGBRegressor()
    native.load_model(booster.save_raw("ubj"))
    model = onnxmltools.convert_xgboost(
        native, initial_types=[(INPUT, FloatTensorType([None, found.num_feature]))]
    )
    names = [output.name for output in model.graph.output]
    if is_classifier:
        graph.rename(model.graph, dict(zip(names, ("label", "probabilities"), strict=True)))
    else:
        graph.rename(model.graph, {names[0]: "prediction"})
        graph.flatten_output(model.graph, "prediction")
    Path(FILE).write_bytes(model.SerializeToString())
    return Candidate(runtime="onnx", file=FILE)


def versions() -> dict[str, str]:
    return {"onnxmltools": onnxmltools.__version__, "onnx": onnx.__version__}
