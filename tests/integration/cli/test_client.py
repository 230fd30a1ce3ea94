"""The client over real HTTP: what it sends, what it makes of answers, what it raises."""

import json
import socket
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from augurium.client import Client, NoServer
from augurium.core.errors import (
    AuguriumError,
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    NotReady,
    Unprocessable,
)

Answer = Callable[..., None]
Received = list[httpx.Request]
LARGE_FILE_BYTES = 64 * 1024 * 1024


def test_models_and_versions_come_typed(
    client: Client, answer: Answer, model_body: dict[str, Any], version_body: dict[str, Any]
) -> None:
    answer("GET /api/v1/models", {"models": [model_body]})
    answer("GET /api/v1/models/churn", model_body)
    answer("GET /api/v1/models/churn/versions", {"versions": [version_body]})
    answer("GET /api/v1/models/churn/versions/2", version_body)

    (model,) = client.models()
    (version,) = client.versions("churn")
    assert model == client.model("churn")
    assert version == client.version("churn", 2)
    assert (model.name, model.aliases, model.deployed_versions) == (
        "churn",
        {"champion": 1},
        (1, 2),
    )
    assert version.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert version.signature.input_by_name["features"].nullable


def test_a_node_tells_its_urls_and_engines(client: Client, server_url: str) -> None:
    server = client.server()

    assert server.rest_url == server_url
    assert [state.state for state in server.engines[0].states] == ["ready", "failed"]
    assert server.expected_engines == ("engine-0", "engine-1")


@pytest.mark.parametrize("status", [200, 503])
def test_readiness_is_an_answer_and_no_error(client: Client, answer: Answer, status: int) -> None:
    body = {"ready": status == 200, "waiting_for": [] if status == 200 else ["engine-1"]}
    answer("GET /api/v1/ready", body, status)

    assert client.ready().ready is (status == 200)


def test_the_key_is_sent_as_a_bearer(server_url: str, answer: Answer, received: Received) -> None:
    answer("GET /api/v1/models", {"models": []})
    with Client(server_url, key="s3cret") as client:
        client.models()

    assert received[0].headers["authorization"] == "Bearer s3cret"


def test_url_and_key_come_from_the_environment(
    server_url: str, answer: Answer, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("GET /api/v1/models", {"models": []})
    monkeypatch.setenv("AUGURIUM_URL", server_url)
    monkeypatch.setenv("AUGURIUM_KEY", "s3cret")
    with Client() as client:
        client.models()

    assert received[0].headers["authorization"] == "Bearer s3cret"


def test_a_proxy_of_the_environment_is_no_way_to_the_own_machine(
    server_url: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("GET /api/v1/models", {"models": []})
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Client(server_url) as client:
        assert client.models() == ()


def test_a_file_is_uploaded_from_disk_with_flat_memory(
    client: Client, answer: Answer, received: Received, tmp_path: Path
) -> None:
    file = tmp_path / "large.onnx"
    with file.open("wb") as stream:
        stream.truncate(LARGE_FILE_BYTES)
    answer("POST /api/v1/artifacts", {"digest": "d", "size_bytes": LARGE_FILE_BYTES}, 201)

    tracemalloc.start()
    artifact = client.upload(file)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert artifact.size_bytes == LARGE_FILE_BYTES
    assert received[0].headers["content-length"] == str(LARGE_FILE_BYTES)
    assert "transfer-encoding" not in received[0].headers
    assert peak_bytes < LARGE_FILE_BYTES / 4


@pytest.mark.usefixtures("registering")
def test_registering_a_file_uploads_imports_and_waits(
    client: Client, received: Received, tmp_path: Path
) -> None:
    file = tmp_path / "churn.ubj"
    file.write_bytes(b"model")
    stages: list[tuple[str, float]] = []

    version = client.register(
        file,
        name="churn",
        metrics={"auc": 0.93},
        tags={"team": "risk"},
        description="second try",
        trained_at=datetime(2026, 1, 1),
        progress=lambda stage, fraction: stages.append((stage, fraction)),
    )

    upload, start = received[0], received[1]
    assert (version.version, version.framework) == (2, "xgboost")
    assert upload.content == b"model"
    assert json.loads(start.content) == {
        "artifact": "a" * 64,
        "filename": "churn.ubj",
        "metrics": {"auc": 0.93},
        "tags": {"team": "risk"},
        "description": "second try",
        "trained_at": "2026-01-01T00:00:00Z",
    }
    assert stages == [("uploading", 1.0), ("converting", 0.4), ("checking parity", 0.8)]


@pytest.mark.usefixtures("registering")
def test_registering_without_waiting_returns_the_import(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "churn.ubj"
    file.write_bytes(b"model")

    running = client.register(file, name="churn", wait=False)

    assert (running.id, running.state, running.stage) == ("i1", "running", "converting")
    assert client.wait_for_import(running).version == 2


def test_a_refused_import_raises_its_reason(
    client: Client, answer: Answer, import_body: dict[str, Any]
) -> None:
    fault = {"kind": "unprocessable", "error": "loading a pickle runs code; save it with skops"}
    failed = import_body | {"state": "failed", "error": fault}
    answer("POST /api/v1/artifacts", {"digest": "d", "size_bytes": 5}, 201)
    answer("POST /api/v1/models/churn/imports", failed, 202)

    with pytest.raises(Unprocessable, match="save it with skops"):
        client.register(__file__, name="churn")


def test_deploying_and_aliases_say_what_they_came_to(
    client: Client, answer: Answer, received: Received, model_body: dict[str, Any]
) -> None:
    deployment = {
        "model": "churn",
        "version": 2,
        "default": False,
        "state": "ready",
        "seconds": 1.5,
    }
    undeployed = {"model": "churn", "version": 2, "state": "undeployed"}
    answer("POST /api/v1/models/churn/deployments", deployment)
    answer("DELETE /api/v1/models/churn/deployments/2", undeployed)
    answer("PUT /api/v1/models/churn/aliases/champion", model_body)
    answer("DELETE /api/v1/models/churn/aliases/champion", model_body)

    assert client.deploy("churn", 2, default=False).seconds == 1.5
    assert client.undeploy("churn", 2).state == "undeployed"
    assert client.set_alias("churn", "champion", 1).aliases == {"champion": 1}
    assert client.remove_alias("churn", "champion").name == "churn"
    assert json.loads(received[0].content) == {"version": 2, "default": False}
    assert json.loads(received[2].content) == {"version": 1}


def test_the_audit_log_is_asked_for_one_model_or_all(
    client: Client, answer: Answer, received: Received
) -> None:
    entry = {
        "at": "2026-01-02T03:04:05Z",
        "actor": "local",
        "action": "deployed",
        "model": "churn",
        "version": 1,
        "details": {},
    }
    answer("GET /api/v1/audit", {"entries": [entry]})

    assert client.audit()[0].action == "deployed"
    assert client.audit(model="churn", limit=5)[0].model == "churn"
    assert [dict(request.url.params) for request in received] == [
        {"limit": "100"},
        {"limit": "5", "model": "churn"},
    ]


def test_predictions_carry_what_the_headers_say(
    client: Client, answer: Answer, received: Received
) -> None:
    headers = {"augurium-version": "2", "augurium-degraded": "stale cache", "x-request-id": "r1"}
    answer(
        "POST /v1/models/churn@champion:predict",
        lambda request: httpx.Response(200, json={"predictions": [0.25]}, headers=headers),
    )

    found = client.predict("churn", [{"age": np.nan}], alias="champion", timeout_ms=5000.0)

    assert (found.predictions, found.version) == ([0.25], 2)
    assert (found.degraded, found.request_id) == ("stale cache", "r1")
    assert json.loads(received[-1].content) == {"instances": [{"age": None}]}
    assert 0 < int(received[-1].headers["augurium-timeout-ms"]) <= 5000


def test_where_predictions_go_is_asked_once(
    client: Client, answer: Answer, received: Received
) -> None:
    answer("POST /v1/models/churn/versions/2:predict", {"predictions": [1]})

    for _ in range(3):
        client.predict("churn", [[1.0]], version=2)

    assert [request.url.path for request in received].count("/api/v1/server") == 1


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_go_and_come_as_bytes_or_as_json(
    client: Client, answer: Answer, received: Received, binary: bool
) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        length = int(request.headers.get("inference-header-content-length", len(request.content)))
        inputs = json.loads(request.content[:length])["inputs"]
        head = json.dumps({"model_name": "churn", "outputs": inputs}).encode()
        headers = {"inference-header-content-length": str(len(head))} if binary else {}
        return httpx.Response(200, content=head + request.content[length:], headers=headers)

    answer("POST /v2/models/churn/infer", echo)
    inputs = {"x": np.array([[1.5, -2.0]], np.float32), "city": np.array([["Rome"]], object)}

    found = client.infer("churn", inputs, binary=binary)

    assert {name: values.tolist() for name, values in found.outputs.items()} == {
        "x": [[1.5, -2.0]],
        "city": [["Rome"]],
    }
    assert found.outputs["x"].dtype == np.float32


def test_outputs_and_version_can_be_chosen(
    client: Client, answer: Answer, received: Received
) -> None:
    answer("POST /v2/models/churn/versions/2/infer", {"outputs": []})

    client.infer("churn", {"x": np.zeros(1)}, ["label"], binary=False, version=2)

    assert json.loads(received[-1].content)["outputs"] == [{"name": "label"}]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [(404, "not_found", NotFound), (409, "conflict", Conflict), (503, "not_ready", NotReady)],
)
def test_a_refusal_raises_the_error_of_its_kind(
    client: Client, answer: Answer, status: int, kind: str, expected: type[AuguriumError]
) -> None:
    answer("GET /api/v1/models/churn", {"error": "because", "kind": kind}, status)

    with pytest.raises(expected, match=r"^because$"):
        client.model("churn")


def test_a_stranger_with_another_answer_is_recognised(client: Client, answer: Answer) -> None:
    answer("GET /api/v1/models", {"hello": "world"})

    with pytest.raises(AuguriumError, match="not answer as an Augurium server does"):
        client.models()


@pytest.mark.parametrize("name", ["a/b ?c", "..", "", "n" * 129, "tab\t"])
def test_a_name_that_no_model_can_have_is_refused_before_anything_is_sent(
    client: Client, received: Received, name: str
) -> None:
    with pytest.raises(InvalidArgument, match="use 1 to 128 of the characters"):
        client.model(name)

    assert received == []


def test_a_missing_file_is_refused_before_anything_is_sent(
    client: Client, received: Received
) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        client.register("absent.onnx", name="churn")

    assert received == []


def test_without_a_server_the_error_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(NoServer, match=rf"answers at http://127.0.0.1:{port}; start one"),
    ):
        client.models()


def test_a_server_that_stays_silent_exceeds_the_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.05) as client,
        pytest.raises(DeadlineExceeded, match=r"0\.05 s"),
    ):
        client.models()
