"""Copies for a shadow: who gets one, when there is none, and that nobody else notices."""

import asyncio
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse, Instances
from augurium.core.serving_policy import CachePolicy, ServingPolicy
from augurium.core.shadow import Comparison, Shadow
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.serving.active_shadow import ActiveShadow
from augurium.serving.executor import LocalExecutor
from augurium.serving.memory_budget import MemoryBudget, Residence, Resident
from augurium.serving.metrics import EngineMetrics, VersionMetrics, merge
from augurium.serving.plane import DataPlane
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.recorded_traffic import RecordedTraffic
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.shadow import Shadowing
from augurium.serving.snapshot import DesiredModel, DesiredVersion, Snapshot
from augurium.serving.spare_capacity import SpareCapacity
from augurium.traffic.shadow_sums import ShadowSums

NAME, OLD, NEW = "price", 1, 2
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))
WAIT_S = 10.0
ALL = Shadow(NEW, 100)

Function = Callable[[Array], Array]


class Doubled:
    """A model of one function."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return [self._function(inputs["x"])]


class Clocks:
    """The time, and the processor time of the event loop."""

    def __init__(self) -> None:
        self.now, self.cpu = 0.0, 0.0


class House:
    """A model with two versions, of which the first is the default one."""

    def __init__(self, old: Function, new: Function) -> None:
        self.counters = {version: VersionMetrics(NAME, version) for version in (OLD, NEW)}
        self.traffic = RecordedTraffic(1024 * 1024)
        cache = PredictionCache(1024 * 1024)
        loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(3)
        self.served: dict[int, ServedVersion] = {}
        self.desired: dict[int, DesiredVersion] = {}
        for version, function in ((OLD, old), (NEW, new)):
            executor = LocalExecutor(Doubled(function), ["x"], ["y"])
            recorder = self.traffic.recorder(NAME, SIGNATURE)
            if version == NEW and recorder is not None:
                executor.record(recorder)
            desired = DesiredVersion(NAME, version, "onnx", "", "", SIGNATURE)
            self.desired[version] = desired
            self.served[version] = ServedVersion(
                desired, executor, self.counters[version], loop, threads, cache
            )
        self.router: Router[ServedVersion] = Router()
        self.router.replace({NAME: ModelRoutes(self.served, {}, OLD, {})})
        self.clocks = Clocks()
        room = SpareCapacity(64, lambda: self.clocks.now, lambda: self.clocks.cpu, burst_s=math.inf)
        self.shadowing = Shadowing(
            self.router.resolve, lambda _, version: self.counters[version], loop, room
        )
        self.plane = DataPlane(self.router, 64, 30.0, cache=cache, shadowing=self.shadowing)

    def cast(self, *shadows: Shadow) -> None:
        policy = TrafficPolicy(shadows=shadows)
        revision = TrafficRevision(revision=1, policy=policy)
        versions = tuple(self.desired.values())
        model = DesiredModel(NAME, versions, OLD, traffic=revision)
        self.shadowing.take(Snapshot(1, (model,)))

    async def ask(
        self, *values: float, version: int | None = None, id: str = ""
    ) -> InferenceResponse:
        inputs = {"x": np.array(values, np.float32).reshape(-1, 1)}
        request = InferenceRequest(ModelRef(NAME, version), inputs, self.plane.deadline(5), id)
        return await self.plane.infer(request)

    async def settle(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.shadowing.drain()

    @property
    def sums(self) -> ShadowSums:
        (found,) = self.counters[NEW].shadows
        return found


def double(x: Array) -> Array:
    return x * 2


def fails(_: Array) -> Array:
    raise ModelFailed("spoilt")


@pytest.fixture
async def house() -> House:
    """The new version says 10 more from 5 on."""
    return House(double, lambda x: np.where(x >= 5, x * 2 + 10, x * 2).astype(np.float32))


async def test_rows_that_differ_are_counted_and_shown(house: House) -> None:
    house.cast(ALL)
    await house.ask(1, 5, 9, id="first")
    await house.ask(2, 3)
    await house.settle()

    sums = house.sums
    assert (sums.baseline, sums.copied, sums.answered) == (OLD, 2, 2)
    assert (sums.rows, sums.agreeing) == (5, 3)
    assert sums.outputs["y"].largest == 10
    assert (sums.baseline_s.count, sums.shadow_s.count) == (2, 2)
    (one, other) = sums.examples
    assert {one.input, other.input} == {'{"x":5.0}', '{"x":9.0}'}
    assert {one.shadow, other.shadow} == {'{"y":20.0}', '{"y":28.0}'}
    assert {one.baseline, other.baseline} == {'{"y":10.0}', '{"y":18.0}'}
    assert one.request_id == "first"


async def test_instances_are_copied_too(house: House) -> None:
    house.cast(ALL)
    request = InferenceRequest(
        ModelRef(NAME), Instances([{"x": 1.0}, {"x": 5.0}]), house.plane.deadline(5)
    )
    await house.plane.infer(request)
    await house.settle()

    assert (house.sums.rows, house.sums.agreeing) == (2, 1)
    assert [example.input for example in house.sums.examples] == ['{"x":5.0}']


async def test_copies_are_in_no_other_count(house: House) -> None:
    policy = ServingPolicy(cache=CachePolicy(ttl_s=60))
    for served in house.served.values():
        served.take_policy(policy, house.router.resolve)
    house.cast(ALL)
    await house.ask(5)
    await house.settle()

    found = house.counters[NEW]
    assert house.sums.answered == 1
    plain = VersionMetrics(NAME, NEW, shadows=found.shadows, changes=found.changes)
    assert found == plain
    assert house.served[NEW].pending == 0
    assert not house.traffic.count(NAME)
    assert (await house.ask(5, version=NEW)).answer.cache == "miss"


async def test_what_the_cache_answered_is_not_copied(house: House) -> None:
    policy = ServingPolicy(cache=CachePolicy(ttl_s=60))
    house.served[OLD].take_policy(policy, house.router.resolve)
    house.cast(ALL)
    for _ in range(3):
        await house.ask(5)
    await house.settle()
    assert house.sums.copied == 1


async def test_only_requests_that_name_no_version_are_copied(house: House) -> None:
    house.cast(ALL)
    await house.ask(1, version=OLD)
    await house.ask(1, version=NEW)
    await house.settle()
    assert not house.counters[NEW].shadows


async def test_a_version_is_not_compared_with_itself(house: House) -> None:
    house.cast(Shadow(OLD, 100))
    await house.ask(1)
    await house.settle()
    assert not house.counters[OLD].shadows


@pytest.mark.parametrize("by", ["request", "unit", "random"])
def test_a_share_of_the_requests_is_copied(by: Literal["request", "unit", "random"]) -> None:
    chosen = [_taken(Shadow(NEW, 20, by=by)) for _ in range(2)]
    assert abs(len(chosen[0]) - 400) < 100
    assert (chosen[0] == chosen[1]) == (by != "random")


def _taken(shadow: Shadow) -> list[int]:
    active = ActiveShadow(NAME, shadow)
    asked = [
        InferenceRequest(ModelRef(NAME), {}, 0.0, header={"x-request-id": f"id {n}"}.get)
        for n in range(2000)
    ]
    units = [f"user {n}" for n in range(2000)]
    return [n for n in range(2000) if active.takes(asked[n], units[n])]


async def test_a_slow_shadow_delays_nobody_and_gets_no_more_than_it_may() -> None:
    gate = threading.Event()

    def slow(x: Array) -> Array:
        gate.wait(WAIT_S)
        return x * 2

    house = House(double, slow)
    house.cast(Shadow(NEW, 100, most_in_flight=3))
    async with asyncio.timeout(WAIT_S / 2):
        answers = [await house.ask(number) for number in range(10)]
    assert [answer.answer.flat_list(0) for answer in answers] == [[2.0 * n] for n in range(10)]
    assert house.shadowing.held == 3
    assert house.sums.dropped == {"in_flight": 7}

    gate.set()
    await house.settle()
    assert (house.sums.answered, house.sums.agreeing) == (3, 3)


async def test_a_shadow_that_always_fails_is_left_alone() -> None:
    house = House(double, fails)
    house.cast(ALL)
    for number in range(30):
        assert (await house.ask(number)).answer.flat_list(0) == [2.0 * number]
        await house.settle()
    assert house.sums.failed == {"model_failed": 10}
    assert house.sums.dropped == {"failing": 20}


async def test_who_fails_is_told_apart() -> None:
    house = House(lambda x: fails(x) if x[0, 0] > 5 else double(x), double)
    house.cast(ALL)
    await house.ask(1)
    with pytest.raises(ModelFailed):
        await house.ask(9)
    await house.settle()
    assert (house.sums.answered, house.sums.rescued) == (1, {"model_failed": 1})


async def test_a_busy_engine_makes_no_copies(house: House) -> None:
    house.cast(ALL)
    await house.ask(1)
    await house.settle()
    house.clocks.now, house.clocks.cpu = 1.0, 0.9
    await house.ask(1)
    house.clocks.now, house.clocks.cpu = 2.0, 1.0
    await house.ask(1)
    await house.settle()
    assert (house.sums.answered, house.sums.dropped) == (2, {"engine_busy": 1})


async def test_with_many_requests_under_way_there_are_no_copies() -> None:
    gate = threading.Event()

    def waits(x: Array) -> Array:
        gate.wait(WAIT_S)
        return double(x)

    house = House(waits, double)
    house.cast(Shadow(NEW, 100, most_in_flight=1000))
    asked = [asyncio.create_task(house.ask(number)) for number in range(32)]
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*asked)
    await house.settle()
    assert house.sums.copied == 17
    assert house.sums.dropped == {"engine_busy": 15}


async def test_a_late_turn_drops_the_copy(house: House) -> None:
    house.cast(ALL)
    await house.ask(1)
    await house.settle()
    times = iter([0.0] * 3 + [1.0])
    late = SpareCapacity(64, lambda: next(times, 1.0), lambda: 0.0, math.inf)
    shadowing = Shadowing(
        house.router.resolve,
        lambda _, version: house.counters[version],
        asyncio.get_running_loop(),
        late,
    )
    shadowing.models = house.shadowing.models
    plane = DataPlane(house.router, 64, 30.0, shadowing=shadowing)
    row = {"x": np.ones((1, 1), np.float32)}
    await plane.infer(InferenceRequest(ModelRef(NAME), row, plane.deadline(5)))
    await asyncio.sleep(0)
    assert house.sums.dropped == {"engine_busy": 1}


async def test_large_requests_are_not_copied(house: House) -> None:
    house.cast(Shadow(NEW, 100, most_bytes=64))
    await house.ask(*range(9))
    await house.ask(*range(8))
    await house.settle()
    assert (house.sums.answered, house.sums.dropped) == (1, {"large": 1})


async def test_a_version_that_is_asleep_is_not_woken(house: House) -> None:
    def load() -> None:
        raise AssertionError("a copy woke the version")

    resident = Resident("price@2", 1, load, lambda: None)
    house.served[NEW].move_in(Residence(MemoryBudget(1000, ThreadPoolExecutor(1)), resident))
    house.cast(ALL)
    await house.ask(1)
    await house.settle()
    assert (house.sums.copied, house.sums.dropped) == (0, {"asleep": 1})


async def test_a_version_that_is_not_ready_gets_no_copies(house: House) -> None:
    only = {OLD: house.served[OLD]}
    house.router.replace({NAME: ModelRoutes(only, {NEW: "it is being loaded"}, OLD, {})})
    house.cast(ALL)
    await house.ask(1)
    await house.settle()
    assert (house.sums.copied, house.sums.dropped) == (0, {"not_ready": 1})


async def test_a_copy_that_takes_too_long_has_failed() -> None:
    gate = threading.Event()

    def slow(x: Array) -> Array:
        gate.wait(WAIT_S)
        return x * 2

    house = House(double, slow)
    house.cast(Shadow(NEW, 100, timeout_ms=20))
    await house.ask(1)
    await house.settle()
    gate.set()
    assert house.sums.failed == {"deadline_exceeded": 1}


async def test_a_drain_waits_for_copies_and_a_request_does_not_see_them(house: House) -> None:
    house.cast(ALL)
    await house.ask(1)
    async with asyncio.timeout(WAIT_S):
        await house.plane.drain()
        await house.served[NEW].drain()
    await house.settle()
    assert house.sums.answered == 1


async def test_another_default_version_is_another_pair(house: House) -> None:
    house.cast(Shadow(NEW, 100, baseline="default", compare=Comparison(absolute=20)))
    await house.ask(5)
    await house.settle()
    assert (house.sums.rows, house.sums.agreeing) == (1, 1)
    house.cast(Shadow(NEW, 100))
    await house.ask(5)
    await house.settle()
    agreeing = [sums.agreeing for sums in house.counters[NEW].shadows]
    assert agreeing == [1, 0]


async def test_engines_add_up(house: House) -> None:
    house.cast(ALL)
    await house.ask(1, 5)
    await house.settle()
    report = EngineMetrics([house.counters[NEW]])
    (total,) = merge([report, report]).versions
    assert (total.shadows[0].rows, total.shadows[0].agreeing) == (4, 2)


async def test_a_stopped_shadowing_copies_nothing(house: House) -> None:
    house.cast(ALL)
    house.shadowing.stop()
    await house.ask(1)
    house.shadowing.close()
    assert not house.counters[NEW].shadows


async def test_answers_that_cannot_be_compared_are_counted() -> None:
    house = House(double, lambda x: np.full_like(x, math.nan))
    house.cast(ALL)
    await house.ask(1)
    await house.settle()
    assert house.sums.outputs["y"].not_finite == 1
    assert house.sums.examples[0].shadow == '{"y":null}'
