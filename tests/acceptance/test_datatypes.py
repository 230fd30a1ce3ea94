"""BYTES that are no texts and BF16, sent by clients of other servers as they send them there."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.helper as oh
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.support import keras_models as km
from tests.support.models import graph
from tests.support.node import Node

COLOURS = [(200, 30, 60), (0, 255, 0)]
VALUES = np.array([[1.5, -2.0, 0.0, 3e38], [np.inf, 1.0, 2.0, -0.0]], np.float32)
Client = Any


def doubled() -> bytes:
    """BF16 in and out, float32 in between, as ONNX Runtime computes it."""
    narrow, wide = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
    return graph(
        [
            oh.make_node("Cast", ["x"], ["wide"], to=wide),
            oh.make_node("Add", ["wide", "wide"], ["sum"]),
            oh.make_node("Cast", ["sum"], ["y"], to=narrow),
        ],
        [oh.make_tensor_value_info("x", narrow, ["batch", 4])],
        [oh.make_tensor_value_info("y", narrow, ["batch", 4])],
    )


@pytest.fixture(scope="module")
def served(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """The shared node with a SavedModel of pictures, and a model of BF16."""
    folder: Path = km.of_pictures(tmp_path_factory.mktemp("pictures"))
    with node.client() as client:
        client.register(folder, name="pictures")
        client.register(onnx.load_from_string(doubled()), name="narrow")
        for name in ("pictures", "narrow"):
            client.deploy(name, 1)
    return node


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [km.jpeg(*colour) for colour in COLOURS]


@pytest.fixture(params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, served: Node, node: Node) -> Iterator[Client]:
    """Triton's module and a client of it; `node` is asked for, so that it is seen to serve."""
    module = {"http": triton_http, "grpc": triton_grpc}[request.param]
    place = {"http": served.rest.removeprefix("http://"), "grpc": served.grpc}[request.param]
    with module.InferenceServerClient(place) as client:
        yield module, client


def asked(triton: Client, model: str, name: str, values: Any, datatype: str) -> Any:
    module, client = triton
    given = module.InferInput(name, values.shape, datatype)
    given.set_data_from_numpy(values)
    return client.infer(model, [given])


def test_a_curl_with_pictures_in_base64(served: Node, node: Node, pictures: list[bytes]) -> None:
    rows = [{"b64": base64.b64encode(one).decode()} for one in pictures]
    for body in ({"instances": rows}, {"instances": [{"image_bytes": row} for row in rows]}):
        reply = served.ask("/v1/models/pictures:predict", body)
        assert reply.status == 200, reply.body
        found = reply.json["predictions"]
        np.testing.assert_allclose([row["colours"] for row in found], COLOURS, atol=3)
        # one is called binary, and the other is no text
        for name in ("small_bytes", "small"):
            assert base64.b64decode(found[0][name]["b64"]).startswith(b"\x89PNG")
    columns = served.ask("/v1/models/pictures:predict", {"inputs": {"image_bytes": rows}})
    np.testing.assert_allclose(columns.json["outputs"]["colours"], COLOURS, atol=3)


def test_the_python_client_sends_and_gets_bytes(
    served: Node, node: Node, pictures: list[bytes]
) -> None:
    with served.client() as client:
        found = client.predict("pictures", pictures).predictions
        np.testing.assert_allclose([row["colours"] for row in found], COLOURS, atol=3)
        tensors = client.infer("pictures", {"image_bytes": np.array(pictures, object)}).outputs
        assert tensors["small"][0].startswith(b"\x89PNG")


def test_triton_clients_send_pictures_as_bytes(triton: Client, pictures: list[bytes]) -> None:
    values = np.array(pictures, np.object_)
    result = asked(triton, "pictures", "image_bytes", values, "BYTES")
    np.testing.assert_allclose(result.as_numpy("colours"), COLOURS, atol=3)
    assert all(one.startswith(b"\x89PNG") for one in result.as_numpy("small"))


def test_what_is_no_picture_fails_alone(triton: Client, pictures: list[bytes]) -> None:
    for wrong in (b"\xff\xd8\xff", b"text"):
        with pytest.raises(InferenceServerException, match="the model failed"):
            asked(triton, "pictures", "image_bytes", np.array([wrong], np.object_), "BYTES")
    values = np.array(pictures[:1], np.object_)
    asked(triton, "pictures", "image_bytes", values, "BYTES")


def test_a_model_of_texts_says_that_bytes_are_none(triton: Client) -> None:
    values = np.array([[b"a", b"\xff\xd8"]], np.object_)
    with pytest.raises(InferenceServerException, match=r"element 1 of input 'text' is not UTF-8"):
        asked(triton, "text", "text", values, "BYTES")


def test_triton_clients_send_and_get_bf16(triton: Client) -> None:
    given = VALUES.astype(ml_dtypes.bfloat16)
    found = asked(triton, "narrow", "x", given, "BF16").as_numpy("y")
    with np.errstate(over="ignore"):
        expected = (given.astype(np.float32) * 2).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


def test_json_has_bf16_as_numbers(served: Node, node: Node) -> None:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "BF16", "data": [1.5, -0.1, 0, 2]}
    reply = served.ask("/v2/models/narrow/infer", {"inputs": [tensor]})
    assert reply.status == 200, reply.body
    (output,) = reply.json["outputs"]
    # -0.1 is rounded to the nearest with 8 bits
    assert output == {
        "name": "y", "datatype": "BF16", "shape": [1, 4], "data": [3.0, -0.2001953125, 0.0, 4.0]
    }  # fmt: skip
    assert served.ask("/v1/models/narrow:predict", {"instances": [[1, 2, 3, 4]]}).json == {
        "predictions": [[2.0, 4.0, 6.0, 8.0]]
    }
    wide = served.ask("/v2/models/narrow/infer", {"inputs": [tensor | {"datatype": "FP32"}]})
    assert wide.status == 400
    assert "data-type is 'FP32'" in wide.json["error"]
    config = served.ask("/v2/models/narrow/config").json
    assert config["input"][0]["data_type"] == "TYPE_BF16"
