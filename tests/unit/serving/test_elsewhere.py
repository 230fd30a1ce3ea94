"""A version that is asleep here: asked of its home, and had here as well when that pays."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.inference import Answer, BatchOutputs
from augurium.core.priority import Priority
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.elsewhere import LOAD_S, MEMORY_S, REST_S, Elsewhere
from augurium.serving.memory_budget import HOP_S, MemoryBudget, Residence, Resident
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import DesiredVersion

ROWS = [np.ones((1, 2), np.float32)]
LIMIT = 1000
# requests at once for which a load pays
PAYS = round(LOAD_S / HOP_S)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Home:
    """Another engine, which answers, or does not."""

    def __init__(self) -> None:
        self.here = False
        self.there = True

    def is_home(self, desired: DesiredVersion) -> bool:
        return self.here

    async def answer(
        self,
        desired: DesiredVersion,
        inputs: Sequence[Array],
        deadline: float,
        priority: Priority,
    ) -> Answer | None:
        return Answer(BatchOutputs(list(inputs))) if self.there else None


class Version:
    """One that may be here."""

    def __init__(self, budget: MemoryBudget, size_bytes: int) -> None:
        self.fails = False
        self.loads = 0
        self.residence = Residence(budget, Resident("some@1", size_bytes, self._load, lambda: None))

    def _load(self) -> None:
        self.loads += 1
        if self.fails:
            raise ModelFailed("as told")

    @property
    def awake(self) -> bool:
        return self.residence.resident.awake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
async def budget(clock: Clock) -> AsyncIterator[MemoryBudget]:
    loads = ThreadPoolExecutor(1)
    yield MemoryBudget(LIMIT, loads, clock, lambda: 0)
    loads.shutdown()


def elsewhere(version: Version, home: Home, clock: Clock) -> Elsewhere:
    desired = DesiredVersion("some", 1, "onnx", "file", "digest", Signature((), ()))
    return Elsewhere(desired, version.residence, home, VersionMetrics("some", 1), clock)


async def ask(asked: Elsewhere, times: int = 1) -> None:
    for _ in range(times):
        await asked.answer(ROWS, 1.0, Priority.NORMAL)


async def settled(version: Version) -> None:
    for _ in range(200):
        await asyncio.sleep(0.001)
        if version.residence.resident.loading is None:
            return


async def test_the_home_answers(budget: MemoryBudget, home: Home, clock: Clock) -> None:
    found = elsewhere(Version(budget, 10), home, clock)
    answer = await found.answer(ROWS, 1.0, Priority.NORMAL)
    assert answer is not None
    assert answer.array(0) is ROWS[0]


async def test_a_home_asks_nobody(budget: MemoryBudget, home: Home, clock: Clock) -> None:
    home.here = True
    assert await elsewhere(Version(budget, 10), home, clock).answer(ROWS, 1, Priority(1)) is None


async def test_without_an_answer_this_engine_has_to(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    home.there = False
    assert await elsewhere(Version(budget, 10), home, clock).answer(ROWS, 1, Priority(1)) is None


async def test_what_is_asked_often_is_loaded_here(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    version = Version(budget, 10)
    asked = elsewhere(version, home, clock)
    await ask(asked, PAYS - 1)
    await settled(version)
    assert not version.awake
    await ask(asked)
    await settled(version)
    assert version.awake
    assert version.loads == 1


async def test_what_is_asked_seldom_is_not(budget: MemoryBudget, home: Home, clock: Clock) -> None:
    version = Version(budget, 10)
    asked = elsewhere(version, home, clock)
    for _ in range(5 * PAYS):
        await ask(asked)
        clock.now += 2 * MEMORY_S * HOP_S / LOAD_S
    await settled(version)
    assert not version.awake


async def test_what_takes_long_to_load_must_be_asked_more_often(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    version = Version(budget, 10)
    version.residence.resident.load_s = 3 * LOAD_S
    asked = elsewhere(version, home, clock)
    await ask(asked, 2 * PAYS)
    await settled(version)
    assert not version.awake
    await ask(asked, PAYS)
    await settled(version)
    assert version.awake


async def test_what_is_large_stays_with_its_home(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    version = Version(budget, LIMIT // 3)
    await ask(elsewhere(version, home, clock), 3 * PAYS)
    await settled(version)
    assert not version.awake


async def test_copies_leave_half_of_the_memory_to_what_only_this_engine_holds(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    versions = [Version(budget, LIMIT // 10) for _ in range(8)]
    for version in versions:
        version.residence.resident.copy = lambda: True
        await ask(elsewhere(version, home, clock), PAYS)
        await settled(version)
    assert sum(version.awake for version in versions) == 5


async def test_a_copy_that_cannot_be_had_is_not_tried_all_the_time(
    budget: MemoryBudget, home: Home, clock: Clock
) -> None:
    version = Version(budget, 10)
    version.fails = True
    asked = elsewhere(version, home, clock)
    await ask(asked, PAYS)
    await settled(version)
    await ask(asked, PAYS)
    await settled(version)
    assert version.loads == 1
    clock.now += REST_S
    await ask(asked, PAYS)
    await settled(version)
    assert version.loads == 2
