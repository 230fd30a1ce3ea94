"""What a converter hands back: a graph, its signature, and the framework's own answers."""

from typing import Any

import msgspec
import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import Array

RELATIVE_TOLERANCE = 1e-3
PROBABILITY_TOLERANCE = 1e-5
SCALE_TOLERANCE = 1e-5
SCALE_PERCENTILE = 90


class Conversion(msgspec.Struct, kw_only=True):
    """A converted model inside the converting process.

    `inputs` are rows as the served model takes them and `outputs` the framework's own answers to
    them; None when there is no other framework. `uncertain` are masks of rows by output, see
    `Reference`. `original` names the framework that answered, for messages.
    """

    framework: str
    framework_version: str
    model: bytes
    signature: Signature
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None = None
    uncertain: dict[str, Any] = {}
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def original(self) -> str:
        return f"{self.framework} {self.framework_version}"


def absolute_tolerance(name: str, answers: Array) -> float:
    """1e-5 for probabilities, 1e-5 of the usual size for other numbers, 0 for what is not a float.

    A fixed threshold alone would refuse sound regressors with large answers and accept wrong ones
    with small answers.
    """
    if not np.issubdtype(answers.dtype, np.floating):
        return 0.0
    if name == "probabilities":
        return PROBABILITY_TOLERANCE
    sizes = np.abs(answers[np.isfinite(answers)])
    return SCALE_TOLERANCE * float(np.percentile(sizes, SCALE_PERCENTILE)) if len(sizes) else 0.0
