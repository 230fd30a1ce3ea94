"""Keras files and SavedModels: to ONNX, and as they are.

Imports TensorFlow, therefore used in child processes only.
"""

import shutil
from importlib import import_module
from pathlib import Path

from augurium.core.signature import Signature
from augurium.importing.attempts import Attempts
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.keras_file import check_keras_file
from augurium.importing.saved_model_file import check_saved_model
from augurium.importing.table import Table
from augurium.importing.tensor_reference import SINGLE, Precision, make_reference
from augurium.runtimes.runtime import LoadedModel
from augurium.runtimes.tensorflow_functions import NamedFunction

KERAS_FILE = "model.keras"
SAVED_MODEL_FILE = "saved_model.tar"
HALF = Precision(rtol=2e-3, atol=2e-3, rounding=1e-3)


def import_keras(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Checks a .keras file and makes candidates of it.

    Raises Unprocessable for layers that run code and for classes that are not Keras' own.
    """
    check_keras_file(file)
    from augurium.runtimes.keras import KerasModel

    shutil.copyfile(file, KERAS_FILE)
    model = KerasModel(Path(KERAS_FILE), {})
    native = Candidate(runtime="keras", file=KERAS_FILE)
    return _conversion("keras", model, model.function, native, table, engines)


def import_saved_model(folder: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Checks the folder of a SavedModel and makes candidates of it.

    Raises Unprocessable for operations that read or write files or run code.
    """
    check_saved_model(folder)
    from augurium.runtimes.tensorflow import TensorflowModel, pack

    pack(folder, Path(SAVED_MODEL_FILE))
    model = TensorflowModel(Path(SAVED_MODEL_FILE), {})
    native = Candidate(runtime="tensorflow", file=SAVED_MODEL_FILE)
    return _conversion("tensorflow", model, model.function, native, table, engines)


def _conversion(
    framework: str,
    model: LoadedModel,
    function: NamedFunction,
    native: Candidate,
    table: Table | None,
    engines: frozenset[str],
) -> Conversion:
    signature = _signature(function)
    half = any(spec.datatype == "FP16" for spec in (*signature.inputs, *signature.outputs))
    reference = make_reference(model, signature, {}, table, HALF if half else SINGLE)
    versions = _versions()
    attempts = Attempts(engines)
    attempts.make("onnx", lambda: _to_onnx(function))
    attempts.make(native.runtime, lambda: native)
    return Conversion(
        framework=framework,
        framework_version=versions[framework],
        candidates=attempts.candidates,
        tried=attempts.tried,
        signature=reference.signature,
        inputs=reference.inputs,
        outputs=reference.outputs,
        uncertain=reference.uncertain,
        rtol=reference.rtol,
        atol=reference.atol,
        versions=versions,
    )


def _to_onnx(function: NamedFunction) -> Candidate:
    # here, not above: the converter may be missing where the framework is there
    from augurium.importing.tensorflow_graph import to_onnx

    return to_onnx(function)


def _versions() -> dict[str, str]:
    modules = ("tensorflow", "keras", "tf2onnx", "onnx")
    return {name: import_module(name).__version__ for name in modules}


def _signature(function: NamedFunction) -> Signature:
    edges = (*function.inputs, *function.outputs)
    batched = all(spec.shape[:1] == (-1,) for spec in edges)
    return Signature(function.inputs, function.outputs, batched)
