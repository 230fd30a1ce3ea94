"""Models that only their own framework can serve: the same answers over REST and gRPC."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc as triton_grpc

from tests.support import keras_models as km
from tests.support.node import Node
from tests.support.torch_models import Normalized, made

CITIES = np.array([["Bern"], ["Wien"], ["Rom"]], np.object_)
ROWS = np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def bare_node(start: Callable[..., Node]) -> Node:
    return start()


def by_keras() -> tuple[Any, str, np.ndarray[Any, Any], Any, dict[str, Any]]:
    """ONNX has no operator for the look-up of texts."""
    model = km.of_texts()
    return model, "BYTES", CITIES, km.answers(model, CITIES.astype(str)), {}


def by_torch() -> tuple[Any, str, np.ndarray[Any, Any], Any, dict[str, Any]]:
    module = made(Normalized)
    with torch.inference_mode():
        expected = module(torch.as_tensor(ROWS))
    how = {"example_inputs": torch.as_tensor(ROWS), "engine": "torch"}
    return module, "FP32", ROWS, expected, how


@pytest.mark.parametrize(("name", "make"), [("keras", by_keras), ("torch", by_torch)])
def test_a_framework_answers_over_rest_and_grpc(
    bare_node: Node, name: str, make: Callable[[], Any]
) -> None:
    model, datatype, rows, expected, how = make()
    with bare_node.client() as client:
        version = client.register(model, name=name, **how)
        assert version.runtime == name
        client.deploy(name, version.version)
        (given,), (returned,) = version.signature.inputs, version.signature.outputs
        over_rest = client.infer(name, {given.name: rows}).outputs[returned.name]
    np.testing.assert_allclose(over_rest, expected, atol=1e-5)
    tensor = triton_grpc.InferInput(given.name, list(rows.shape), datatype)
    tensor.set_data_from_numpy(rows)
    with triton_grpc.InferenceServerClient(bare_node.grpc) as grpc:
        over_grpc = grpc.infer(name, [tensor]).as_numpy(returned.name)
    np.testing.assert_array_equal(over_grpc, over_rest)
