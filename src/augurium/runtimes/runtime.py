"""The port of a runtime, and the table of those there are."""

from collections.abc import Callable, Generator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from augurium.core.device_policy import CPU, refusal
from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.placement import Placement

ANYWHERE = Placement()
# which of them may live in an engine process; all others live in a runner
IN_ENGINE = frozenset({"onnx"})
# which of them are not told how many threads a run may have; what scikit-learn and functions call
# reads it from the environment (OMP_NUM_THREADS), and joblib has one in a confined process
WITHOUT_THREADS = IN_ENGINE | {"python", "sklearn"}
# which of them take BYTES that are not UTF-8; the others take texts only
TAKE_BYTES = frozenset({"tensorflow", "keras", "python"})
# class by runtime, and the extra that brings what it needs
RUNTIMES: dict[str, tuple[str, str]] = {
    "onnx": ("OnnxModel", ""),
    "treelite": ("TreeliteModel", "xgboost"),
    "xgboost": ("XgboostModel", "xgboost"),
    "lightgbm": ("LightgbmModel", "lightgbm"),
    "sklearn": ("SklearnModel", "sklearn"),
    "torch": ("TorchModel", "torch"),
    "tensorflow": ("TensorflowModel", "tensorflow"),
    "keras": ("KerasModel", "tensorflow"),
    "python": ("PythonModel", "python"),
}
# the classes for a device, in a module of their own each
ON_DEVICE: dict[str, tuple[str, str]] = {
    "onnx": ("onnx_device", "OnnxDeviceModel"),
    "torch": ("torch_device", "TorchDeviceModel"),
}


class DeviceLost(ModelFailed):
    """Nothing works on the device in this process any more; another process may use it."""


class LoadedModel(Protocol):
    """A model in memory. `run` may be called from several threads at once."""

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Runs one batch; returns the named outputs in that order, or all in the signature's order.

        Blocking. Raises ModelFailed when the model itself fails.
        """
        ...


@runtime_checkable
class InterruptibleModel(LoadedModel, Protocol):
    """A model whose runs can be ended from outside."""

    def interrupt(self) -> None:
        """Ends the runs in progress with ModelFailed, and all to come; on any thread."""
        ...


@runtime_checkable
class ParameterizedModel(LoadedModel, Protocol):
    """A model that may want to be told what a request says beside its tensors."""

    def run_with(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Array]:
        """As `run`, for rows of requests that all have these parameters."""
        ...


@runtime_checkable
class StreamingModel(LoadedModel, Protocol):
    """A model that may give several answers to one batch."""

    def stream(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        parameters: Mapping[str, Any],
        begins: Callable[[], None] | None = None,
    ) -> Generator[list[Array], None, None]:
        """One answer after another, each as `run` gives its only one; an empty one means that it
        waits for its turn, and `begins` is called when the first has come. Blocking; closing it
        ends the work. Raises as `run` does, and what `begins` raises.
        """
        ...


@runtime_checkable
class DeviceModel(LoadedModel, Protocol):
    """A model on a device, whose runs overlap: they are worth a thread each, however short."""

    @property
    def device_bytes(self) -> int:
        """What it takes of the memory of its device now."""
        ...


def load(
    runtime: str,
    path: Path,
    options: Mapping[str, str],
    weights: Path | None = None,
    threads: int = 1,
    placement: Placement = ANYWHERE,
) -> LoadedModel:
    """Loads a servable file with the named runtime, whose module is imported now.

    `weights` are the external weights of an ONNX file. `threads` are the framework's within one
    run; engines and functions have no use for the number. Raises InvalidArgument for an unknown
    runtime and for one that cannot do what `placement` asks for, and ModelFailed when the file
    cannot be loaded, or packages of the runtime or the device are missing.
    """
    model = prepare(runtime)
    if weights is not None and runtime != "onnx":
        raise InvalidArgument(f"runtime '{runtime}' takes no external weights; only onnx does")
    if placement.device != CPU:
        return _on_device(runtime, path, options, weights, placement)
    loaded: LoadedModel
    if weights is not None:
        loaded = model(path, options, weights)
    elif threads > 1 and runtime not in WITHOUT_THREADS:
        loaded = model(path, options, threads)
    else:
        loaded = model(path, options)
    return loaded


def _on_device(
    runtime: str, path: Path, options: Mapping[str, str], weights: Path | None, placement: Placement
) -> LoadedModel:
    why = refusal(placement.device, runtime)
    if why:
        raise InvalidArgument(why)
    module, class_name = ON_DEVICE[runtime]
    model = getattr(import_module(f"augurium.runtimes.{module}"), class_name)
    rest = (weights, placement) if runtime == "onnx" else (placement,)
    loaded: LoadedModel = model(path, options, *rest)
    return loaded


def prepare(runtime: str) -> Any:
    """Imports what the runtime needs, which may take long, and gives its class of models.

    Raises as `load` does.
    """
    if runtime not in RUNTIMES:
        raise InvalidArgument(
            f"runtime '{runtime[:64]}' is not known here; expected one of {', '.join(RUNTIMES)}"
        )
    class_name, extra = RUNTIMES[runtime]
    try:
        return getattr(import_module(f"augurium.runtimes.{runtime}"), class_name)
    except ImportError as error:
        raise ModelFailed(
            f"this machine lacks {error.name or 'a package'} to serve models with {runtime}; "
            f"run: pip install 'augurium[{extra}]'"
        ) from error
