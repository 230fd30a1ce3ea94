"""LightGBM models inside scikit-learn pipelines: their converters, made known to skl2onnx."""

from collections.abc import Iterable
from typing import Any

import lightgbm
import skl2onnx
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

from augurium.importing.lightgbm_graph import with_narrow_thresholds


def register() -> None:
    """Source: sklearn-onnx documentation, "Convert a pipeline with a LightGBM model"."""
    skl2onnx.update_registered_converter(
        lightgbm.LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    skl2onnx.update_registered_converter(
        lightgbm.LGBMRegressor,
        "LightGbmLGBMRegressor",
        calculate_linear_regressor_output_shapes,
        convert_lightgbm,
        options={"split": None},
    )


def narrow_thresholds(parts: Iterable[Any]) -> None:
    """Rounds the thresholds of fitted models, in place, so that single precision keeps them."""
    for part in parts:
        if type(part).__module__.startswith("lightgbm.") and part.__sklearn_is_fitted__():
            text = with_narrow_thresholds(part.booster_.model_to_string())
            part._Booster = lightgbm.Booster(model_str=text)
