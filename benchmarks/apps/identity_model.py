"""A model of Triton's Python backend that answers with its input."""

from typing import Any

import triton_python_backend_utils as triton  # type: ignore[import-not-found]


class TritonPythonModel:
    """The name and the methods are Triton's."""

    def execute(self, requests: list[Any]) -> list[Any]:
        answers = []
        for one in requests:
            image = triton.get_input_tensor_by_name(one, "x").as_numpy()
            answers.append(triton.InferenceResponse([triton.Tensor("y", image)]))
        return answers
