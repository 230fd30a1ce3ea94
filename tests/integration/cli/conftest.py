"""A real HTTP server that answers as it is told, in the words of the management API."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from augurium.cli.app import app
from augurium.client import Client

Answer = Callable[[httpx.Request], httpx.Response]
KEPT_BYTES = 1024 * 1024
NOW = "2026-01-02T03:04:05Z"


class ScriptedServer(ThreadingHTTPServer):
    """Answers each route with its answers in order; the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: dict[tuple[str, str], list[Answer]] = {}
        self.received: list[httpx.Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer_to(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        answers = self.script.get((request.method, request.url.path))
        if answers is None:
            error = {"error": f"unknown route {request.url.path}", "kind": "not_found"}
            return httpx.Response(404, json=error)
        return (answers.pop(0) if len(answers) > 1 else answers[0])(request)


class Handler(BaseHTTPRequestHandler):
    """One connection; large bodies are read in pieces and only their beginning is kept."""

    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        left, kept = int(self.headers.get("content-length", 0)), b""
        while left:
            piece = self.rfile.read(min(left, KEPT_BYTES))
            left -= len(piece)
            kept += piece[: KEPT_BYTES - len(kept)]
        url = self.server.url + self.path
        request = httpx.Request(self.command, url, headers=dict(self.headers), content=kept)
        response = self.server.answer_to(request)
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: requests are in `received`."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server_url(server: ScriptedServer) -> str:
    return server.url


@pytest.fixture
def received(server: ScriptedServer) -> list[httpx.Request]:
    """The requests the server got, in their order."""
    return server.received


@pytest.fixture
def answer(server: ScriptedServer) -> Callable[..., None]:
    """Tells the server what to answer to `METHOD /path`: JSON, a status, or a function."""

    def tell(route: str, body: object = None, status: int = 200) -> None:
        method, _, path = route.partition(" ")
        found = body if callable(body) else lambda request: httpx.Response(status, json=body)
        server.script.setdefault((method, path), []).append(found)

    return tell


@pytest.fixture
def client(server_url: str, answer: Callable[..., None]) -> Iterator[Client]:
    answer("GET /api/v1/server", server_body(server_url))
    with Client(server_url, timeout_s=10.0) as client:
        yield client


@pytest.fixture
def augurium(server_url: str, answer: Callable[..., None]) -> Callable[..., Result]:
    """Runs `augurium` with these arguments against the server; standard error apart."""
    answer("GET /api/v1/server", server_body(server_url))
    environment = {"AUGURIUM_URL": server_url, "COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"}
    runner = CliRunner(env=environment)
    return lambda *arguments, **options: runner.invoke(app, list(arguments), **options)


def server_body(url: str) -> dict[str, Any]:
    """The answer of /api/v1/server: one engine serves, one never came."""
    states = [
        {"model": "churn", "version": 1, "state": "ready", "reason": ""},
        {"model": "churn", "version": 2, "state": "failed", "reason": "out of memory"},
    ]
    engine = {"engine": "engine-0", "pid": 7, "connected": True}
    return {
        "version": "0.1.0",
        "rest_url": url,
        "grpc_url": "127.0.0.1:8001",
        "control_url": url,
        "engines": [engine | {"revision": 4, "states": states}],
        "expected_engines": ["engine-0", "engine-1"],
        "of_a_newer_server": True,
    }


@pytest.fixture
def model_body() -> dict[str, Any]:
    return {
        "name": "churn",
        "description": "",
        "created_at": NOW,
        "latest_version": 2,
        "default_version": 1,
        "aliases": {"champion": 1},
        "deployed_versions": [1, 2],
    }


@pytest.fixture
def version_body() -> dict[str, Any]:
    feature = {"name": "features", "datatype": "FP32", "shape": [-1, 12], "nullable": True}
    return {
        "model": "churn",
        "version": 2,
        "created_at": NOW,
        "deployed": False,
        "framework": "xgboost",
        "framework_version": "3.1.0",
        "runtime": "onnx",
        "source": {"digest": "a" * 64, "size_bytes": 2048},
        "source_name": "churn.ubj",
        "servable": {"digest": "b" * 64, "size_bytes": 1_572_864},
        "signature": {
            "inputs": [feature | {"features": [f"f{number}" for number in range(12)]}],
            "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
            "batched": True,
        },
        "options": {"optimization": "all"},
        "report": {"engine": "onnx", "parity": {"max_abs_error": 2.5e-07, "rows": 450}},
        "metrics": {"auc": 0.93},
        "tags": {"team": "risk"},
        "description": "second try",
        "trained_at": None,
        "idempotency_key": None,
    }


@pytest.fixture
def import_body() -> dict[str, Any]:
    """An import that has just begun."""
    return {
        "id": "i1",
        "model": "churn",
        "state": "running",
        "stage": "converting",
        "progress": 0.4,
        "version": None,
        "error": None,
        "started_at": NOW,
        "seconds": 0.1,
    }


@pytest.fixture
def registering(
    answer: Callable[..., None], import_body: dict[str, Any], version_body: dict[str, Any]
) -> None:
    """The server takes an upload and imports it as version 2 of `churn`."""
    answer("POST /api/v1/artifacts", {"digest": "a" * 64, "size_bytes": 5}, 201)
    answer("POST /api/v1/models/churn/imports", import_body, 202)
    answer("GET /api/v1/imports/i1", import_body | {"stage": "checking parity", "progress": 0.8})
    answer("GET /api/v1/imports/i1", import_body | {"state": "succeeded", "version": 2})
    answer("GET /api/v1/models/churn/versions/2", version_body)
