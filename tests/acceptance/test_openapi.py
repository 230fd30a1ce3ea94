"""The documents of a running node: what they show as an example is accepted as it stands, and the
protobuf file is enough to call the server.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.support.node import Node

MODELS = ("simple", "text", "picky", "tabular", "mixed", "slow")
CALL = """
import sys
import grpc
import inference_pb2 as pb
import inference_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    request = pb.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        tensor.contents.int_contents.extend([1] * 16)
    answer = stub.ModelInfer(request, timeout=20)
    assert list(answer.outputs[0].contents.int_contents) == [2] * 16, answer
    print(answer.model_name, stub.ServerMetadata(pb.ServerMetadataRequest()).name)
"""


def document(node: Node, path: str) -> dict[str, Any]:
    answer = node.ask(path)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json
    return found


def posts(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in whole["paths"].items():
        if "post" in methods:
            yield path, methods["post"]


def check(whole: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.Draft202012Validator({**schema, "components": whole["components"]}).validate(
        value
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_example_of_every_path_is_accepted_and_answered_as_described(
    node: Node, model: str
) -> None:
    whole = document(node, f"/v2/models/{model}/openapi.json")
    asked = []
    for path, operation in posts(whole):
        content = operation["requestBody"]["content"]["application/json"]
        check(whole, content["schema"], content["example"])
        answer = node.ask(path, content["example"])
        assert answer.status == 200, (path, answer.body)
        assert answer.headers["augurium-version"] == whole["info"]["version"]
        described = operation["responses"]["200"]["content"]
        if "application/json" in described:
            check(whole, described["application/json"]["schema"], answer.json)
        asked.append(re.split("[/:]", path)[-1])
    assert {"infer", "predict", "generate", "generate_stream", "invocations"} <= set(asked)


def test_every_get_of_a_document_is_answered_as_described(node: Node) -> None:
    whole = document(node, "/v2/models/mixed/openapi.json")
    for path, methods in whole["paths"].items():
        if "get" in methods:
            answer = node.ask(path)
            assert answer.status == 200, (path, answer.body)
            described = methods["get"]["responses"]["200"]["content"]["application/json"]
            check(whole, described["schema"], answer.json)


def test_named_features_stand_in_the_document_with_a_row_of_the_training_data(node: Node) -> None:
    whole = document(node, "/v2/models/mixed/versions/1/openapi.json")
    predict = whole["paths"]["/v1/models/mixed/versions/1:predict"]["post"]
    (row,) = predict["requestBody"]["content"]["application/json"]["example"]["instances"]

    assert set(row) == {"city", "age", "income"}
    assert row["city"] in ("rome", "oslo", "lima")
    assert 18 <= row["age"] < 80
    rows = whole["components"]["schemas"]["Rows"]["anyOf"][0]["items"]
    # a row of one value may be given bare
    bare = {name: feature["anyOf"][-1]["type"] for name, feature in rows["properties"].items()}
    assert bare == {"city": ["string", "null"], "age": ["number", "null"], "income": "number"}


def test_a_document_of_an_alias_has_the_paths_of_the_alias(node: Node) -> None:
    with node.client() as client:
        client.set_alias("text", "described", 1)
    whole = document(node, "/v2/models/text@described/openapi.json")

    assert "/v1/models/text@described:predict" in whole["paths"]
    example = whole["paths"]["/v1/models/text@described:predict"]["post"]["requestBody"]
    answer = node.ask(
        "/v1/models/text@described:predict", example["content"]["application/json"]["example"]
    )
    assert answer.status == 200
    with node.client() as client:
        client.remove_alias("text", "described")


def test_what_is_not_there_has_no_document(node: Node) -> None:
    for path in ("absent", "simple/versions/9", "simple@nobody"):
        answer = node.ask(f"/v2/models/{path}/openapi.json")
        assert answer.status == 404, path
        assert "unknown model" in answer.json["error"]


def test_a_wrong_method_is_told_which_there_are(node: Node) -> None:
    answer = node.ask("/v2/logging", method="DELETE")

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"


def test_the_whole_document_lists_what_every_engine_answers(node: Node) -> None:
    whole = document(node, "/openapi.json")

    assert whole["openapi"].startswith("3.1")
    assert "/v2/models/{model}/versions/{version}/infer" in whole["paths"]
    assert document(node, "/openapi.json") == whole


def test_code_made_from_the_protobuf_file_calls_the_server(node: Node, tmp_path: Path) -> None:
    answer = node.ask("/v2/inference.proto")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    (tmp_path / "inference.proto").write_bytes(answer.body)
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path}"]
    made = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    subprocess.run([*compiler, *made, str(tmp_path / "inference.proto")], check=True)

    # in a process of its own: another definition of the package may be in this one
    called = subprocess.run(
        [sys.executable, "-c", CALL, node.grpc],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert called.stdout.split() == ["simple", "augurium"], called.stderr
