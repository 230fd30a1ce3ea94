import dataclasses
from typing import Any

import httpx
import pytest

from augurium.control.app import create_app
from augurium.control.services import Services
from augurium.core.clock import ManualClock
from augurium.core.logs import configure_logging
from augurium.core.settings import LogSettings
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import Model, VersionDraft

API = "/api/v1"
DIGEST = "0" * 64


def _assert_refused(reply: httpx.Response, status: int, kind: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.json().keys() == {"error", "kind"}
    assert reply.json()["kind"] == kind


async def test_an_empty_upload_is_refused(api: httpx.AsyncClient) -> None:
    _assert_refused(await api.post(f"{API}/artifacts"), 422, "unprocessable")


async def test_an_upload_that_announces_too_much_is_refused(api: httpx.AsyncClient) -> None:
    reply = await api.post(f"{API}/artifacts", content=b"x" * (3 * 1024 * 1024 + 1))

    _assert_refused(reply, 413, "too_large")


async def test_an_upload_that_becomes_too_large_is_refused(
    api: httpx.AsyncClient,
) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b"x" * 65536

    reply = await api.post(f"{API}/artifacts", content=endless())

    _assert_refused(reply, 413, "too_large")


async def test_a_compressed_upload_is_refused(api: httpx.AsyncClient) -> None:
    reply = await api.post(f"{API}/artifacts", content=b"x", headers={"content-encoding": "gzip"})

    _assert_refused(reply, 415, "unsupported_media")


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/api/v2/models", f"{API}/models/"],
)
async def test_an_unknown_route_is_not_found(path: str, api: httpx.AsyncClient) -> None:
    _assert_refused(await api.get(path), 404, "not_found")


async def test_a_method_that_a_route_does_not_know_is_not_allowed(api: httpx.AsyncClient) -> None:
    reply = await api.post(f"{API}/models/iris")

    _assert_refused(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "path",
    [
        "/models/iris",
        "/models/iris/versions",
        "/models/iris/versions/1",
        f"/imports/{DIGEST}",
        "/audit?model=iris",
    ],
)
async def test_what_does_not_exist_is_not_found(path: str, api: httpx.AsyncClient) -> None:
    _assert_refused(await api.get(API + path), 404, "not_found")


@pytest.mark.parametrize("version", ["0", "-1", "01", "1.0", "latest", "9" * 21, "NaN", "%00"])
async def test_what_is_not_a_version_number_is_refused(
    version: str, api: httpx.AsyncClient
) -> None:
    reply = await api.get(f"{API}/models/iris/versions/{version}")

    _assert_refused(reply, 400, "invalid_argument")


@pytest.mark.parametrize(
    "model", ["%20", "..x", "iris;x=1", "-rf", "$(id)", "a b", "%EF%BD%8Dodel", "x" * 300]
)
async def test_what_cannot_be_a_model_name_is_refused(model: str, api: httpx.AsyncClient) -> None:
    _assert_refused(await api.get(f"{API}/models/{model}"), 400, "invalid_argument")


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1e9", "limit=x", "model=%20"])
async def test_a_bad_question_to_the_audit_log_is_refused(
    query: str, api: httpx.AsyncClient
) -> None:
    _assert_refused(await api.get(f"{API}/audit?{query}"), 400, "invalid_argument")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": "1"}',
        b'{"version": 0}',
        b'{"version": -1}',
        b'{"version": 1.5}',
        b'{"version": true}',
        b'{"version": 1e999}',
        b'{"version": 99999999999999999999}',
        b'{"version": 1, "default": "yes"}',
        b'{"version": 1, "surprise": 1}',
        b'\xef\xbb\xbf{"version": 1}',
        '{"version": 1}'.encode("utf-16"),
        b'{"version": 1, "default": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' * 100_000,
    ],
)
async def test_a_body_that_does_not_fit_is_refused(body: bytes, api: httpx.AsyncClient) -> None:
    reply = await api.post(
        f"{API}/models/iris/deployments",
        content=body,
        headers={"content-type": "application/json"},
    )

    _assert_refused(reply, 400, "invalid_argument")
    assert (await api.get(f"{API}/live")).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("artifact", "../../etc/passwd"),
        ("artifact", DIGEST + "\n"),
        ("artifact", DIGEST.replace("0", "G")),
        ("table", "x"),
        ("filename", ""),
        ("filename", "../model.onnx"),
        ("filename", "a\\b"),
        ("filename", "a\nb"),
        ("filename", "a\u0000b"),
        ("filename", ".."),
        ("filename", "x" * 256),
        ("framework", "x" * 65),
        ("metrics", {"accuracy": "high"}),
        ("metrics", []),
        ("tags", {"a": 1}),
        ("trained_at", "yesterday"),
        ("trained_at", "2026-01-01T00:00:00"),
        ("trained_at", "0001-01-01T00:00:00+14:00"),
        ("idempotency_key", ""),
        ("allow_code", "yes"),
    ],
)
async def test_an_import_order_that_does_not_fit_is_refused(
    field: str, value: Any, api: httpx.AsyncClient, draft: VersionDraft
) -> None:
    order = {"artifact": draft.source.digest, "filename": "model.onnx", field: value}

    reply = await api.post(f"{API}/models/iris/imports", json=order)

    _assert_refused(reply, 400, "invalid_argument")


async def test_an_import_of_what_was_not_uploaded_is_refused(api: httpx.AsyncClient) -> None:
    reply = await api.post(
        f"{API}/models/iris/imports", json={"artifact": DIGEST, "filename": "model.onnx"}
    )

    _assert_refused(reply, 404, "not_found")


async def test_an_import_that_would_run_code_needs_the_permission_of_the_server(
    api: httpx.AsyncClient, draft: VersionDraft
) -> None:
    order = {"artifact": draft.source.digest, "filename": "model.pkl", "allow_code": True}

    reply = await api.post(f"{API}/models/iris/imports", json=order)

    _assert_refused(reply, 403, "permission_denied")


@pytest.mark.parametrize("media", ["text/plain", "multipart/form-data", "application/x-pickle"])
async def test_a_body_that_is_not_called_json_is_refused(
    media: str, api: httpx.AsyncClient
) -> None:
    reply = await api.post(
        f"{API}/models/iris/deployments",
        content=b'{"version": 1}',
        headers={"content-type": media},
    )

    _assert_refused(reply, 415, "unsupported_media")


async def test_a_json_body_of_more_than_a_mebibyte_is_refused(api: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(2000):
            yield b" " * 1024

    announced = await api.post(
        f"{API}/models/iris/deployments",
        content=b" " * (1024 * 1024 + 1),
        headers={"content-type": "application/json"},
    )
    streamed = await api.post(
        f"{API}/models/iris/deployments",
        content=endless(),
        headers={"content-type": "application/json"},
    )

    _assert_refused(announced, 413, "too_large")
    _assert_refused(streamed, 413, "too_large")


async def test_a_foreign_host_is_refused(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{API}/models", headers={"host": "attacker.example"})

    _assert_refused(reply, 421, "permission_denied")


async def test_a_page_of_another_site_changes_nothing(
    api: httpx.AsyncClient, artifacts: MemoryArtifacts
) -> None:
    reply = await api.post(
        f"{API}/artifacts", content=b"evil", headers={"origin": "http://attacker.example"}
    )

    _assert_refused(reply, 403, "permission_denied")


class _BrokenRegistry(MemoryRegistry):
    """An adapter with a fault."""

    def models(self, deleted: bool = False) -> list[Model]:
        raise RuntimeError("the secret is 42")


@pytest.mark.usefixtures("logging_restored")
async def test_a_fault_of_ours_tells_the_caller_nothing_but_where_to_look(
    services: Services, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(), "control")
    broken = dataclasses.replace(services, registry=_BrokenRegistry(clock))
    transport = httpx.ASGITransport(create_app(broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as api:
        reply = await api.get(f"{API}/models", headers={"x-request-id": "abc-1"})
        alive = await api.get(f"{API}/live")

    _assert_refused(reply, 500, "internal")
    assert reply.json()["error"] == "internal error; see the log under request id abc-1"
    log = capsys.readouterr().err
    assert "request_id=abc-1" in log
    assert "RuntimeError: the secret is 42" in log
    assert alive.status_code == 200


async def test_a_registry_that_cannot_be_used_is_said_to_be_so(
    api: httpx.AsyncClient, registry: MemoryRegistry
) -> None:
    registry.close()

    _assert_refused(await api.get(f"{API}/models"), 503, "not_ready")
