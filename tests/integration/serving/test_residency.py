"""An engine's versions come and go: a runner lives exactly as long as somebody wants it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import AuguriumError
from augurium.core.home import NodeConfig
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest
from augurium.core.serving_policy import PlacementPolicy, ReplicasPolicy, ServingPolicy
from augurium.serving.executor import RunLost
from augurium.serving.loading import Loader
from augurium.serving.plane import DataPlane
from augurium.serving.residency import Residency
from augurium.serving.router import Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import DesiredModel, DesiredVersion, Snapshot
from tests.integration.serving.conftest import Want, until

Runners = Callable[[], list[int]]


class Engine:
    """The part of an engine that holds versions and answers."""

    def __init__(self, config: NodeConfig, device_bytes: int = 0) -> None:
        router: Router[ServedVersion] = Router()
        self.threads = ThreadPoolExecutor(2)
        loop = asyncio.get_running_loop()
        self.residency = Residency(
            router, loop, self.threads, Loader(config), lambda: None, device_bytes=device_bytes
        )
        self.plane = DataPlane(router, 100, 60)

    def apply(self, *versions: DesiredVersion, replicas: int = 1, least: int = 1) -> None:
        default = versions[-1].version if versions else None
        policy = ServingPolicy(replicas=ReplicasPolicy(least=least, most=4))
        model = DesiredModel("twice", versions, default, serving=policy, replicas=replicas)
        self.residency.apply(Snapshot(1, (model,) if versions else ()))

    async def settle(self) -> None:
        assert await asyncio.to_thread(until, lambda: self.residency.settled)

    async def ask(self, value: float, version: int | None = None) -> Any:
        request = InferenceRequest(
            model=ModelRef("twice", version),
            inputs={"x": np.array([float(value)])},
            deadline=self.plane.deadline(),
        )
        return (await self.plane.infer(request)).answer.array(0).tolist()


@pytest.fixture
async def engine(config: NodeConfig) -> AsyncIterator[Engine]:
    engine = Engine(config)
    yield engine
    await engine.residency.stop()
    engine.threads.shutdown()


async def gone(runners: Runners) -> bool:
    return await asyncio.to_thread(until, lambda: not runners())


def twice(inputs: Any) -> Any:
    return inputs["x"] * 2


def slowly(inputs: Any) -> Any:
    import time

    time.sleep(0.3)
    return inputs["x"] * 2


async def test_a_version_that_is_not_wanted_any_more_ends_its_runner(
    engine: Engine, want: Want, runners: Runners
) -> None:
    engine.apply(want(twice))
    await engine.settle()
    assert len(runners()) == 1
    engine.apply()
    assert await gone(runners)


async def test_a_version_that_is_dropped_while_it_loads_leaves_no_runner(
    engine: Engine, want: Want, runners: Runners
) -> None:
    engine.apply(want(slowly))
    await asyncio.sleep(0)
    engine.apply()
    # it was about to start
    assert await asyncio.to_thread(until, lambda: bool(runners()))
    assert await gone(runners)


async def test_requests_inside_are_answered_before_the_runner_ends(
    engine: Engine, want: Want, runners: Runners
) -> None:
    engine.apply(want(slowly))
    await engine.settle()
    asked = asyncio.create_task(engine.ask(3))
    await asyncio.sleep(0.05)
    engine.apply()
    assert await asked == [6]
    assert await gone(runners)


async def test_new_settings_for_a_version_keep_its_runner(
    engine: Engine, want: Want, runners: Runners
) -> None:
    desired = want(twice)
    engine.apply(desired)
    await engine.settle()
    before = runners()
    batching = msgspec.structs.replace(desired.batching, max_batch_size=7)
    engine.apply(msgspec.structs.replace(desired, batching=batching))
    await engine.settle()
    await asyncio.sleep(0.1)
    assert await engine.ask(4) == [8]
    assert runners() == before


async def test_a_version_that_is_changed_while_it_loads_is_what_it_was_changed_to_last(
    engine: Engine, want: Want, runners: Runners
) -> None:
    def threads(inputs: Any) -> Any:
        import os

        return inputs["x"] * 0 + int(os.environ["OMP_NUM_THREADS"])

    desired = want(threads)
    for count in (2, 3, 4):
        placement = PlacementPolicy(threads=count)
        engine.apply(msgspec.structs.replace(desired, placement=placement))
        await asyncio.sleep(0.01)
    assert await asyncio.to_thread(until, lambda: len(runners()) > 0)

    async def answer() -> Any:
        try:
            return await engine.ask(1)
        except AuguriumError:
            return None

    for _ in range(400):
        if await answer() == [4]:
            break
        await asyncio.sleep(0.1)
    assert await engine.ask(1) == [4]
    assert await asyncio.to_thread(until, lambda: len(runners()) == 1)


async def test_a_change_that_fails_leaves_the_version_as_it_was(engine: Engine, want: Want) -> None:
    desired = want(twice)
    engine.apply(desired)
    await engine.settle()
    nowhere = msgspec.structs.replace(desired, placement=PlacementPolicy(cpus="4000"))
    engine.apply(nowhere)
    await engine.settle()
    assert await engine.ask(4) == [8]
    (state,) = engine.residency.states()
    assert "names CPU 4000" in state.reason
    # the next start begins with what works
    (model,) = engine.residency.proven().models
    assert model.versions == (desired,)


async def test_a_run_in_a_runner_leaves_the_loop_free(engine: Engine, want: Want) -> None:
    def for_seconds(inputs: Any) -> Any:
        import time

        time.sleep(inputs["x"][0])
        return inputs["x"]

    engine.apply(want(for_seconds))
    await engine.settle()
    asked = asyncio.create_task(engine.ask(1))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns >= 10


async def test_a_crash_costs_the_requests_inside_and_no_others(engine: Engine, want: Want) -> None:
    def deadly(inputs: Any) -> Any:
        import os

        if (inputs["x"] == 13).any():
            os.abort()
        return inputs["x"] * 2

    engine.apply(want(deadly), want(twice, version=2))
    await engine.settle()
    inside = asyncio.create_task(engine.ask(13, 1))
    assert await engine.ask(1, 2) == [2]
    with pytest.raises(RunLost):
        await inside
    assert await engine.ask(12, 1) == [24]


async def alive(runners: Runners, number: int) -> bool:
    return await asyncio.to_thread(until, lambda: len(runners()) == number, 30.0)


async def test_the_number_of_runners_is_what_the_snapshot_says_now(
    engine: Engine, want: Want, runners: Runners
) -> None:
    version = want(twice)
    engine.apply(version)
    await engine.settle()
    before = runners()
    engine.apply(version, replicas=2)
    # nothing is loaded again
    assert engine.residency.settled
    assert await alive(runners, 2)
    assert set(before) < set(runners())
    engine.apply(version)
    assert await alive(runners, 1)
    assert runners() == before
    assert await engine.ask(3) == [6]


async def test_new_files_for_a_version_come_with_as_many_runners(
    engine: Engine, want: Want, runners: Runners
) -> None:
    engine.apply(want(twice), replicas=2)
    assert await alive(runners, 2)
    before = set(runners())
    engine.apply(want(slowly), replicas=2)
    await engine.settle()
    assert await asyncio.to_thread(
        until, lambda: len(runners()) == 2 and before.isdisjoint(runners()), 30.0
    )


@pytest.mark.parametrize("least", [0, 1], ids=["may sleep", "is told late"])
async def test_none_is_sleep_from_which_a_request_or_a_number_wakes(
    least: int, engine: Engine, want: Want, runners: Runners
) -> None:
    version = want(twice)
    engine.apply(version, least=least)
    await engine.settle()
    engine.apply(version, replicas=0, least=least)
    assert await gone(runners)

    assert await engine.ask(3) == [6]
    # who was woken stays, however often the same is said
    engine.apply(version, replicas=0, least=least)
    assert len(runners()) == 1

    engine.apply(version, replicas=1, least=least)
    engine.apply(version, replicas=0, least=least)
    assert await gone(runners)
    engine.apply(version, replicas=2, least=least)
    assert await alive(runners, 2)


async def test_a_change_of_device_that_fails_leaves_what_answers_and_says_why(
    engine: Engine, want: Want
) -> None:
    version = want(twice)
    engine.apply(version)
    await engine.settle()

    engine.apply(msgspec.structs.replace(version, device=DevicePolicy(name="cuda:0")))
    await engine.settle()

    (state,) = engine.residency.states()
    assert state.state == "failed"
    assert "runs on the CPU only" in state.reason
    assert await engine.ask(4.0) == [8.0]


async def test_what_is_larger_than_a_device_may_hold_is_refused_before_it_is_loaded(
    config: NodeConfig, want: Want, runners: Runners
) -> None:
    engine = Engine(config, device_bytes=10)
    try:
        engine.apply(want(twice, device=DevicePolicy(name="cuda:0")))
        await engine.settle()

        (state,) = engine.residency.states()
        assert "an engine may use 10 for models; raise gpu.memory_bytes" in state.reason
        assert runners() == []
    finally:
        await engine.residency.stop()
        engine.threads.shutdown()
