import asyncio
from collections.abc import Callable
from typing import Any

import httpx

Fixture = Callable[..., Any]


async def _deploy(api: httpx.AsyncClient, model: str, version: int, **order: Any) -> httpx.Response:
    return await api.post(f"/models/{model}/deployments", json={"version": version, **order})


async def _model(api: httpx.AsyncClient, model: str) -> Any:
    return (await api.get(f"/models/{model}")).json()


async def test_a_deployed_version_is_ready_in_every_engine_and_is_the_default(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engines = [await connect_engine("engine-0"), await connect_engine("engine-1")]
    await register("iris")

    reply = await _deploy(api, "iris", 1)

    assert reply.status_code == 200
    assert {**reply.json(), "seconds": 0} == {
        "model": "iris",
        "version": 1,
        "default": True,
        "state": "ready",
        "seconds": 0,
    }
    assert [engine.default_of("iris") for engine in engines] == [1, 1]


async def test_the_default_moves_only_after_the_slowest_engine_is_ready(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    await connect_engine("engine-0")
    slow = await connect_engine("engine-1", slow={("iris", 2)})
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)

    deployment = asyncio.create_task(_deploy(api, "iris", 2))
    await slow.until(lambda: slow.holds("iris", 2))
    default_while_loading = (await _model(api, "iris"))["default_version"]
    slow.release("iris", 2)

    assert (await deployment).status_code == 200
    assert default_while_loading == 1
    assert slow.default_of("iris") == 2


async def test_a_version_can_be_deployed_beside_the_default(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)

    reply = await _deploy(api, "iris", 2, default=False)

    assert reply.json()["default"] is False
    assert engine.holds("iris", 2)
    assert (await _model(api, "iris"))["default_version"] == 1


async def test_twenty_models_deploy_at_once(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engines = [await connect_engine("engine-0"), await connect_engine("engine-1")]
    names = [f"model-{number}" for number in range(20)]
    for name in names:
        await register(name)

    replies = await asyncio.gather(*(_deploy(api, name, 1) for name in names))

    assert [reply.status_code for reply in replies] == [200] * 20
    assert [engine.default_of(name) for engine in engines for name in names] == [1] * 40


async def test_a_second_deployment_of_a_model_waits_for_the_first(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0", slow={("iris", 1)})
    await register("iris")
    await register("iris")

    first = asyncio.create_task(_deploy(api, "iris", 1))
    await engine.until(lambda: engine.holds("iris", 1))
    second = asyncio.create_task(_deploy(api, "iris", 2))
    await api.get("/models/iris")
    held_meanwhile = engine.holds("iris", 2)
    engine.release("iris", 1)

    assert [(await first).status_code, (await second).status_code] == [200, 200]
    assert not held_meanwhile
    assert engine.default_of("iris") == 2


async def test_a_default_can_move_back_to_a_lower_version(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)
    await _deploy(api, "iris", 2)

    assert (await _deploy(api, "iris", 1)).status_code == 200
    assert engine.default_of("iris") == 1
    assert engine.holds("iris", 2)


async def test_an_undeployed_version_leaves_the_engines(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)
    await _deploy(api, "iris", 2)

    reply = await api.delete("/models/iris/deployments/1")

    assert reply.json() == {"model": "iris", "version": 1, "state": "undeployed"}
    assert not engine.holds("iris", 1)
    again = await api.delete("/models/iris/deployments/1")
    assert again.status_code == 404


async def test_a_version_that_the_default_or_an_alias_needs_cannot_be_undeployed(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    await connect_engine("engine-0")
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)
    await _deploy(api, "iris", 2, default=False)
    await api.put("/models/iris/aliases/challenger", json={"version": 2})

    replies = [await api.delete(f"/models/iris/deployments/{version}") for version in (1, 2)]

    assert [reply.status_code for reply in replies] == [409, 409]


async def test_an_alias_follows_its_version_into_the_engines_and_out(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    await register("iris")
    await _deploy(api, "iris", 1)

    reply = await api.put("/models/iris/aliases/champion", json={"version": 1})

    assert reply.json()["aliases"] == {"champion": 1}
    assert engine.snapshot.models[0].aliases == {"champion": 1}
    removed = await api.delete("/models/iris/aliases/champion")
    assert removed.json()["aliases"] == {}
    assert engine.snapshot.models[0].aliases == {}
    assert (await api.delete("/models/iris/aliases/champion")).status_code == 404


async def test_an_alias_cannot_point_at_a_version_that_is_not_deployed(
    api: httpx.AsyncClient, register: Fixture
) -> None:
    await register("iris")

    reply = await api.put("/models/iris/aliases/champion", json={"version": 1})

    assert reply.status_code == 409
    assert "deploy it first" in reply.json()["error"]
    assert (await _model(api, "iris"))["aliases"] == {}


async def test_an_alias_cannot_point_at_a_version_that_failed_to_load(
    api: httpx.AsyncClient,
    connect_engine: Fixture,
    register: Fixture,
    until_waiting_for: Fixture,
) -> None:
    await connect_engine("engine-0")
    await register("iris")
    await _deploy(api, "iris", 1)
    await connect_engine("engine-1", broken={("iris", 1): "no memory"})
    await until_waiting_for([])

    reply = await api.put("/models/iris/aliases/champion", json={"version": 1})

    assert reply.status_code == 409
    assert "no memory" in reply.json()["error"]


async def test_changes_are_audited(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    await connect_engine("engine-0")
    await register("iris")
    await register("rose")
    await _deploy(api, "iris", 1)

    entries = (await api.get("/audit", params={"model": "iris", "limit": 2})).json()["entries"]

    assert [entry["action"] for entry in entries] == ["set_default", "deploy"]
    assert {entry["model"] for entry in entries} == {"iris"}


async def test_a_device_is_refused_for_a_version_that_cannot_go_there(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    await register("placed")
    await _deploy(api, "placed", 1)
    compiled = {"device": {"name": "cuda:0", "compile": "inductor"}}

    refused = await api.put("/models/placed/serving", json=compiled)
    taken = await api.put("/models/placed/serving", json={"device": {"name": "cuda:0"}})

    assert refused.status_code == 400
    assert "is torch.compile, and this version runs in onnx" in refused.text
    assert taken.status_code == 200
    (model,) = engine.snapshot.models
    assert model.versions[0].device.name == "cuda:0"
