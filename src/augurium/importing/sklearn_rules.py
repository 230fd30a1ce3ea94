"""Which scikit-learn models never reach the converter to ONNX, and which ones treelite knows.

What is refused was measured: the conversion reports success, and the model is wrong or fails later.
"""

from typing import Any

from augurium.importing.lightgbm_file import read_model
from augurium.importing.lightgbm_rules import wrong_in_onnx as wrong_lightgbm
from augurium.importing.sklearn_parts import parts
from augurium.importing.xgboost_file import XgboostFile, inspect, read_document
from augurium.importing.xgboost_rules import unsupported_in_onnx as unsupported_xgboost
from augurium.importing.xgboost_rules import wrong_in_onnx as wrong_xgboost

# the converter builds a tree of its quantiles for each column: 100 took 19 s, 300 did not end
MAX_QUANTILES = 40
TREELITE = frozenset(
    {
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
    }
)


def wrong_in_onnx(model: Any) -> str:
    """Why the converted model would be silently wrong, or fail on some rows; empty if not known."""
    return _first(_wrong(part) for part in parts(model))


def unsupported_in_onnx(model: Any) -> str:
    """Why the converter would fail or not end; empty if it is not known to."""
    return _first(_unsupported(part) for part in parts(model))


def is_known_to_treelite(model: Any) -> bool:
    """Whether the estimator itself is an ensemble that treelite reads."""
    return type(model).__module__.startswith("sklearn.") and type(model).__name__ in TREELITE


def _first(reasons: Any) -> str:
    return next((reason for reason in reasons if reason), "")


def _wrong(part: Any) -> str:
    if (
        getattr(part, "_infrequent_enabled", False)
        or getattr(part, "handle_unknown", "") == "infrequent_if_exist"
    ):
        return "grouping of infrequent categories fails in ONNX at the first unseen category"
    if getattr(part, "indicator_", None) is not None:
        return "the converter forgets the indicators of missing values (add_indicator)"
    if type(part).__module__.startswith("xgboost.") and part.__sklearn_is_fitted__():
        return wrong_xgboost(_inspected(part))
    if type(part).__module__.startswith("lightgbm.") and part.__sklearn_is_fitted__():
        return wrong_lightgbm(read_model(part.booster_.model_to_string().encode()))
    return ""


def _unsupported(part: Any) -> str:
    if hasattr(part, "_predictors") and part.is_categorical_ is not None:
        return "categorical features of histogram boosting have no counterpart in ONNX"
    if getattr(part, "n_quantiles_", 0) > MAX_QUANTILES:
        return (
            f"converting a QuantileTransformer ends for {MAX_QUANTILES} quantiles, and this one "
            f"has {part.n_quantiles_}"
        )
    if type(part).__module__.startswith("xgboost.") and part.__sklearn_is_fitted__():
        return unsupported_xgboost(_inspected(part))
    return ""


def _inspected(part: Any) -> XgboostFile:
    return inspect(read_document(bytes(part.get_booster().save_raw("ubj"))))
