"""ONNX Runtime on the CPU: one thread per run and no spinning, because the engines already use
every core.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.onnx_values import OF_BFLOAT16, run_with_values

OPTIMIZATION_LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
OPTIONS = {"optimization": frozenset(OPTIMIZATION_LEVELS), "prepacking": frozenset({"on", "off"})}

# where a model that is given as bytes finds its external data; unknown keys are accepted silently,
# but then no session with weights can be made
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxModel:
    """One ONNX Runtime session. Options: `optimization` (default `all`) and `prepacking` (default
    `on`).

    External `weights` are mapped into memory: with `prepacking` off all processes share them, with
    it on each has a copy in an order that large batches like better. Their file must be called what
    the model calls it.
    """

    def __init__(self, path: Path, options: Mapping[str, str], weights: Path | None = None) -> None:
        session_options = session_options_of(options)
        model: str | bytes = str(path)
        try:
            if weights is not None:
                session_options.add_session_config_entry(WEIGHTS_FOLDER, str(weights.parent))
                model = path.read_bytes()
            self._session = ort.InferenceSession(
                model, session_options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            raise ModelFailed(
                f"ONNX Runtime cannot load {path.name}: {first_line(error)}"
            ) from error
        # one for all runs: without it ONNX Runtime makes one for each, 0.4 us
        self._run_options = ort.RunOptions()
        outputs = self._session.get_outputs()
        self.output_names = [output.name for output in outputs]
        # arrays of these are no arrays to ONNX Runtime
        self._has_bfloat16 = any(
            edge.type == OF_BFLOAT16 for edge in (*self._session.get_inputs(), *outputs)
        )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        try:
            if self._has_bfloat16:
                return run_with_values(self._session, outputs or self.output_names, inputs)
            found: list[Array] = self._session.run(
                outputs or self.output_names, inputs, self._run_options
            )
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            raise ModelFailed(f"the model failed: {first_line(error)}") from error
        return found

    def interrupt(self) -> None:
        """Ends the runs in progress with ModelFailed, and all to come; on any thread."""
        self._run_options.terminate = True


def session_options_of(options: Mapping[str, str]) -> ort.SessionOptions:
    """The options of a session for the CPU. Raises InvalidArgument for what is not known."""
    for key, value in options.items():
        if value not in OPTIONS.get(key, ()):
            raise InvalidArgument(f"onnx option {key}={value} is not known; known are {OPTIONS}")
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = 1
    session_options.inter_op_num_threads = 1
    # its arena never gives back what large batches took: eight identities of 38 MB left 8.5 times
    # as much with it, 0.1 without, and took 4.3 and 3.8 ms each where malloc uses huge pages
    # (`node/commands.py`); a small run takes 22 us either way
    session_options.enable_cpu_mem_arena = False
    session_options.log_severity_level = 4
    session_options.graph_optimization_level = OPTIMIZATION_LEVELS[
        options.get("optimization", "all")
    ]
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session_options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if options.get("prepacking") == "off":
        session_options.add_session_config_entry("session.disable_prepacking", "1")
    return session_options


def first_line(error: Exception) -> str:
    """What an error says, without its trace."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
