"""The model in ONNX Runtime as the Python peers use it: one thread per run, no spinning."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort


class TabularSession:
    """Runs the file named by BENCH_ONNX."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.environ["BENCH_ONNX"]
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, rows: Any) -> tuple[Any, Any]:
        """Float32 [n, features] to labels int64 [n] and probabilities float32 [n, 2]."""
        labels, probabilities = self._session.run(None, {"features": rows})
        return labels, probabilities

    def answer(self, label: Any, probabilities: Any) -> dict[str, Any]:
        """One row's Open Inference Protocol v2 answer."""
        return {
            "model_name": "tabular",
            "outputs": [
                {"name": "label", "shape": [1], "datatype": "INT64", "data": [int(label)]},
                {
                    "name": "probabilities",
                    "shape": [1, 2],
                    "datatype": "FP32",
                    "data": probabilities.tolist(),
                },
            ],
        }


def row_of(request: Any) -> Any:
    """The features of a decoded v2 request, float32 [1, features]."""
    features = request["inputs"][0]
    return np.array(features["data"], np.float32).reshape(features["shape"])
