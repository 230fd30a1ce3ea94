"""LightGBM to ONNX. Imports its converter, therefore used in child processes only."""

from pathlib import Path

import lightgbm
import numpy as np
import onnx
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType

from augurium.importing import graph
from augurium.importing.conversion import Candidate
from augurium.importing.lightgbm_file import LightgbmFile
from augurium.importing.tree_reference import INPUT
from augurium.runtimes import tree_answers
from augurium.runtimes.tree_answers import Meaning

FILE = "model.onnx"
# ONNX adds the trees up in single precision: in groups of this many the sum stays exact enough
SPLIT = 10
MIN_TREES_TO_SPLIT = 50
THRESHOLD = "threshold="


def write(found: LightgbmFile, meaning: Meaning) -> Candidate:
    """Converts a checked model."""
    booster = lightgbm.Booster(model_str=with_narrow_thresholds(found.text))
    numbers = meaning.kind == tree_answers.NUMBERS
    split = SPLIT if numbers and found.num_tree >= MIN_TREES_TO_SPLIT else None
    model = onnxmltools.convert_lightgbm(
        booster,
        initial_types=[(INPUT, FloatTensorType([None, found.num_feature]))],
        zipmap=False,
        split=split,
    )
    names = [output.name for output in model.graph.output]
    if numbers:
        graph.rename(model.graph, {names[0]: "prediction"})
        graph.keep_outputs(model.graph, ["prediction"])
        graph.flatten_output(model.graph, "prediction")
    else:
        graph.rename(model.graph, dict(zip(names, meaning.outputs, strict=True)))
        graph.label_output(model.graph, "label", meaning.classes)
    Path(FILE).write_bytes(model.SerializeToString())
    return Candidate(runtime="onnx", file=FILE)


def with_narrow_thresholds(text: str) -> str:
    """The model with thresholds that float32 holds, rounded down.

    The converter rounds to the nearest, which sends the numbers next to a threshold the wrong way;
    a float32 is at most `t` exactly where it is at most the largest float32 that is at most `t`.
    """
    # without their sizes the trees are read one after the other
    lines = [line for line in text.split("\n") if not line.startswith("tree_sizes=")]
    return "\n".join(
        f"{THRESHOLD}{_rounded_down(line.removeprefix(THRESHOLD))}"
        if line.startswith(THRESHOLD)
        else line
        for line in lines
    )


def _rounded_down(values: str) -> str:
    wide = np.array(values.split(), np.float64)
    narrow = wide.astype(np.float32)
    narrow = np.where(narrow > wide, np.nextafter(narrow, np.float32(-np.inf)), narrow)
    return " ".join(repr(float(value)) for value in narrow)


def versions() -> dict[str, str]:
    return {"onnxmltools": onnxmltools.__version__, "onnx": onnx.__version__}
