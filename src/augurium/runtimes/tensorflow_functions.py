"""TensorFlow functions with named inputs and outputs, by default one thread per run.

Imports TensorFlow, therefore loaded in runners and in children of imports only.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from augurium.core.errors import ModelFailed, Unprocessable
from augurium.core.tensors import DATATYPES, Array, TensorSpec
from augurium.core.texts import text_of

FIRST_LINE_CHARACTERS = 300


def import_tensorflow(threads: int = 0) -> Any:
    """TensorFlow, silent, without devices, and with so many threads: one until somebody said."""
    # read when it is imported; it writes to standard error otherwise
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import tensorflow

    threading = tensorflow.config.threading
    if threads or not threading.get_intra_op_parallelism_threads():
        with contextlib.suppress(RuntimeError):
            # refused once it has run something in this process
            threading.set_intra_op_parallelism_threads(threads or 1)
            threading.set_inter_op_parallelism_threads(1)
    return tensorflow


class NamedFunction:
    """A concrete TensorFlow function; takes and gives tensors by name."""

    def __init__(
        self, call: Callable[..., Any], inputs: Mapping[str, Any], output_names: Sequence[str]
    ) -> None:
        """`call` takes tensors in the order of `inputs` (tf.TensorSpec by name), gives a list."""
        tensorflow = import_tensorflow()
        self.input_specs = dict(inputs)
        self.output_names = list(output_names)
        self.function = tensorflow.function(call, input_signature=list(inputs.values()))
        self._concrete = self.function.get_concrete_function()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(spec_of(name, spec, "input") for name, spec in self.input_specs.items())

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        found = self._concrete.structured_outputs
        return tuple(
            spec_of(name, spec, "output")
            for name, spec in zip(self.output_names, found, strict=True)
        )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Runs one batch. Raises ModelFailed when the model fails."""
        tensorflow = import_tensorflow()
        try:
            tensors = [
                tensorflow.constant(inputs[name], spec.dtype)
                for name, spec in self.input_specs.items()
            ]
            found = dict(zip(self.output_names, self._concrete(*tensors), strict=True))
        except Exception as error:  # TensorFlow raises dozens of classes
            raise ModelFailed(f"the model failed: {first_line(error)}") from error
        return [_array(found[name]) for name in outputs or self.output_names]


def spec_of(name: str, spec: Any, role: str) -> TensorSpec:
    """The spec of a tensor, -1 where it varies.

    Raises Unprocessable for types no protocol carries and for unknown ranks.
    """
    datatype = "BYTES" if spec.dtype.name == "string" else ""
    with contextlib.suppress(TypeError, KeyError):
        datatype = datatype or DATATYPES[np.dtype(spec.dtype.as_numpy_dtype)]
    if not datatype:
        raise Unprocessable(
            f"{role} '{name}' has elements of type {spec.dtype.name}; expected one of "
            f"{', '.join(sorted(DATATYPES.values()))}: cast it in the model and save it again"
        )
    if spec.shape.rank is None:
        raise Unprocessable(
            f"{role} '{name}' has no shape; save the model with one, None where it varies"
        )
    shape = tuple(-1 if extent is None else int(extent) for extent in spec.shape.as_list())
    return TensorSpec(name, datatype, shape)


def first_line(error: Exception) -> str:
    """What an error says, without its trace."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:FIRST_LINE_CHARACTERS]


def _array(tensor: Any) -> Array:
    found: Array = tensor.numpy()
    if found.dtype != np.object_:
        return found
    texts = np.empty(found.size, np.object_)
    texts[:] = [text_of(value) for value in found.ravel()]
    return texts.reshape(found.shape)
