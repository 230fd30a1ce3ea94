"""A model of Triton's Python backend: one ONNX Runtime call for all requests of a batch."""

import os
import sys
from typing import Any

# the backend starts its own interpreter, which knows neither our environment nor our folder
sys.path[:0] = os.environ["BENCH_PATHS"].split(os.pathsep)

import numpy as np  # noqa: E402
import triton_python_backend_utils as triton  # type: ignore[import-not-found]  # noqa: E402
from tabular_session import TabularSession  # type: ignore[import-not-found]  # noqa: E402


class TritonPythonModel:
    """The name and the methods are Triton's."""

    def initialize(self, arguments: dict[str, str]) -> None:
        self._session = TabularSession()

    def execute(self, requests: list[Any]) -> list[Any]:
        rows = [triton.get_input_tensor_by_name(one, "features").as_numpy() for one in requests]
        labels, probabilities = self._session.run(rows[0] if len(rows) == 1 else np.vstack(rows))
        answers, begin = [], 0
        for part in rows:
            end = begin + len(part)
            outputs = [
                triton.Tensor("label", labels[begin:end].reshape(-1, 1)),
                triton.Tensor("probabilities", probabilities[begin:end]),
            ]
            answers.append(triton.InferenceResponse(outputs))
            begin = end
        return answers
