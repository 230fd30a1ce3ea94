import json

import httpx
import msgspec

from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import Artifact, AuditEntry, Model, Version, VersionDraft

API = "/api/v1"
DIGEST = "0" * 64


async def test_models_and_versions_are_the_records_as_json(
    api: httpx.AsyncClient, registry: MemoryRegistry, draft: VersionDraft
) -> None:
    registry.register("iris", draft, "test")

    models = (await api.get(f"{API}/models")).json()["models"]
    versions = (await api.get(f"{API}/models/iris/versions")).json()["versions"]

    assert msgspec.convert(models, list[Model]) == registry.models()
    assert msgspec.convert(versions, list[Version]) == registry.versions("iris")
    model = await api.get(f"{API}/models/iris")
    assert msgspec.json.decode(model.content, type=Model) == registry.model("iris")
    version = await api.get(f"{API}/models/iris/versions/1")
    assert msgspec.json.decode(version.content, type=Version) == registry.version("iris", 1)


async def test_times_are_iso_8601_in_utc(
    api: httpx.AsyncClient, registry: MemoryRegistry, draft: VersionDraft
) -> None:
    registry.register("iris", draft, "test")

    assert (await api.get(f"{API}/models/iris")).json()["created_at"] == "2026-01-01T00:00:00Z"


async def test_the_audit_log_shows_the_newest_change_first(
    api: httpx.AsyncClient, registry: MemoryRegistry, draft: VersionDraft
) -> None:
    for model in ("iris", "rose"):
        registry.register(model, draft, "test")

    everything = (await api.get(f"{API}/audit")).json()["entries"]
    newest = (await api.get(f"{API}/audit", params={"limit": 1})).json()["entries"]

    assert msgspec.convert(everything, list[AuditEntry]) == registry.audit()
    assert [entry["model"] for entry in everything] == ["rose", "iris"]
    assert newest == everything[:1]


async def test_an_upload_is_stored_under_the_hash_of_its_content(
    api: httpx.AsyncClient, artifacts: MemoryArtifacts
) -> None:
    reply = await api.post(f"{API}/artifacts", content=b"a model")

    artifact = msgspec.json.decode(reply.content, type=Artifact)
    assert reply.status_code == 201
    assert artifact.size_bytes == 7
    assert artifacts.local_path(artifact.digest).read_bytes() == b"a model"


async def test_a_node_without_its_engines_is_not_ready(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{API}/ready")

    assert reply.status_code == 503
    assert reply.json() == {
        "ready": False,
        "waiting_for": ["engine-0 is not connected", "engine-1 is not connected"],
    }


async def test_the_server_says_where_it_listens(api: httpx.AsyncClient) -> None:
    server = (await api.get(f"{API}/server")).json()

    assert server["rest_url"] == "http://127.0.0.1:8000"
    assert server["grpc_url"] == "127.0.0.1:8001"
    assert server["control_url"] == "http://127.0.0.1:8080"
    assert server["expected_engines"] == ["engine-0", "engine-1"]
    assert server["engines"] == []


async def test_a_request_id_comes_back(api: httpx.AsyncClient) -> None:
    given_id = await api.get(f"{API}/live", headers={"x-request-id": "abc-1"})
    made = await api.get(f"{API}/live")
    hostile = await api.get(f"{API}/live", headers={"x-request-id": "x" * 300})

    assert given_id.headers["x-request-id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 32
    assert len(hostile.headers["x-request-id"]) == 32


async def test_the_description_names_every_schema_it_refers_to(api: httpx.AsyncClient) -> None:
    text = (await api.get("/openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]

    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= schemas.keys()
    assert {"Model", "Version", "AuditEntry", "Artifact", "Import", "ImportOrder"} <= referred


async def test_the_page_for_people_shows_every_route(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    paths = (await api.get("/openapi.json")).json()["paths"]

    assert all(path in page for path in paths)
    assert "<script" not in page
