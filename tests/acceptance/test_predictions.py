"""The same answers over every protocol, equal to the framework's."""

import json
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from tests.support.models import Mixed, Tabular
from tests.support.node import Node


def assert_close(found: Any, native: Any) -> None:
    np.testing.assert_allclose(found, native, rtol=1e-4, atol=1e-6)


def plain(rows: np.ndarray[Any, Any]) -> list[Any]:
    """Rows as JSON has them: null for NaN."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in rows]


def test_v2_json_gives_the_frameworks_answers(node: Node, tabular: Tabular) -> None:
    body = {
        "id": "r-1",
        "inputs": [
            {
                "name": "features",
                "shape": list(tabular.rows.shape),
                "datatype": "FP32",
                "data": plain(tabular.rows),
            }
        ],
    }
    answer = node.ask("/v2/models/tabular/infer", body, {"x-request-id": "mine"})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["augurium-version"] == "1"
    assert (answer.json["id"], answer.json["model_version"]) == ("r-1", "1")
    outputs = {output["name"]: output for output in answer.json["outputs"]}
    assert outputs["label"]["data"] == tabular.model.predict(tabular.rows).tolist()
    found = np.array(outputs["probabilities"]["data"]).reshape(-1, 2)
    assert_close(found, tabular.probabilities)


def test_tritons_http_client_sends_and_receives_binary_tensors(
    node: Node, tabular: Tabular
) -> None:
    client = triton_http.InferenceServerClient(node.rest)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tabular")
    metadata = client.get_model_metadata("tabular")
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 10]}]
    tensor = triton_http.InferInput("features", tabular.rows.shape, "FP32")
    tensor.set_data_from_numpy(tabular.rows)
    found = client.infer("tabular", [tensor]).as_numpy("probabilities")
    assert_close(found, tabular.probabilities)
    mixed_outputs = [
        triton_http.InferRequestedOutput("probabilities", binary_data=False),
        triton_http.InferRequestedOutput("label", binary_data=True),
    ]
    result = client.infer("tabular", [tensor], outputs=mixed_outputs, request_id="7")
    assert result.get_response()["id"] == "7"
    assert_close(result.as_numpy("probabilities"), tabular.probabilities)
    assert result.as_numpy("label").tolist() == tabular.model.predict(tabular.rows).tolist()
    client.close()


def test_tritons_grpc_client_gets_the_same_answers(node: Node, tabular: Tabular) -> None:
    client = triton_grpc.InferenceServerClient(node.grpc)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tabular", "1")
    assert client.get_server_metadata().name == "augurium"
    assert client.get_model_metadata("tabular").platform == "onnxruntime_onnx"
    tensor = triton_grpc.InferInput("features", tabular.rows.shape, "FP32")
    tensor.set_data_from_numpy(tabular.rows)
    result = client.infer("tabular", [tensor], request_id="abc")
    assert result.get_response().id == "abc"
    assert_close(result.as_numpy("probabilities"), tabular.probabilities)
    client.close()


def test_typed_grpc_contents_are_answered_with_typed_contents(node: Node) -> None:
    stub = triton_grpc.service_pb2_grpc
    pb = triton_grpc.service_pb2
    import grpc

    with grpc.insecure_channel(node.grpc) as channel:
        request = pb.ModelInferRequest(model_name="simple")
        for name, value in (("INPUT0", 3), ("INPUT1", 1)):
            tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
            tensor.contents.int_contents.extend([value] * 16)
        answer = stub.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert not answer.raw_output_contents
    assert [list(output.contents.int_contents) for output in answer.outputs] == [[4] * 16, [2] * 16]


def test_strings_round_trip_over_every_form(node: Node) -> None:
    words = np.array([["grüß", ""], ["a\x00b", "日本"]], dtype=np.object_)
    body = {
        "inputs": [{"name": "text", "shape": [2, 2], "datatype": "BYTES", "data": words.tolist()}]
    }
    over_json = node.ask("/v2/models/text/infer", body).json["outputs"][0]["data"]
    assert over_json == words.ravel().tolist()
    over_v1 = node.ask("/v1/models/text:predict", {"instances": words.tolist()}).json["predictions"]
    assert over_v1 == words.tolist()
    for module, address in ((triton_http, node.rest), (triton_grpc, node.grpc)):
        client = module.InferenceServerClient(address)
        tensor = module.InferInput("text", [2, 2], "BYTES")
        tensor.set_data_from_numpy(words)
        found = client.infer("text", [tensor]).as_numpy("same")
        assert [value.decode() for value in found.ravel()] == words.ravel().tolist()
        client.close()


def test_v1_takes_named_features_with_text_missing_and_unseen_values(
    node: Node, mixed: Mixed
) -> None:
    answer = node.ask("/v1/models/mixed:predict", {"instances": mixed.instances})
    assert answer.status == 200, answer.body
    predictions = answer.json["predictions"]
    assert [p["label"] for p in predictions] == mixed.model.predict(mixed.rows).tolist()
    found = np.array([p["probabilities"] for p in predictions])
    assert_close(found, mixed.model.predict_proba(mixed.rows))


def test_v1_rows_are_the_same_as_named_features(node: Node, tabular: Tabular) -> None:
    rows = plain(tabular.rows[:4])
    named = [{f"f{i}": value for i, value in enumerate(row)} for row in rows]
    answers = [
        node.ask("/v1/models/tabular:predict", {"instances": instances}).json["predictions"]
        for instances in (rows, named)
    ]
    assert answers[0] == answers[1]
    assert [p["label"] for p in answers[0]] == tabular.model.predict(tabular.rows[:4]).tolist()


def test_versions_and_aliases_lead_to_the_same_model(node: Node) -> None:
    with node.client() as client:
        client.set_alias("simple", "champion", 1)
    for path in (
        "/v2/models/simple",
        "/v2/models/simple/versions/1",
        "/v2/models/simple@champion",
        "/v2/models/simple%40champion",
        "/v2/models/simple@1",
    ):
        answer = node.ask(f"{path}/ready")
        assert (answer.status, answer.json) == (200, {"name": "simple", "ready": True}), path
    with node.client() as client:
        client.remove_alias("simple", "champion")


def test_servers_and_models_describe_themselves(node: Node) -> None:
    server = node.ask("/v2").json
    assert server["name"] == "augurium"
    assert "binary_tensor_data" in server["extensions"]
    assert node.ask("/v2/health/live").json == {"live": True}
    assert node.ask("/v2/health/ready").json == {"ready": True}
    assert "mixed" in node.ask("/v2/models").json["models"]
    metadata = node.ask("/v2/models/simple").json
    assert metadata["versions"] == ["1"]
    assert metadata["outputs"][1] == {"name": "OUTPUT1", "datatype": "INT32", "shape": [-1, 16]}
    status = node.ask("/v1/models/simple").json
    assert (status["name"], status["ready"]) == ("simple", True)
    assert status["model_version_status"][0]["state"] == "AVAILABLE"


def test_only_the_requested_outputs_come_back(node: Node) -> None:
    ones = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
    body = {
        "inputs": [{"name": "INPUT1", **ones}, {"name": "INPUT0", **ones}],
        "outputs": [{"name": "OUTPUT1"}],
    }
    outputs = node.ask("/v2/models/simple/infer", body).json["outputs"]
    assert [output["name"] for output in outputs] == ["OUTPUT1"]


def test_one_bad_row_never_fails_its_neighbours(node: Node) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(place: int) -> tuple[int, Any]:
        answer = node.ask("/v1/models/picky:predict", {"instances": [[place]]})
        return answer.status, json.loads(answer.body)

    places = [*range(10), 99, *range(10), 99, *range(10)] * 3
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, places))
    for place, (status, answer) in zip(places, answers, strict=True):
        if place == 99:
            assert status == 500
            assert "the model failed" in answer["error"]
        else:
            assert (status, answer["predictions"]) == (200, [[place * 10.0]])
