"""Models in memory as files a server takes: in each framework's safe format.

Only a Python function has none; it goes as a pickle, which servers take where code is allowed. A
framework is imported only when a model of its own is given, so that a client needs none.
"""

import contextlib
import inspect
import os
import platform
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from augurium.client.sample_table import sample_table
from augurium.core.errors import InvalidArgument, Unprocessable

SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
EXPECTED = (
    "expected a fitted scikit-learn estimator or pipeline, an XGBoost or LightGBM model, a PyTorch "
    "module, a Keras model, an ONNX model, a Python function, or the path of a model file"
)


class PackagedModel(msgspec.Struct, frozen=True):
    """A model ready for upload. `table` is the JSON of `sample_table`, or None."""

    filename: str
    content: bytes
    framework: str | None
    framework_version: str
    table: bytes | None = None


def package(model: object, data: object = None, example_inputs: object = None) -> PackagedModel:
    """Saves a model in its framework's safe format and a sample of `data` beside it.

    `model` is a fitted scikit-learn estimator or pipeline (saved with skops), an XGBoost Booster or
    XGBModel (UBJSON), a LightGBM Booster or LGBMModel (text), a PyTorch module or ExportedProgram
    (.pt2), a Keras model (.keras), an ONNX ModelProto, a Python function (cloudpickle), or a path,
    whose content is taken as it is. `data` is what `sample_table` takes. `example_inputs` are the
    arguments of a PyTorch module, see `torch_packaging`; the rows of `data` where there are none.
    Raises InvalidArgument for anything else and Unprocessable for a model whose settings its file
    would not keep.
    """
    package_name = type(model).__module__.partition(".")[0]
    coded = package_name in ("xgboost", "lightgbm")
    table = None if data is None else sample_table(data, as_codes=coded)
    if isinstance(model, str | os.PathLike):
        return _from_path(Path(model), table)
    if package_name == "xgboost":
        return _from_xgboost(model, table)
    if package_name == "lightgbm":
        return _from_lightgbm(model, table)
    if package_name == "onnx":
        return _from_onnx(model, table)
    if _is_torch(model):
        return _from_torch(model, data if example_inputs is None else example_inputs, table)
    if _is_keras(model):
        return _from_keras(model, table)
    if hasattr(model, "fit") and hasattr(model, "get_params"):
        return _from_sklearn(model, table)
    if callable(model) and not isinstance(model, type):
        return _from_function(model, table)
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


def _from_lightgbm(model: Any, table: bytes | None) -> PackagedModel:
    import lightgbm

    labels: list[str | int] = []
    if isinstance(model, lightgbm.LGBMModel):
        if not model.__sklearn_is_fitted__():
            raise InvalidArgument("this LightGBM model is not fitted; call fit first")
        labels = [_plain_label(label) for label in getattr(model, "classes_", ())]
        model = model.booster_
    if not isinstance(model, lightgbm.Booster):
        raise InvalidArgument(f"a {type(model).__qualname__} cannot be registered; {EXPECTED}")
    content = model.model_to_string().encode()
    if labels != list(range(len(labels))):
        # the file counts classes; a line behind its end, which LightGBM passes over, names them
        content += b"\naugurium_classes:" + msgspec.json.encode(labels) + b"\n"
    return PackagedModel("model.txt", content, "lightgbm", lightgbm.__version__, table)


def _plain_label(label: Any) -> str | int:
    plain = label.item() if hasattr(label, "item") else label
    if isinstance(plain, str):
        return plain
    if plain != int(plain):
        raise Unprocessable(
            f"this LightGBM model has the label {plain!r}; train it with texts or whole numbers"
        )
    return int(plain)


def _is_torch(model: object) -> bool:
    """A module, which has a class of its owner's, or an exported program; without importing it."""
    return any(
        f"{kind.__module__}.{kind.__qualname__}"
        in ("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram")
        for kind in type(model).__mro__
    )


def _from_torch(model: Any, example_inputs: object, table: bytes | None) -> PackagedModel:
    import torch

    from augurium.client.torch_packaging import exported_content

    content = exported_content(model, example_inputs)
    return PackagedModel("model.pt2", content, "torch", str(torch.__version__), table)


def _is_keras(model: object) -> bool:
    return any(
        kind.__module__.startswith("keras.") and kind.__name__ == "Model"
        for kind in type(model).__mro__
    )


def _from_keras(model: Any, table: bytes | None) -> PackagedModel:
    import keras

    if not model.built:
        raise InvalidArgument(
            "this Keras model is not built; give it an Input layer, or call it once with data"
        )
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # of an optimizer that is not there, which serving does not need
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.keras"
        model.save(file)
        return PackagedModel("model.keras", file.read_bytes(), "keras", keras.__version__, table)


def _from_function(function: Any, table: bytes | None) -> PackagedModel:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidArgument(
            "an asynchronous function cannot be registered; write it with def, and yield for a "
            "stream of answers"
        )
    try:
        import cloudpickle
    except ImportError as error:
        raise InvalidArgument(
            "cloudpickle is not installed, which packs Python functions; "
            "run: pip install 'augurium[python]'"
        ) from error
    try:
        with _by_value(function):
            content = cloudpickle.dumps(function)
    except Exception as error:  # whatever the function refers to may refuse
        raise InvalidArgument(f"this function cannot be packed: {error}") from error
    version = platform.python_version()
    return PackagedModel("function.cloudpickle", content, "python", version, table)


@contextlib.contextmanager
def _by_value(function: Any) -> Iterator[None]:
    """The module of the function goes along, unless it is installed: the server has none of it."""
    import cloudpickle

    kind = function if hasattr(function, "__code__") else type(function)
    module = sys.modules.get(getattr(kind, "__module__", None) or "")
    file = getattr(module, "__file__", None) or ""
    installed = "site-packages" in file or file.startswith(sysconfig.get_path("stdlib"))
    by_value = cloudpickle.list_registry_pickle_by_value()
    if module is None or not file or installed or module.__name__ in by_value:
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


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
