"""What tests of preprocessing share: running the compiled graph, hard rows."""

from typing import Any

import numpy as np
import onnx
import onnxruntime

from augurium.core.tensors import Array
from augurium.preprocessing.compiler import compiled
from augurium.preprocessing.fitted import FittedPreprocessing
from augurium.preprocessing.graph_inputs import graph_inputs

HARD_NUMBERS = (np.nan, 0.0, -0.0, 1.0, -1.0, 1e-30, 3.4e38, -3.4e38, np.inf, -np.inf, 0.5, 7.0)
HARD_TEXTS = (None, "", "a", "b", "B", " a ", "ä", "ß", "\u2603", "a\u0301", "__unseen__", "10")
# year 1, 9999, before and after, a leap day, around 1970, missing
HARD_MOMENTS = (
    -62135596800.0,
    253402300799.0,
    253402300800.0,
    -62135596801.0,
    951782400.5,
    0.0,
    -0.5,
    np.nan,
)


def run(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """All outputs of a graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[Array] = session.run(None, inputs)
    return found


def graph_matrix(fitted: FittedPreprocessing, table: Any) -> Array:
    """What the compiled graph makes of a table."""
    (found,) = run(compiled(fitted), graph_inputs(fitted, table))
    return found


def assert_graph_agrees(fitted: FittedPreprocessing, table: Any) -> None:
    """The compiled graph and the reference give the same, up to rounding of a float32."""
    expected, names = fitted.transform(table)
    found = graph_matrix(fitted, table)
    assert found.shape == expected.shape
    for place, name in enumerate(names):
        np.testing.assert_allclose(
            found[:, place], expected[:, place], rtol=1e-6, atol=1e-9, err_msg=name
        )


def texts(*values: str | None) -> Array:
    """A column of texts."""
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found
