import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from augurium.control import load_watch
from augurium.control.deployments import Deployments
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.core.clock import SystemClock
from augurium.core.errors import DeadlineExceeded
from augurium.core.home import NodeConfig
from augurium.core.settings import BatchingSettings
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.sql_registry import SqlRegistry

Fixture = Callable[..., Any]


async def _deploy(api: httpx.AsyncClient, model: str, version: int, **order: Any) -> httpx.Response:
    return await api.post(f"/models/{model}/deployments", json={"version": version, **order})


async def _model(api: httpx.AsyncClient, model: str) -> Any:
    return (await api.get(f"/models/{model}")).json()


async def test_a_version_that_fails_in_one_engine_changes_nothing(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    healthy = await connect_engine("engine-0")
    await connect_engine("engine-1", broken={("iris", 2): "wrong hash"})
    await register("iris")
    await register("iris")
    await _deploy(api, "iris", 1)

    reply = await _deploy(api, "iris", 2)

    assert reply.status_code == 422
    assert reply.json()["kind"] == "unprocessable"
    assert "engine-1" in reply.json()["error"]
    assert "wrong hash" in reply.json()["error"]
    await healthy.until(lambda: not healthy.holds("iris", 2))
    assert healthy.default_of("iris") == 1
    assert (await _model(api, "iris"))["deployed_versions"] == [1]


async def test_an_engine_that_dies_while_loading_fails_the_deployment(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    survivor = await connect_engine("engine-0")
    victim = await connect_engine("engine-1", slow={("iris", 1)})
    await register("iris")

    deployment = asyncio.create_task(_deploy(api, "iris", 1))
    await victim.until(lambda: victim.holds("iris", 1))
    await victim.kill()
    reply = await deployment

    assert reply.status_code == 422
    assert "engine-1 ended while it loaded" in reply.json()["error"]
    await survivor.until(lambda: not survivor.holds("iris", 1))
    restarted = await connect_engine("engine-1", pid=2)
    assert not restarted.holds("iris", 1)


async def test_an_engine_that_dies_after_it_was_ready_does_not_fail_the_deployment(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    slow = await connect_engine("engine-0", slow={("iris", 1)})
    quick = await connect_engine("engine-1")
    await register("iris")

    deployment = asyncio.create_task(_deploy(api, "iris", 1))
    await quick.until(lambda: quick.holds("iris", 1))
    await slow.until(lambda: slow.holds("iris", 1))
    # its answer is on the wire before the end of the connection is
    await quick.hang_up()
    slow.release("iris", 1)

    assert (await deployment).status_code == 200


async def test_an_engine_that_joins_a_running_deployment_is_waited_for(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    first = await connect_engine("engine-0", slow={("iris", 1)})
    await register("iris")

    deployment = asyncio.create_task(_deploy(api, "iris", 1))
    await first.until(lambda: first.holds("iris", 1))
    late = await connect_engine("engine-1", slow={("iris", 1)})
    first.release("iris", 1)
    default_before_the_late_one = (await _model(api, "iris"))["default_version"]
    late.release("iris", 1)

    assert (await deployment).status_code == 200
    assert default_before_the_late_one is None


async def test_a_deployment_waits_for_engines_that_are_coming_back(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    await register("iris")

    deployment = asyncio.create_task(_deploy(api, "iris", 1))
    await asyncio.sleep(0.2)
    assert not deployment.done()
    await connect_engine("engine-0")

    assert (await deployment).status_code == 200


async def test_nothing_can_be_deployed_without_engines(
    api: httpx.AsyncClient, register: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_watch, "PATIENCE_S", 0.1)
    await register("iris")

    reply = await _deploy(api, "iris", 1)

    assert reply.status_code == 503
    assert reply.json()["kind"] == "not_ready"
    assert "no engine is connected" in reply.json()["error"]
    assert reply.headers["retry-after"] == "1"
    assert (await _model(api, "iris"))["deployed_versions"] == []


async def test_a_deployment_ends_when_the_server_stops(
    api: httpx.AsyncClient, services: Services, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0", slow={("iris", 1)})
    await register("iris")

    deployment = asyncio.create_task(_deploy(api, "iris", 1))
    await engine.until(lambda: engine.holds("iris", 1))
    services.deployments.stop()

    assert (await deployment).status_code == 503
    assert (await _model(api, "iris"))["deployed_versions"] == []
    assert (await api.get("/ready")).json() == {
        "ready": False,
        "waiting_for": ["the server is stopping"],
    }


async def test_an_engine_that_takes_too_long_fails_the_deployment(
    node: NodeConfig, services: Services, connect_engine: Fixture, register: Fixture
) -> None:
    artifacts = ObstoreArtifacts(node.home.artifacts)
    snapshots = Snapshots(services.registry, artifacts, BatchingSettings(), services.hub)
    impatient = Deployments(
        services.registry, artifacts, snapshots, services.hub, load_timeout_s=0.05
    )
    await connect_engine("engine-0")
    await connect_engine("engine-1", slow={("iris", 1)})
    await register("iris")

    # the other may be late too
    late = r"iris@1 was not ready within 0\.05 s in (engine-0, )?engine-1;"
    with pytest.raises(DeadlineExceeded, match=late):
        await impatient.deploy("iris", 1, default=True, actor="test")

    assert services.registry.model("iris").deployed_versions == ()


async def test_a_version_whose_file_is_lost_is_not_deployed(
    node: NodeConfig, api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    version = await register("iris")
    ObstoreArtifacts(node.home.artifacts).local_path(version.servable.digest).unlink()

    reply = await _deploy(api, "iris", 1)

    assert reply.status_code == 422
    assert "register the model again" in reply.json()["error"]
    assert not engine.holds("iris", 1)


async def test_a_caller_who_leaves_does_not_leave_half_a_deployment(
    services: Services, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0", slow={("iris", 1)})
    await register("iris")
    deployment = asyncio.create_task(
        services.deployments.deploy("iris", 1, default=True, actor="test")
    )
    await engine.until(lambda: engine.holds("iris", 1))

    deployment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deployment

    assert services.registry.model("iris").deployed_versions == ()
    await engine.until(lambda: not engine.holds("iris", 1))


class _SlowRegistry(SqlRegistry):
    """Commits that a version is wanted only when its gate opens."""

    def __init__(self, node: NodeConfig) -> None:
        super().__init__(open_database(sqlite_url(node.home.database)), SystemClock())
        self.begun, self.gate, self.done = threading.Event(), threading.Event(), threading.Event()

    def set_deployed(self, model: str, version: int, deployed: bool, actor: str) -> None:
        if not deployed:
            super().set_deployed(model, version, deployed, actor)
            return
        self.begun.set()
        self.gate.wait(20)
        super().set_deployed(model, version, deployed, actor)
        self.done.set()


async def test_what_undoes_a_deployment_does_not_overtake_it(
    node: NodeConfig, services: Services, connect_engine: Fixture, register: Fixture
) -> None:
    await connect_engine("engine-0")
    await register("iris")
    registry = _SlowRegistry(node)
    artifacts = ObstoreArtifacts(node.home.artifacts)
    snapshots = Snapshots(registry, artifacts, BatchingSettings(), services.hub)
    deployments = Deployments(registry, artifacts, snapshots, services.hub)
    deployment = asyncio.create_task(deployments.deploy("iris", 1, default=True, actor="test"))
    await asyncio.to_thread(registry.begun.wait, 20)

    deployment.cancel()
    await asyncio.wait([deployment], timeout=0.2)
    registry.gate.set()
    await asyncio.wait([deployment])
    await asyncio.to_thread(registry.done.wait, 20)

    assert deployment.cancelled()
    assert registry.model("iris").deployed_versions == ()
    registry.close()


async def test_a_version_that_engines_dropped_cannot_become_the_default(
    api: httpx.AsyncClient,
    connect_engine: Fixture,
    register: Fixture,
    until_waiting_for: Fixture,
) -> None:
    for _ in range(2):
        await register("iris")
    await connect_engine("engine-0")
    await _deploy(api, "iris", 1)
    await _deploy(api, "iris", 2, default=False)
    await connect_engine("engine-1", broken={("iris", 2): "no memory"})
    await until_waiting_for([])

    reply = await _deploy(api, "iris", 2)

    assert reply.status_code == 422
    model = await _model(api, "iris")
    assert (model["default_version"], model["deployed_versions"]) == (1, [1, 2])
