"""Models in memory as files a server takes: in each framework's safe format, never a pickle.

A framework is imported only when a model of its own is given, so that a client needs none.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from augurium.client.sample_table import sample_table
from augurium.core.errors import InvalidArgument, Unprocessable

SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
EXPECTED = (
    "expected a fitted scikit-learn estimator or pipeline, an XGBoost model, an ONNX model, or the "
    "path of a model file"
)


class PackagedModel(msgspec.Struct, frozen=True):
    """A model ready for upload. `table` is the JSON of `sample_table`, or None."""

    filename: str
    content: bytes
    framework: str | None
    framework_version: str
    table: bytes | None = None


def package(model: object, data: object = None) -> PackagedModel:
    """Saves a model in its framework's safe format and a sample of `data` beside it.

    `model` is a fitted scikit-learn estimator or pipeline (saved with skops), an XGBoost Booster or
    XGBModel (UBJSON), an ONNX ModelProto, or a path, whose content is taken as it is. `data` is
    what `sample_table` takes. Raises InvalidArgument for anything else and Unprocessable for a
    model whose settings its file would not keep.
    """
    package_name = type(model).__module__.partition(".")[0]
    table = None if data is None else sample_table(data, as_codes=package_name == "xgboost")
    if isinstance(model, str | os.PathLike):
        return _from_path(Path(model), table)
    if package_name == "xgboost":
        return _from_xgboost(model, table)
    if package_name == "onnx":
        return _from_onnx(model, table)
    if hasattr(model, "fit") and hasattr(model, "get_params"):
        return _from_sklearn(model, table)
    raise InvalidArgument(
        f"a {type(model).__module__}.{type(model).__qualname__} cannot be registered; {EXPECTED}"
    )


def _from_path(path: Path, table: bytes | None) -> PackagedModel:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InvalidArgument(f"{path} {what}; expected the path of a model file")
    return PackagedModel(path.name, path.read_bytes(), None, "", table)


def _from_xgboost(model: Any, table: bytes | None) -> PackagedModel:
    import xgboost

    missing = getattr(model, "missing", None)
    if isinstance(missing, int | float) and missing == missing:
        raise Unprocessable(
            f"this XGBoost model takes {missing!r} for a missing value, which its file does not "
            "keep; train it with missing=float('nan')"
        )
    if isinstance(model, xgboost.XGBModel) and not model.__sklearn_is_fitted__():
        raise InvalidArgument("this XGBoost model is not fitted; call fit first")
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    content = bytes(booster.save_raw("ubj"))
    return PackagedModel("model.ubj", content, "xgboost", xgboost.__version__, table)


def _from_onnx(model: Any, table: bytes | None) -> PackagedModel:
    import onnx

    if not isinstance(model, onnx.ModelProto):
        raise InvalidArgument(f"a {type(model).__qualname__} cannot be registered; {EXPECTED}")
    return PackagedModel("model.onnx", model.SerializeToString(), "onnx", onnx.__version__, table)


def _from_sklearn(model: Any, table: bytes | None) -> PackagedModel:
    if type(model).__name__ in SEARCHES:
        # what a search predicts with; the rest of it is scores and splitters
        model = getattr(model, "best_estimator_", model)
    _check_fitted(model)
    try:
        import skops.io
    except ImportError as error:
        raise InvalidArgument(
            "skops is not installed, which saves scikit-learn models without pickle; "
            "run: pip install 'augurium[sklearn]'"
        ) from error
    import sklearn

    try:
        content = skops.io.dumps(model)
    except Exception as error:  # skops passes on whatever a custom class raises while it is read
        raise InvalidArgument(
            f"this {type(model).__name__} cannot be saved with skops: {error}"
        ) from error
    return PackagedModel("model.skops", content, "sklearn", sklearn.__version__, table)


def _check_fitted(model: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InvalidArgument(
            f"this {type(model).__name__} is not fitted; call fit first"
        ) from error
