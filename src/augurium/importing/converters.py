"""What converts each format, what that needs, and which engines may come out of it.

Read by the server, which imports none of it, and by the converting child.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from augurium.importing.formats import Format
from augurium.importing.table import Table

if TYPE_CHECKING:
    from augurium.importing.conversion import Conversion

ImportFile = Callable[[Path, Table | None, frozenset[str]], "Conversion"]


class Converter(msgspec.Struct, frozen=True, kw_only=True):
    """One format's converter.

    `function` is `module:name` of an `ImportFile`; `modules` are what it cannot do without and
    `extra` brings. `engines` are the runtimes it may propose, the best first. `runs_code` says that
    loading the format runs code of the file.
    """

    function: str
    extra: str
    modules: tuple[str, ...]
    engines: tuple[str, ...]
    runs_code: bool = False

    def load(self) -> ImportFile:
        """Imports the function, and with it the framework; only for child processes."""
        module, _, name = self.function.partition(":")
        found: ImportFile = getattr(import_module(f"augurium.importing.{module}"), name)
        return found


_SKLEARN = ("sklearn", "skops", "pandas")
_XGBOOST = Converter(
    function="xgboost_import:import_file",
    extra="xgboost",
    modules=("xgboost",),
    engines=("onnx", "treelite", "xgboost"),
)
_MLFLOW = Converter(
    function="mlflow_import:import_folder",
    extra="mlflow",
    modules=("yaml",),
    engines=("onnx", "treelite", "xgboost", "lightgbm", "sklearn", "torch", "tensorflow", "keras"),
)
CONVERTERS: dict[Format, Converter] = {
    Format.ONNX: Converter(
        function="onnx_import:import_file", extra="onnx", modules=("onnx",), engines=("onnx",)
    ),
    Format.SKOPS: Converter(
        function="sklearn_import:import_file",
        extra="sklearn",
        modules=_SKLEARN,
        engines=("onnx", "treelite", "xgboost", "lightgbm", "sklearn"),
    ),
    Format.PICKLE: Converter(
        function="sklearn_import:import_pickle",
        extra="sklearn",
        modules=_SKLEARN,
        engines=("onnx", "treelite", "xgboost", "lightgbm", "sklearn"),
        runs_code=True,
    ),
    Format.LIGHTGBM: Converter(
        function="lightgbm_import:import_file",
        extra="lightgbm",
        modules=("lightgbm",),
        engines=("onnx", "treelite", "lightgbm"),
    ),
    Format.XGBOOST_UBJ: _XGBOOST,
    Format.XGBOOST_JSON: _XGBOOST,
    Format.PT2: Converter(
        function="torch_import:import_file",
        extra="torch",
        modules=("torch", "onnxscript", "onnx"),
        engines=("onnx", "torch"),
    ),
    Format.KERAS: Converter(
        function="tensorflow_import:import_keras",
        extra="tensorflow",
        modules=("tensorflow", "tf2onnx", "onnx"),
        engines=("onnx", "keras"),
    ),
    Format.SAVED_MODEL: Converter(
        function="tensorflow_import:import_saved_model",
        extra="tensorflow",
        modules=("tensorflow", "tf2onnx", "onnx"),
        engines=("onnx", "tensorflow"),
    ),
    Format.PYTHON: Converter(
        function="python_import:import_file",
        extra="python",
        modules=("cloudpickle",),
        engines=("python",),
        runs_code=True,
    ),
    Format.MLFLOW: _MLFLOW,
    Format.MLFLOW_CODE: msgspec.structs.replace(_MLFLOW, function="mlflow_import:import_with_code"),
}
