"""Which versions are in memory: loads on demand, shared, and what goes for what."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from augurium.core.errors import ModelFailed, NotReady, Overloaded
from augurium.serving.memory_budget import Base, MemoryBudget, Residence, Resident

MIB = 1024 * 1024


class House:
    """Versions of some size under a budget of 10 MiB; memory is what the test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.load_s = 1.0
        self.memory = 0
        self.events: list[str] = []
        self.busy: set[str] = set()
        self.broken: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.threads = ThreadPoolExecutor(2)
        self.budget = MemoryBudget(
            10 * MIB, self.threads, lambda: self.now, lambda: self.memory, patience_s=0.2
        )

    def version(self, name: str, mib: float, grows_mib: float = 0) -> Resident:
        def load() -> None:
            self.gate.wait(10)
            if name in self.broken:
                raise ModelFailed("damaged")
            self.memory += round(grows_mib * MIB)
            self.now += self.load_s
            self.events.append(f"+{name}")

        return Resident(
            name, round(mib * MIB), load,
            lambda: self.events.append(f"-{name}"), lambda: name in self.busy,
        )  # fmt: skip

    async def ask(self, *residents: Resident) -> None:
        for resident in residents:
            self.now += 1
            await self.budget.wake(resident)
            self.budget.used(resident)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    house.gate.set()
    house.threads.shutdown()


async def test_what_was_not_asked_for_longest_goes(house: House) -> None:
    a, b, c = (house.version(name, 4) for name in "abc")
    await house.ask(a, b, a, c)
    assert house.events == ["+a", "+b", "-b", "+c"]
    assert (a.awake, b.awake, c.awake) == (True, False, True)
    assert house.budget.used_bytes == 8 * MIB
    assert (b.metrics.evictions, b.metrics.loads) == (1, 1)


async def test_what_takes_long_to_load_stays_longer(house: House) -> None:
    dear, cheap, new = (house.version(name, 4) for name in ("dear", "cheap", "new"))
    house.load_s = 30.0
    await house.ask(dear)
    house.load_s = 0.01
    await house.ask(cheap, new)
    assert house.events == ["+dear", "+cheap", "-cheap", "+new"]


async def test_a_copy_goes_before_what_only_this_engine_holds(house: House) -> None:
    only, copy, new = (house.version(name, 4) for name in ("only", "copy", "new"))
    copy.copy = lambda: True
    await house.ask(only, copy)
    house.now += 5
    house.budget.used(copy)
    house.now += 1
    await house.ask(new)
    assert house.events == ["+only", "+copy", "-copy", "+new"]


async def test_a_copy_that_is_asked_all_the_time_outlasts_what_nobody_asks_for(
    house: House,
) -> None:
    only, copy, new = (house.version(name, 4) for name in ("only", "copy", "new"))
    copy.copy = lambda: True
    house.load_s = 0.01
    await house.ask(only, copy)
    house.now += 1000
    house.budget.used(copy)
    await house.budget.wake(new)
    assert house.events == ["+only", "+copy", "-only", "+new"]


async def test_what_is_in_use_stays_and_who_finds_no_room_is_told(house: House) -> None:
    a, b, c = (house.version(name, 4) for name in "abc")
    await house.ask(a, b)
    house.busy = {"a", "b"}
    with pytest.raises(Overloaded, match="no memory for c"):
        await house.budget.wake(c)
    assert (a.awake, b.awake) == (True, True)
    house.busy = {"a"}
    await house.ask(c)
    assert house.events == ["+a", "+b", "-b", "+c"]


async def test_what_has_to_go_takes_nothing_more_and_goes_when_it_is_idle(house: House) -> None:
    a, b, c = (house.version(name, 4) for name in "abc")
    await house.ask(a, b)
    a.load_s = b.load_s = 1.0
    house.busy = {"a", "b"}
    waking = asyncio.ensure_future(house.budget.wake(c))
    await asyncio.sleep(0.005)
    assert (a.awake, b.awake, c.awake) == (False, True, False)
    house.busy = {"b"}
    again = asyncio.ensure_future(house.budget.wake(a))
    await waking
    assert house.events[:4] == ["+a", "+b", "-a", "+c"]
    # who asks for it meanwhile waits until it is loaded again
    house.busy = set()
    await again
    assert a.awake


async def test_what_stays_after_all_is_not_loaded_twice(house: House) -> None:
    a, b = house.version("a", 6), house.version("b", 6)
    await house.ask(a)
    house.busy.add("a")
    pushing = asyncio.ensure_future(house.budget.wake(b))
    await asyncio.sleep(0.01)
    # it was about to go when it was asked for
    waiting = asyncio.ensure_future(house.budget.wake(a))
    with pytest.raises(Overloaded):
        await pushing
    await waiting
    assert house.events == ["+a"]
    assert a.awake


async def test_nothing_goes_in_vain(house: House) -> None:
    small, large, larger = (
        house.version(name, mib) for name, mib in (("small", 1), ("large", 8), ("larger", 9.5))
    )
    await house.ask(small, large)
    house.busy = {"large"}
    with pytest.raises(Overloaded):
        await house.budget.wake(larger)
    assert small.awake


async def test_a_version_larger_than_the_budget_is_refused_with_what_to_do(house: House) -> None:
    with pytest.raises(NotReady, match=r"needs 11534336 bytes .* raise residency\.memory_bytes"):
        await house.budget.wake(house.version("huge", 11))
    assert house.events == []


async def test_what_it_really_took_counts_from_then_on(house: House) -> None:
    first = house.version("first", 1, grows_mib=6)
    grown = house.version("grown", 1, grows_mib=6)
    await house.ask(first, grown, house.version("b", 5))
    # what comes with the first load stays, whatever goes
    assert (first.size_bytes, grown.size_bytes) == (1 * MIB, 6 * MIB)
    assert house.events == ["+first", "+grown", "-grown", "+b"]


async def test_what_takes_more_than_was_thought_makes_others_go(house: House) -> None:
    first, second = house.version("first", 4), house.version("second", 4)
    grown = house.version("grown", 1, grows_mib=5)
    await house.ask(first, second, grown)
    assert house.budget.used_bytes == 9 * MIB
    assert house.events == ["+first", "+second", "+grown", "-first"]
    assert (first.awake, second.awake, grown.awake) == (False, True, True)


async def test_what_is_pinned_never_goes(house: House) -> None:
    pinned, a, b = house.version("pinned", 4), house.version("a", 4), house.version("b", 4)
    pinned.pinned = True
    await house.ask(pinned, a)
    house.now += 1000
    await house.ask(a, b)
    assert house.events == ["+pinned", "+a", "-a", "+b"]
    # nor for one that turns out to be larger than its files
    await house.ask(house.version("grown", 1, grows_mib=6))
    assert pinned.awake


async def test_who_does_not_fit_beside_what_is_pinned_is_told_so(house: House) -> None:
    pinned = house.version("pinned", 6)
    pinned.pinned = True
    await house.ask(pinned)
    with pytest.raises(NotReady, match=r"pinned versions take 6291456 .* or pin less"):
        await house.ask(house.version("large", 5))
    await house.ask(house.version("small", 4))
    assert house.events == ["+pinned", "+small"]


async def test_only_what_is_asleep_and_has_room_fits(house: House) -> None:
    a, b, c = house.version("a", 6), house.version("b", 4), house.version("c", 5)
    fits = [Residence(house.budget, one) for one in (a, b, c)]
    await house.ask(a)
    assert [one.fits for one in fits] == [False, True, False]


async def test_what_loads_in_another_process_holds_up_nobody_and_keeps_its_room(
    house: House,
) -> None:
    gate, others = threading.Event(), ThreadPoolExecutor(2)

    def load() -> None:
        gate.wait(10)

    slow = Resident(
        "slow", 5 * MIB, load, lambda: house.events.append("-slow"),
        takes=lambda: 6 * MIB, threads=others,
    )  # fmt: skip
    waking = asyncio.ensure_future(house.budget.wake(slow))
    a, b = house.version("a", 3), house.version("b", 3)
    await house.ask(a)
    assert not waking.done()
    # beside the room that is kept there is none for both
    await house.ask(b)
    assert house.events == ["+a", "-a", "+b"]
    with pytest.raises(Overloaded, match="while others are loading"):
        await house.ask(house.version("large", 6))
    gate.set()
    await waking
    # it says itself what it takes, and that counts
    assert (slow.awake, slow.size_bytes) == (True, 6 * MIB)
    await house.ask(a)
    assert house.budget.used_bytes <= 10 * MIB
    others.shutdown()


async def test_all_who_wait_share_one_load_whoever_leaves(house: House) -> None:
    house.gate.clear()
    a = house.version("a", 1)
    waiting = [asyncio.ensure_future(house.budget.wake(a)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    house.gate.set()
    await asyncio.gather(*waiting[1:])
    assert house.events == ["+a"]
    assert a.awake


async def test_a_load_that_failed_is_not_tried_again_at_once(house: House) -> None:
    house.broken = {"a"}
    a = house.version("a", 1)
    for _ in range(3):
        with pytest.raises(NotReady, match="a cannot be loaded: damaged"):
            await house.budget.wake(a)
    assert a.rest_s == 2.0
    house.now += 1.5
    with pytest.raises(NotReady):
        await house.budget.wake(a)
    assert a.rest_s == 4.0
    house.broken.clear()
    house.now += 2.5
    await house.budget.wake(a)
    assert house.events == ["+a"]
    assert a.failure is None


async def test_what_is_forgotten_while_it_loads_is_let_go(house: House) -> None:
    house.gate.clear()
    a = house.version("a", 6)
    waiting = asyncio.ensure_future(house.budget.wake(a))
    await asyncio.sleep(0.01)
    house.budget.forget(a)
    house.gate.set()
    with pytest.raises(NotReady, match="not served any more"):
        await waiting
    assert house.events == ["+a", "-a"]
    assert house.budget.used_bytes == 0


async def test_what_is_forgotten_takes_no_room(house: House) -> None:
    a, b = house.version("a", 6), house.version("b", 6)
    await house.ask(a)
    house.budget.forget(a)
    await house.ask(b)
    assert house.events == ["+a", "+b"]
    assert house.budget.used_bytes == 6 * MIB


def in_process(house: House, name: str, mib: float, process: str, base_mib: float) -> Resident:
    """A version in a process that others share."""
    return Resident(
        name,
        1,
        lambda: house.events.append(f"+{name}"),
        lambda: house.events.append(f"-{name}"),
        takes=lambda: round(mib * MIB),
        shares=lambda: Base(process, round(base_mib * MIB)),
    )


async def test_what_versions_share_counts_once(house: House) -> None:
    a, b = (in_process(house, name, 1, "xgboost", 3) for name in "ab")
    await house.ask(a)
    assert house.budget.used_bytes == 4 * MIB
    await house.ask(b)
    assert house.budget.used_bytes == 5 * MIB
    other = in_process(house, "c", 1, "torch", 2)
    await house.ask(other)
    assert house.budget.used_bytes == 8 * MIB


async def test_with_the_last_of_its_versions_a_process_makes_room(house: House) -> None:
    a, b = (in_process(house, name, 1, "xgboost", 5) for name in "ab")
    await house.ask(a, b)
    assert house.budget.used_bytes == 7 * MIB
    # 1 MiB would be there at once, 2 after one of them, and 8 when the process has gone
    large = house.version("large", 8)
    await house.ask(large)
    assert sorted(house.events[2:4]) == ["-a", "-b"]
    assert house.events[4:] == ["+large"]
    assert house.budget.used_bytes == 8 * MIB


async def test_a_version_that_comes_back_needs_its_process_too(house: House) -> None:
    a = in_process(house, "a", 1, "xgboost", 5)
    await house.ask(a)
    large, small = house.version("large", 8), house.version("small", 2)
    await house.ask(large, small)
    assert not a.awake
    await house.ask(a)
    assert house.events[-2:] == ["-large", "+a"]
    assert house.budget.used_bytes == 8 * MIB
