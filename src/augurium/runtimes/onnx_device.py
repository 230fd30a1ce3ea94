"""ONNX Runtime on a CUDA device: values are bound, and where graphs are recorded they keep their
places.

Source: ONNX Runtime, "CUDA Execution Provider", and its tests of CUDA graphs by annotation.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
import structlog

from augurium.core.accelerators import Accelerators
from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import ModelFailed
from augurium.core.nvml import NvmlAccelerators
from augurium.core.tensors import Array
from augurium.runtimes.batch_sizes import rows_of, size_for
from augurium.runtimes.onnx import WEIGHTS_FOLDER, first_line, session_options_of
from augurium.runtimes.onnx_values import OF_BFLOAT16, array_of, value_of
from augurium.runtimes.placement import Placement, most_room, no_such_device, nothing_here

PROVIDER = "CUDAExecutionProvider"
OF_TEXTS = "tensor(string)"
# one run computes while the values of the next are bound; a session that records takes one run
SLOTS = 2
MOST_RECORDINGS = 16
# by which a run says what it records or repeats; nothing with the second
GRAPH, NO_GRAPH = "gpu_graph_id", "-1"
INSTEAD = (
    "this ONNX Runtime has no provider for CUDA; run: pip uninstall --yes onnxruntime &&"
    " pip install 'onnxruntime-gpu[cuda,cudnn]'"
)

log = structlog.get_logger()


class Where(NamedTuple):
    """The provider of a session, and the device of its values."""

    providers: Sequence[Any]
    kind: str = "cpu"
    number: int = 0


class Kept(NamedTuple):
    """Values of one shape that stay where they are, as a recording needs it."""

    binding: Any
    options: Any
    inputs: dict[str, Any]
    outputs: list[Any]


class OnnxDeviceModel:
    """One session on a device. Options as `OnnxModel` has them.

    Models with texts are not bound: ONNX Runtime binds numbers only, and copies by itself.
    """

    def __init__(
        self,
        path: Path,
        options: Mapping[str, str],
        weights: Path | None,
        placement: Placement,
        where: Where | None = None,
    ) -> None:
        """`where` instead of what the policy says, for who has no such device."""
        policy = placement.device
        self._where = where or cuda_of(policy, NvmlAccelerators())
        self._session = _session(path, options, weights, self._where)
        edges = (*self._session.get_inputs(), *self._session.get_outputs())
        self.output_names = [output.name for output in self._session.get_outputs()]
        self._has_texts = any(edge.type == OF_TEXTS for edge in edges)
        # values of bfloat16 cannot be changed in their place
        self._records = policy.records_graphs and all(edge.type != OF_BFLOAT16 for edge in edges)
        self._fills_up = self._records and placement.batched
        self._most = placement.max_rows
        self._kept: dict[tuple[Any, ...], Kept] = {}
        self._one_recording = threading.Lock()
        self._bindings: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(1 if self._records else SLOTS):
            self._bindings.put(self._session.io_binding())

    @property
    def device_bytes(self) -> int:
        """Unknown: ONNX Runtime does not say; NVML knows of the process."""
        return 0

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        try:
            if self._has_texts:
                found: list[Array] = self._session.run(outputs or self.output_names, inputs)
                return found
            arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
            every = self._kept_run(arrays) if self._records else self._bound_run(arrays, None)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            raise ModelFailed(f"the model failed: {first_line(error)}") from error
        named = dict(zip(self.output_names, every, strict=True))
        return [named[name] for name in outputs or self.output_names]

    def _bound_run(self, arrays: Mapping[str, Array], options: Any) -> list[Array]:
        """One run from host memory to host memory; ONNX Runtime moves what is bound."""
        binding = self._bindings.get()
        try:
            # the values are views of the arrays, which outlive the run
            values = {name: value_of(array) for name, array in arrays.items()}
            for name, value in values.items():
                binding.bind_ortvalue_input(name, value)
            for name in self.output_names:
                binding.bind_output(name)
            self._session.run_with_iobinding(binding, options)
            return [array_of(value) for value in binding.get_outputs()]
        finally:
            binding.clear_binding_inputs()
            binding.clear_binding_outputs()
            self._bindings.put(binding)

    def _kept_run(self, arrays: dict[str, Array]) -> list[Array]:
        rows = rows_of(list(arrays.values())) if self._fills_up else None
        if rows:
            arrays = {
                name: _filled(array, size_for(rows, self._most)) for name, array in arrays.items()
            }
        with self._one_recording:
            kept = self._kept_for(arrays)
            if kept is None:
                found = self._bound_run(arrays, _options(NO_GRAPH))
            else:
                for name, array in arrays.items():
                    kept.inputs[name].update_inplace(array)
                self._session.run_with_iobinding(kept.binding, kept.options)
                found = kept.binding.copy_outputs_to_cpu()
        return [array[:rows] if rows and array.ndim else array for array in found]

    def _kept_for(self, arrays: Mapping[str, Array]) -> Kept | None:
        shapes = tuple((name, array.shape) for name, array in arrays.items())
        kept = self._kept.get(shapes)
        if kept is None and len(self._kept) < MOST_RECORDINGS:
            # a run without recording tells the shapes of the outputs
            outputs = self._bound_run(arrays, _options(NO_GRAPH))
            kept = self._kept[shapes] = self._keep(arrays, outputs, str(len(self._kept) + 1))
        return kept

    def _keep(self, arrays: Mapping[str, Array], outputs: Sequence[Array], name: str) -> Kept:
        kind, number = self._where.kind, self._where.number
        binding = self._session.io_binding()
        # copies also on the CPU, where a value is a view otherwise
        values = {
            name: ort.OrtValue.ortvalue_from_numpy(array.copy(), kind, number)
            for name, array in arrays.items()
        }
        places = [
            ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, kind, number)
            for array in outputs
        ]
        for edge, value in values.items():
            binding.bind_ortvalue_input(edge, value)
        for edge, place in zip(self.output_names, places, strict=True):
            binding.bind_ortvalue_output(edge, place)
        return Kept(binding, _options(name), values, places)


def provider_options(policy: DevicePolicy, number: int) -> dict[str, str]:
    """What the provider is told of a device."""
    options = {
        "device_id": str(number),
        # no more than what is asked for: several models share the device
        "arena_extend_strategy": "kSameAsRequested",
        # a search by trying would come with every new batch size
        "cudnn_conv_algo_search": "HEURISTIC",
        # answers as those that passed parity
        "use_tf32": "0",
        "enable_cuda_graph": "1" if policy.records_graphs else "0",
    }
    if policy.memory_bytes:
        options["gpu_mem_limit"] = str(policy.memory_bytes)
    return options


def cuda_of(policy: DevicePolicy, accelerators: Accelerators) -> Where:
    """The device a policy names. Raises ModelFailed when it is not there, as far as NVML knows."""
    if PROVIDER not in ort.get_available_providers():
        raise ModelFailed(INSTEAD)
    if hasattr(ort, "preload_dlls"):
        # the libraries of CUDA may be Python packages
        ort.preload_dlls()
    readings = accelerators.read()
    number = policy.number
    if number is None:
        number = most_room([reading.free_bytes for reading in readings]) if readings else 0
    elif readings and number >= len(readings):
        raise ModelFailed(no_such_device(policy.name, len(readings)))
    return Where([(PROVIDER, provider_options(policy, number))], "cuda", number)


def _session(
    path: Path, options: Mapping[str, str], weights: Path | None, where: Where
) -> ort.InferenceSession:
    """Raises ModelFailed also where ONNX Runtime would go on without the device."""
    settings = session_options_of(options)
    model: str | bytes = str(path)
    try:
        if weights is not None:
            settings.add_session_config_entry(WEIGHTS_FOLDER, str(weights.parent))
            model = path.read_bytes()
        session = ort.InferenceSession(model, settings, providers=where.providers)
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        raise ModelFailed(
            f"ONNX Runtime cannot load {path.name} on {where.kind}:{where.number}:"
            f" {first_line(error)}; if it is about graphs, set device.compile to 'off'"
        ) from error
    session.disable_fallback()
    if where.kind == "cuda" and PROVIDER not in session.get_providers():
        raise ModelFailed(
            nothing_here("ONNX Runtime")
            + "; its libraries may be missing: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    return session


def _options(graph: str) -> Any:
    options = ort.RunOptions()
    options.add_run_config_entry(GRAPH, graph)
    return options


def _filled(array: Array, size: int) -> Array:
    """The rows, and the last one repeated up to `size`."""
    rows = array.shape[0]
    if size == rows:
        return array
    return np.concatenate([array, np.repeat(array[-1:], size - rows, axis=0)])
