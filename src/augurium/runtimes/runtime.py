"""The port of a runtime, and the table of those there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array


class LoadedModel(Protocol):
    """A model in memory. `run` may be called from several threads at once."""

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Runs one batch; returns the named outputs in that order, or all in the signature's order.

        Blocking. Raises ModelFailed when the model itself fails.
        """
        ...


def load(runtime: str, path: Path, options: Mapping[str, str]) -> LoadedModel:
    """Loads a servable file with the named runtime.

    Raises InvalidArgument for an unknown runtime and ModelFailed when the file cannot be loaded.
    """
    if runtime == "onnx":
        from augurium.runtimes.onnx import OnnxModel

        return OnnxModel(path, options)
    raise InvalidArgument(f"runtime '{runtime}' is not known here; expected 'onnx'")
