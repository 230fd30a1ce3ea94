"""Every door of the management API opens to those who may enter and to nobody else."""

import dataclasses
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from augurium.access.keys import KeyDraft
from augurium.access.memory_key_store import MemoryKeyStore
from augurium.access.patience import Patience
from augurium.access.principal import LOCAL
from augurium.access.rights import MANAGEMENT
from augurium.access.scopes import Scope
from augurium.control.access_keeper import AccessKeeper
from augurium.control.app import create_app
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.core.clock import ManualClock
from augurium.core.home import Home
from augurium.core.settings import AccessSettings, BatchingSettings, Settings
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
PUBLIC = {"/api/v1/live", "/api/v1/ready"}
MakeKey = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def access(
    services: Services,
    registry: MemoryRegistry,
    artifacts: MemoryArtifacts,
    clock: ManualClock,
    tmp_path: Path,
) -> AsyncIterator[AccessKeeper]:
    settings = Settings(access=AccessSettings(required=True))
    snapshots = Snapshots(registry, artifacts, BatchingSettings(), services.hub)
    store = MemoryKeyStore(clock, registry.note)
    keeper = AccessKeeper(settings, Home(tmp_path), store, snapshots)
    keeper.gateway.patience = Patience(free=10_000)
    yield keeper
    await keeper.stop()


@pytest.fixture
def app(services: Services, access: AccessKeeper) -> FastAPI:
    return create_app(dataclasses.replace(services, access=access))


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


@pytest.fixture
def make_key(access: AccessKeeper) -> MakeKey:
    """The headers of a new key: `await make_key(Scope.READ, models=("a*",))`."""
    names = itertools.count()

    async def make(*scopes: Scope, **fields: Any) -> dict[str, str]:
        draft = KeyDraft(name=f"key-{next(names)}", scopes=scopes, **fields)
        issued = await access.create(draft, LOCAL)
        return {"authorization": f"Bearer {issued.key}"}

    return make


@pytest.fixture
def two_models(registry: MemoryRegistry, draft: VersionDraft) -> None:
    for model in ("fraud-eu", "churn"):
        registry.register(model, draft, "test")


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    found = [context.original_route for context in iter_route_contexts(app.routes)]
    paths = [context.path for context in iter_route_contexts(app.routes)]
    return {
        (method, str(path))
        for route, path in zip(found, paths, strict=True)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def filled(path: str) -> str:
    """The path of a route with something in the place of its parameters."""
    values = {"model": "fraud-eu", "version": "1"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[1]), path)


def test_every_route_has_its_rights_listed_and_nothing_else_is(app: FastAPI) -> None:
    assert routes_of(app) == set(MANAGEMENT)


async def test_without_a_key_every_route_and_method_is_refused(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    for path in {path for _, path in routes_of(app)} | {"/", "/unknown", "/api/v1/unknown"}:
        for method in METHODS:
            if path in PUBLIC and method in ("GET", "HEAD"):
                continue
            answer = await api.request(method, filled(path))
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_public_routes_answer_everyone(api: httpx.AsyncClient) -> None:
    for path in PUBLIC:
        assert (await api.get(path)).status_code in (200, 503)


async def test_a_key_of_another_scope_is_told_so(
    app: FastAPI, api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    keys = {
        Scope.ADMIN: await make_key(Scope.DEPLOY, Scope.PREDICT, Scope.BATCH),
        Scope.BATCH: await make_key(Scope.DEPLOY, Scope.PREDICT),
        Scope.DEPLOY: await make_key(Scope.READ, Scope.PREDICT),
        Scope.READ: await make_key(Scope.PREDICT),
    }
    for method, path in routes_of(app):
        need = MANAGEMENT[method, path]
        if need.public or Scope.PREDICT in need.scopes:
            continue
        wanted = Scope.READ if Scope.READ in need.scopes else next(iter(need.scopes))
        answer = await api.request(method, filled(path), headers=keys[wanted])
        assert answer.status_code == 403, (method, path)
        assert f"'{wanted}'" in answer.json()["error"]


async def test_a_key_with_the_scope_comes_through(
    app: FastAPI, api: httpx.AsyncClient, make_key: MakeKey, two_models: None
) -> None:
    for method, path in routes_of(app):
        admin = await make_key(Scope.ADMIN)
        answer = await api.request(method, filled(path), headers=admin)
        assert answer.status_code not in (401, 403, 405), (method, path, answer.text)


async def test_who_may_predict_with_a_model_may_say_what_became_of_it(
    api: httpx.AsyncClient, make_key: MakeKey, two_models: None
) -> None:
    def said_of(model: str) -> dict[str, Any]:
        return {"model": model, "prediction_id": "p1", "name": "converted", "value": 1}

    rows = [said_of("fraud-eu"), said_of("churn"), said_of("unknown")]
    app = await make_key(Scope.PREDICT, models=("fraud-*",))
    told = (await api.post("/api/v1/feedback", json=rows, headers=app)).json()
    assert (told["accepted"], [row["line"] for row in told["rejections"]]) == (1, [2, 3])
    # whether a model is there is not told
    reasons = [row["reason"].split("'")[2] for row in told["rejections"]]
    assert reasons[0] == reasons[1]
    reader = await make_key(Scope.READ)
    assert (await api.post("/api/v1/feedback", json=rows, headers=reader)).status_code == 403
    seen = await api.get("/api/v1/models/fraud-eu/feedback", headers=reader)
    assert len(seen.json()["values"]) == 1
    assert (await api.get("/api/v1/models/fraud-eu/feedback", headers=app)).status_code == 403


async def test_every_bad_key_gets_the_same_body(
    api: httpx.AsyncClient, make_key: MakeKey, access: AccessKeeper, clock: ManualClock
) -> None:
    revoked = await make_key(Scope.READ)
    await access.revoke("key-0", LOCAL)
    bad = [None, "", "Bearer", "Bearer x", "Basic eA==", revoked["authorization"]]
    answers = [
        await api.get("/api/v1/models", headers={"authorization": header} if header else {})
        for header in bad
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_two_authorization_headers_are_refused(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = (await make_key(Scope.ADMIN))["authorization"]
    headers = [("authorization", key), ("authorization", "Bearer other")]

    assert (await api.get("/api/v1/models", headers=headers)).status_code == 401


async def test_names_that_a_proxy_might_send_are_not_believed(api: httpx.AsyncClient) -> None:
    headers = {
        "x-forwarded-user": "admin",
        "x-remote-user": "admin",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-client-cert": "DNS=admin.internal",
    }

    assert (await api.get("/api/v1/models", headers=headers)).status_code == 401


@pytest.mark.parametrize("query", ["key=abc", "access_token=abc", "model=aug_live_a_b_c"])
async def test_a_key_in_the_address_is_refused_also_beside_a_good_one(
    api: httpx.AsyncClient, make_key: MakeKey, query: str
) -> None:
    answer = await api.get(f"/api/v1/audit?{query}", headers=await make_key(Scope.ADMIN))

    assert answer.status_code == 401
    assert "not accepted in an address" in answer.json()["error"]


async def test_a_model_outside_the_pattern_is_one_that_is_not_there(
    app: FastAPI, api: httpx.AsyncClient, make_key: MakeKey, two_models: None
) -> None:
    key = await make_key(Scope.ADMIN, models=("fraud-*",))
    for method, path in routes_of(app):
        if "{model}" not in path or MANAGEMENT[method, path].creates:
            continue
        there = re.sub(r"\{model\}", "churn", path)
        absent = re.sub(r"\{model\}", "absent", path)
        hidden = await api.request(method, filled(there), headers=key)
        missing = await api.request(method, filled(absent), headers=key)
        assert hidden.status_code == missing.status_code == 404, (method, path)
        assert hidden.text == missing.text.replace("absent", "churn")


async def test_what_concerns_every_model_is_not_for_a_key_of_some(
    app: FastAPI, api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key(Scope.ADMIN, models=("fraud-*",))
    every_model = {route for route, need in MANAGEMENT.items() if need.every_model}
    for method, path in every_model:
        assert (await api.request(method, filled(path), headers=key)).status_code == 403, path

    assert {("POST", "/api/v1/trust"), ("DELETE", "/api/v1/trust/{name}")} < every_model


async def test_a_name_outside_the_pattern_may_not_be_taken(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key(Scope.DEPLOY, models=("fraud-*",))
    answer = await api.post("/api/v1/models/churn/imports", json={}, headers=key)

    assert answer.status_code == 403
    assert "fraud-*" in answer.json()["error"]


async def test_lists_hold_what_the_pattern_lets_through(
    api: httpx.AsyncClient, make_key: MakeKey, two_models: None
) -> None:
    key = await make_key(Scope.READ, models=("fraud-*",))
    models = (await api.get("/api/v1/models", headers=key)).json()["models"]
    entries = (await api.get("/api/v1/audit", headers=key)).json()["entries"]

    assert [model["name"] for model in models] == ["fraud-eu"]
    assert {entry["model"] for entry in entries} == {"fraud-eu"}
    assert (await api.get("/api/v1/audit?model=churn", headers=key)).status_code == 404
    assert (await api.get("/metrics", headers=key)).status_code == 403


async def test_changes_are_ascribed_to_the_key(
    api: httpx.AsyncClient, make_key: MakeKey, registry: MemoryRegistry
) -> None:
    admin = await make_key(Scope.ADMIN)
    draft = {"name": "app", "scopes": ["predict"], "models": ["a*"]}
    made = await api.post("/api/v1/keys", json=draft, headers=admin)

    assert made.status_code == 201
    assert made.json()["record"]["created_by"] == "key-0"
    assert registry.audit()[0].actor == "key-0"
    listed = await api.get("/api/v1/keys", headers=admin)
    assert made.json()["key"].split("_")[3] not in listed.text


async def test_a_key_gives_away_no_more_than_it_has(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    limited = await make_key(Scope.ADMIN, models=("fraud-*",))
    for models in ([], ["*"], ["churn"]):
        draft = {"name": "more", "scopes": ["predict"], "models": models}
        answer = await api.post("/api/v1/keys", json=draft, headers=limited)
        assert answer.status_code == 403, models


@pytest.mark.parametrize(
    "draft",
    [
        {},
        {"name": "a"},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["root"]},
        {"name": "a b", "scopes": ["read"]},
        {"name": "a", "scopes": ["read"], "models": "fraud"},
        {"name": "a", "scopes": ["read"], "expires_in_s": -1},
        {"name": "a", "scopes": ["read"], "rate": -1},
        {"name": "a", "scopes": ["read"], "burst": 1},
        {"name": "a", "scopes": ["read"], "secret": "mine"},
    ],
    ids=str,
)
async def test_a_key_that_breaks_a_rule_is_a_bad_request(
    api: httpx.AsyncClient, make_key: MakeKey, draft: dict[str, object]
) -> None:
    answer = await api.post("/api/v1/keys", json=draft, headers=await make_key(Scope.ADMIN))

    assert answer.status_code == 400


async def test_a_rate_is_told_with_every_answer_and_ends_in_429(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key(Scope.READ, rate=0.001, burst=2)
    first, second, third = [await api.get("/api/v1/models", headers=key) for _ in range(3)]

    assert first.headers["ratelimit-remaining"] == "1"
    assert second.headers["ratelimit-remaining"] == "0"
    assert third.status_code == 429
    assert int(third.headers["retry-after"]) > 900


async def test_a_node_without_keys_takes_everyone_and_a_good_key_for_its_name(
    services: Services, registry: MemoryRegistry
) -> None:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
        for header in ({}, {"authorization": "Bearer garbage"}):
            assert (await api.get("/api/v1/models", headers=header)).status_code == 200
        assert (await api.get("/api/v1/server")).json()["keys_required"] is False
        draft = {"name": "app", "scopes": ["read"]}
        key = (await api.post("/api/v1/keys", json=draft)).json()["key"]
        draft["name"] = "second"
        await api.post("/api/v1/keys", json=draft, headers={"authorization": f"Bearer {key}"})

        keys = (await api.get("/api/v1/keys")).json()["keys"]
    assert [key["created_by"] for key in keys] == ["local", "app"]


async def test_schedules_of_models_that_a_key_is_not_for_do_not_exist_for_it(
    api: httpx.AsyncClient, make_key: MakeKey, two_models: None
) -> None:
    theirs = await make_key(Scope.BATCH, models=("churn",))
    ours = await make_key(Scope.BATCH)
    path = "/api/v1/batch-schedules"

    async def create(model: str, headers: dict[str, str], **fields: Any) -> int:
        job = {"model": model, "input": {"paths": ["/in"]}, "output": {"path": "/out/{run}"}}
        body = {"name": "nightly", "spec": {"job": job, "cron": "daily"}} | fields
        return (await api.post(path, headers=headers, json=body)).status_code

    assert await create("fraud-eu", theirs) == 404
    assert await create("fraud-eu", ours) == 201
    assert (await api.get(path, headers=theirs)).json() == {"schedules": []}
    for method, further in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/runs")):
        url = f"{path}/nightly{further}"
        assert (await api.request(method, url, headers=theirs, json={})).status_code == 404
    assert await create("churn", theirs, replace=True) == 404
    (kept,) = (await api.get(path, headers=ours)).json()["schedules"]
    assert kept["model"] == "fraud-eu"
