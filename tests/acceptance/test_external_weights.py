"""An ONNX model that was exported with its weights in another file is served like any other."""

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
from onnx import numpy_helper

from tests.support.node import Node

WIDTH = 32


def test_a_folder_with_a_model_and_its_weights_is_registered_and_answers(
    node: Node, tmp_path: Path
) -> None:
    weights = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    kind, shape = onnx.TensorProto.FLOAT, ["batch", WIDTH]
    graph = oh.make_graph(
        [oh.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [oh.make_tensor_value_info("x", kind, shape)],
        [oh.make_tensor_value_info("y", kind, shape)],
        [numpy_helper.from_array(weights, "w")],
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "exported"
    folder.mkdir()
    onnx.save(
        model, folder / "model.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    rows = np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)
    with node.client() as client:
        client.register(folder, name="apart")
        client.deploy("apart", 1)
    reply = node.ask("/v1/models/apart:predict", {"instances": rows.tolist()})
    assert reply.status == 200, reply.body
    np.testing.assert_allclose(reply.json["predictions"], rows @ weights, rtol=1e-4, atol=1e-5)
