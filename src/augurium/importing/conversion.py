"""What a converter hands back: ways to serve a model, its signature, the framework's answers."""

from typing import Any

import msgspec
import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import Array, is_float

RELATIVE_TOLERANCE = 1e-3
PROBABILITY_TOLERANCE = 1e-5
SCALE_TOLERANCE = 1e-5
SCALE_PERCENTILE = 90


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve the model, whose parity is still to be shown.

    `runtime` is one of `runtimes.runtime.RUNTIMES` and `options` are what it takes; `file` and
    `weights` (external ONNX weights) are names of files in the working folder of the child.
    """

    runtime: str
    file: str
    weights: str | None = None
    options: dict[str, str] = {}


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that made no candidate, and why.

    `outcome` begins with `unsupported: `, or `refused: ` for what is known to go wrong silently,
    or it is `crashed (SIGNAL)`, `timed out`, `out of memory` or `out of disk`.
    """

    engine: str
    outcome: str


class Conversion(msgspec.Struct, kw_only=True):
    """A converted model inside the converting process.

    `candidates` stand in the order of engines: ONNX, treelite, the framework itself. There is one
    signature, whichever of them serves. `inputs` are rows as the served model takes them and
    `outputs` the framework's own answers to them; None when there is no other framework.
    `uncertain` are masks of rows by output, see `Reference`. `rtol` and `atol` override the
    tolerances of some outputs. `allowed_code` says that the source ran code when it was loaded.
    `weights` is what was measured of large ones, see `weight_sharing.py`.
    """

    framework: str
    framework_version: str
    candidates: tuple[Candidate, ...]
    tried: tuple[Tried, ...] = ()
    signature: Signature
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None = None
    uncertain: dict[str, Any] = {}
    rtol: dict[str, float] = {}
    atol: dict[str, float] = {}
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    weights: dict[str, Any] = {}
    allowed_code: bool = False

    @property
    def original(self) -> str:
        """The framework that answered, for messages."""
        return f"{self.framework} {self.framework_version}"

    def tolerances(self) -> tuple[dict[str, float], dict[str, float]]:
        """Relative and absolute tolerance by output."""
        outputs = self.outputs or {}
        absolute = {name: absolute_tolerance(name, answers) for name, answers in outputs.items()}
        return {**dict.fromkeys(outputs, RELATIVE_TOLERANCE), **self.rtol}, {
            **absolute,
            **self.atol,
        }


def absolute_tolerance(name: str, answers: Array) -> float:
    """1e-5 for probabilities, 1e-5 of the usual size for other numbers, 0 for what is not a float.

    A fixed threshold alone would refuse sound regressors with large answers and accept wrong ones
    with small answers.
    """
    if not is_float(answers.dtype):
        return 0.0
    if name == "probabilities":
        return PROBABILITY_TOLERANCE
    sizes = np.abs(answers[np.isfinite(answers)].astype(np.float64))
    return SCALE_TOLERANCE * float(np.percentile(sizes, SCALE_PERCENTILE)) if len(sizes) else 0.0
