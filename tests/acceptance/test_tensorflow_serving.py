"""Requests of TensorFlow Serving's and KServe's v1 clients, as curl would send them."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pytest

from tests.support.models import Mixed, Tabular, graph, simple_model
from tests.support.node import Node, Reply

OF_TENSORS = [[float(i) for i in range(16)]]


def dense_model() -> bytes:
    """One unit of a dense layer, as Keras exports it: [batch, 2] to [batch, 1]."""
    weights = onnx.numpy_helper.from_array(np.array([[1.0], [2.0]], np.float32), "w")
    kind = onnx.TensorProto.FLOAT
    return graph(
        [oh.make_node("MatMul", ["x", "w"], ["y"])],
        [oh.make_tensor_value_info("x", kind, ["batch", 2])],
        [oh.make_tensor_value_info("y", kind, ["batch", 1])],
        (weights,),
    )


def image_model() -> bytes:
    """Gives its texts back under a name that means binary."""
    kind = onnx.TensorProto.STRING
    return graph(
        [oh.make_node("Identity", ["image"], ["image_bytes"])],
        [oh.make_tensor_value_info("image", kind, ["batch"])],
        [oh.make_tensor_value_info("image_bytes", kind, ["batch"])],
    )


@pytest.fixture(scope="module")
def served(node: Node) -> Node:
    """The shared node with two more models, and an alias."""
    with node.client() as client:
        for name, content in (("dense", dense_model()), ("image", image_model())):
            client.register(onnx.load_from_string(content), name=name)
            client.deploy(name, 1)
        client.set_alias("tabular", "stable", 1)
    return node


def post(node: Node, path: str, body: Any) -> Any:
    """The answer to what must be right."""
    reply = node.ask(f"/v1/models/{path}", body)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    return reply.json


def refused(reply: Reply, said: str, status: int = 400) -> None:
    assert reply.status == status, reply.body
    assert said in reply.json["error"]


def test_rows_are_answered_in_the_shape_of_the_output(served: Node) -> None:
    rows = {"signature_name": "serving_default", "instances": [[1, 2], [3, 4]]}
    assert post(served, "dense:predict", rows) == {"predictions": [[5.0], [11.0]]}
    named = {"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}
    assert post(served, "dense:predict", named) == {"predictions": [[5.0], [11.0]]}


def test_columns_are_answered_with_columns(served: Node) -> None:
    assert post(served, "dense:predict", {"inputs": [[1, 2]]}) == {"outputs": [[5.0]]}
    assert post(served, "dense:predict", {"inputs": {"x": [[1, 2]]}}) == {"outputs": [[5.0]]}
    ones, twos = [[1] * 16], [[2] * 16]
    found = post(served, "simple:predict", {"inputs": {"INPUT0": twos, "INPUT1": ones}})
    assert found == {"outputs": {"OUTPUT0": [[3] * 16], "OUTPUT1": ones}}


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_more_rows_than_a_batch_are_one_request(served: Node, key: str) -> None:
    rows = [[float(i), 0.5] for i in range(1000)]
    found = post(served, "dense:predict", {key: rows})
    assert next(iter(found.values())) == [[i + 1.0] for i in range(1000)]


def test_binary_values_come_and_go_in_base64(served: Node) -> None:
    content = {"b64": base64.b64encode("grüß".encode()).decode()}
    for rows in ([content], [{"image": content}]):
        assert post(served, "image:predict", {"instances": rows}) == {"predictions": [content]}
    assert post(served, "image:predict", {"inputs": [content]}) == {"outputs": [content]}


def test_nan_is_a_missing_value_and_infinity_a_number(served: Node, tabular: Tabular) -> None:
    row = tabular.rows[3].astype(object)
    assert np.isnan(tabular.rows[3][2])
    text = "[" + ",".join("NaN" if value != value else repr(float(value)) for value in row) + "]"
    reply = served.ask("/v1/models/tabular:predict", f'{{"instances": [{text}]}}'.encode())
    assert reply.status == 200, reply.body
    found = reply.json["predictions"][0]["probabilities"]
    np.testing.assert_allclose(found, tabular.probabilities[3], atol=1e-5)
    # JSON has no infinity, so none is answered
    reply = served.ask("/v1/models/dense:predict", b'{"instances": [[-Infinity, 1], [1, 2]]}')
    assert (reply.status, reply.json) == (200, {"predictions": [[None], [5.0]]})


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/tabular{}",
        "/v1/models/tabular/versions/1{}",
        "/v1/models/tabular/labels/stable{}",
        "/V1/Models/tabular/Labels/stable{}",
    ],
)
def test_versions_and_labels_lead_to_everything(served: Node, tabular: Tabular, path: str) -> None:
    row = [float(value) for value in tabular.rows[0]]
    example = {f"f{i}": value for i, value in enumerate(row)}
    predicted = served.ask(path.format(":predict"), {"instances": [row]})
    assert predicted.status == 200, predicted.body
    classified = served.ask(path.format(":classify"), {"examples": [example]})
    assert classified.status == 200, classified.body
    status = served.ask(path.format(""))
    assert status.json == {
        "name": "tabular",
        "ready": True,
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ],
    }
    described = served.ask(path.format("/metadata")).json
    assert described["model_spec"] == {"name": "tabular", "signature_name": "", "version": "1"}
    assert served.ask(path.format(":explain"), {"instances": [row]}).status == 501


def test_metadata_is_a_signature_of_tensorflow(served: Node) -> None:
    found = served.ask("/v1/models/dense/metadata").json["metadata"]["signature_def"]
    definition = found["signature_def"]["serving_default"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert definition["inputs"] == {
        "x": {
            "dtype": "DT_FLOAT",
            "tensor_shape": {
                "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
                "unknown_rank": False,
            },
            "name": "x:0",
        }
    }
    assert list(definition["outputs"]) == ["y"]


def test_classes_have_the_names_that_were_learned(served: Node, mixed: Mixed) -> None:
    expected = mixed.model.predict_proba(mixed.rows)[1]
    (row,) = post(served, "mixed:classify", {"examples": mixed.instances[1:2]})["result"]
    assert [name for name, _ in row] == ["no", "yes"]
    np.testing.assert_allclose([score for _, score in row], expected, atol=1e-5)
    inputs = [
        {"name": name, "shape": [1, 1], "data": [value]}
        | {"datatype": "BYTES" if isinstance(value, str) else "FP32"}
        for name, value in mixed.instances[1].items()
    ]
    best = {"name": "probabilities", "parameters": {"classification": 1}}
    reply = served.ask("/v2/models/mixed/infer", {"inputs": inputs, "outputs": [best]})
    assert reply.status == 200, reply.body
    value, index, label = reply.json["outputs"][0]["data"][0].split(":")
    assert float(value) == pytest.approx(max(expected), abs=1e-5)
    assert label == ["no", "yes"][int(index)]


def test_examples_are_classified_with_what_they_share(served: Node, tabular: Tabular) -> None:
    rows = tabular.rows[:2].tolist()
    context = {"f0": 1.5, "unknown": "x"}
    examples = [
        {f"f{i}": [value] if i == 4 else value for i, value in enumerate(row) if i} for row in rows
    ]
    found = post(served, "tabular:classify", {"context": context, "examples": examples})
    expected = tabular.model.predict_proba(np.array([[1.5, *row[1:]] for row in rows]))
    assert found["result"] == found["results"]
    for pairs, scores in zip(found["result"], expected, strict=True):
        assert [label for label, _ in pairs] == ["0", "1"]
        np.testing.assert_allclose([score for _, score in pairs], scores, atol=1e-5)


def test_examples_of_a_regression_have_values(served: Node) -> None:
    found = post(served, "dense:regress", {"examples": [{"x": [1, 2]}, {"x": [3, 4]}]})
    assert found == {"result": [5.0, 11.0], "results": [5.0, 11.0]}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("dense:predict", {}, "found neither"),
        ("dense:predict", {"instances": [[1, 2]], "inputs": [[1, 2]]}, "found both"),
        ("dense:predict", {"instances": [[1, 2]], "signature_name": "x"}, "signature def"),
        ("dense:predict", {"inputs": {"z": [[1, 2]]}}, "unknown names ['z']"),
        ("dense:predict", {"inputs": {"x": [[1, 2, 3]]}}, "unexpected shape for input 'x'"),
        ("simple:predict", {"inputs": OF_TENSORS}, "2 inputs"),
        ("simple:predict", {"inputs": {"INPUT0": [[1] * 16]}}, "missing required input(s)"),
        ("image:predict", {"inputs": [{"b64": "@"}]}, "not Base64"),
        ("image:predict", {"inputs": [{"b64": "/9j/"}]}, "not UTF-8"),
        ("dense:classify", {"instances": [[1, 2]]}, "examples"),
        ("dense:classify", {"examples": []}, "is empty"),
        ("tabular:regress", {"examples": [{}]}, "regress needs exactly one"),
        ("text:regress", {"examples": [{}]}, "regress needs exactly one"),
        ("tabular:classify", {"examples": [{"f0": 1}]}, "misses the columns"),
    ],
)
def test_a_wrong_body_is_a_400_that_says_why(served: Node, path: str, body: Any, said: str) -> None:
    refused(served.ask(f"/v1/models/{path}", body), said)


@pytest.mark.parametrize(
    "path", ["tabular/versions/9", "tabular/labels/none", "tabular/labels/1", "none"]
)
def test_what_is_not_there_is_a_404_everywhere(served: Node, path: str) -> None:
    for end, body in (
        ("", None),
        ("/metadata", None),
        (":predict", {"instances": [[1]]}),
        (":predict", {"inputs": [[1]]}),
        (":classify", {"examples": [{}]}),
        (":regress", {"examples": [{}]}),
        (":explain", {"instances": [[1]]}),
    ):
        refused(served.ask(f"/v1/models/{path}{end}", body), "Request for unknown model", 404)


def test_a_model_that_cannot_answer_yet_says_so_in_both_languages(
    start: Callable[..., Node],
) -> None:
    own = start(None, "--engines", "1")
    with own.client() as client:
        client.register(onnx.load_from_string(simple_model()), name="simple")
        client.deploy("simple", 1)
        client.clear_default("simple")
    reply = own.ask("/v1/models/simple")
    assert reply.status == 503
    assert reply.json["ready"] is False
    assert "no default version" in reply.json["error"]
    assert reply.json["model_version_status"][0]["state"] == "AVAILABLE"
    assert own.ask("/v1/models/simple/versions/1").status == 200
    refused(own.ask("/v1/models/simple:explain", {"instances": []}), "no default version", 503)
