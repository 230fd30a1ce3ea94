"""Canaries on a real control process's parts: its database, its socket, engines that count."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from augurium.control.services import Services
from augurium.core.home import NodeConfig
from augurium.serving.metrics import EngineMetrics, VersionMetrics

Fixture = Callable[..., Any]
QUICK = {"version": 2, "tick_s": 1, "warm_up_s": 0, "hold_s": 0, "error_limit_requests": 20}


@pytest.fixture
async def engines(api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture) -> list[Any]:
    """Two engines that hold both versions of `fraud`; version 1 is the default."""
    found = [await connect_engine(f"engine-{number}") for number in range(2)]
    for version in (1, 2):
        await register("fraud")
        await api.post(
            "/models/fraud/deployments", json={"version": version, "default": version == 1}
        )
    return found


def weights(engine: Any) -> dict[str, float]:
    """What the engine was told."""
    (model,) = engine.snapshot.models
    policy = model.traffic.policy if model.traffic else None
    return {one.label: one.weight for one in policy.split} if policy else {}


def failing(requests: int) -> EngineMetrics:
    """The counters of an engine whose version 2 fails, as often as version 1 answers."""
    versions = [VersionMetrics("fraud", number) for number in (1, 2)]
    for _ in range(requests):
        versions[0].ended("ok", 0.01, "v1")
        versions[1].ended("model_failed", 0.01, "v2")
    return EngineMetrics(versions)


async def started(api: httpx.AsyncClient, **plan: Any) -> str:
    body = {"model": "fraud", "kind": "canary", "plan": QUICK | plan}
    answer = await api.post("/rollouts", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ended(api: httpx.AsyncClient, rollout: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await api.get(f"/rollouts/{rollout}")).json()
            if found["ended_at"] is not None:
                return found
            await asyncio.sleep(0.05)


async def test_every_engine_is_told_of_the_weights_and_of_their_end(
    api: httpx.AsyncClient, engines: list[Any]
) -> None:
    rollout = await started(api)
    for engine in engines:
        assert set(weights(engine)) == {"v1", "v2"}
        await engine.until(lambda engine=engine: weights(engine)["v2"] == 5.0)
    for engine in engines:
        engine.metrics = failing(100)
    found = await ended(api, rollout)

    assert (found["status"], found["control"]) == ("rolled_back", 1)
    assert "requests failed" in found["reason"]
    assert [weights(engine) for engine in engines] == [{}, {}]
    assert [engine.default_of("fraud") for engine in engines] == [1, 1]


async def test_a_rollback_reaches_every_engine_while_the_database_is_locked(
    api: httpx.AsyncClient, engines: list[Any], node: NodeConfig, services: Services
) -> None:
    rollout = await started(api)
    for engine in engines:
        await engine.until(lambda engine=engine: weights(engine)["v2"] == 5.0)
    with closing(sqlite3.connect(node.home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for engine in engines:
            engine.metrics = failing(100)
        for engine in engines:
            await engine.until(lambda engine=engine: weights(engine) == {})
        before = services.rollouts.store.get(rollout)
        other.execute("ROLLBACK")
    found = await ended(api, rollout)

    assert before.status == "running"
    assert found["status"] == "rolled_back"
    assert [weights(engine) for engine in engines] == [{}, {}]


async def test_a_version_that_an_engine_cannot_load_any_more_is_rolled_back(
    api: httpx.AsyncClient, engines: list[Any]
) -> None:
    rollout = await started(api)
    engines[1].broken["fraud", 2] = "out of memory"
    engines[1].release("fraud", 2)
    found = await ended(api, rollout)

    assert found["status"] == "rolled_back"
    assert "out of memory" in found["reason"]
