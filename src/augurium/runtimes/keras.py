"""Keras on the CPU with TensorFlow below it: files of `model.save("model.keras")`.

Imports Keras, therefore loaded in runners and in children of imports only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.tensors import Array
from augurium.runtimes.tensorflow_functions import NamedFunction, first_line, import_tensorflow


class KerasModel:
    """One Keras model. Takes no options.

    Inputs have the names of its input layers. Outputs have the keys of the dict it returns, or the
    names of its output layers.
    """

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        if options:
            raise InvalidArgument(f"keras takes no options, got {dict(options)}")
        import_tensorflow(threads)
        self._model = _load(path)
        self.function = _function(self._model)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return self.function.run(inputs, outputs)


def import_framework() -> None:
    """What all models of this runtime share."""
    import_tensorflow()
    import keras  # noqa: F401


def _load(path: Path) -> Any:
    import_tensorflow()
    import keras

    with TemporaryDirectory() as folder:
        # Keras goes by the name of a file
        named = Path(folder) / "model.keras"
        named.symlink_to(path.absolute())
        try:
            return keras.saving.load_model(named, compile=False, safe_mode=True)
        except Exception as error:  # whatever a layer raises while it is made
            raise Unprocessable(
                f"Keras {keras.__version__} cannot load the model: {type(error).__name__}: "
                f"{first_line(error)}; save it with this version and with layers of Keras only, or "
                "export it as a SavedModel: model.export('folder')"
            ) from error


def _function(model: Any) -> NamedFunction:
    import keras

    tensorflow = import_tensorflow()
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise Unprocessable(
            "the Keras model does not tell its inputs; give it an Input layer, or export it as a "
            "SavedModel: model.export('folder')"
        )
    # a Sequential has no such structure of its own
    in_order = isinstance(model, keras.Sequential)
    given = model.inputs[0] if in_order else model.input
    returned = model.outputs[0] if in_order else model.output
    taken = keras.tree.flatten(given)
    specs = {
        tensor.name: tensorflow.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
        for tensor in taken
    }
    if len(specs) < len(taken):
        raise Unprocessable("two inputs of the Keras model have one name; name them apart")

    def call(*tensors: Any) -> list[Any]:
        arguments = keras.tree.pack_sequence_as(given, list(tensors))
        found: list[Any] = keras.tree.flatten(model(arguments, training=False))
        return found

    return NamedFunction(call, specs, _output_names(model, returned))


def _output_names(model: Any, returned: Any) -> list[str]:
    import keras

    keyed = [
        "_".join(str(key) for key in path if isinstance(key, str))
        for path, _ in keras.tree.flatten_with_path(returned)
    ]
    if all(keyed) and len(set(keyed)) == len(keyed):
        return keyed
    layers = getattr(model, "output_names", None) or [model.layers[-1].name]
    if len(set(layers)) == len(keyed):
        return list(layers)
    return ["output" if not place else f"output_{place}" for place in range(len(keyed))]
