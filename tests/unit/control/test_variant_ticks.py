"""What variants did lately, from counters of engines that come and go."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from augurium.control.engine_link import EngineLink
from augurium.control.engine_slots import EngineSlots
from augurium.control.variant_ticks import KEPT_S, MOST_KEPT, Arm, Tick, VariantTicks
from augurium.core.clock import ManualClock
from augurium.serving.link import Counters, Heard, Hello
from augurium.serving.metrics import EngineMetrics, VersionMetrics, variants_of

CHAMPION, CHALLENGER = Arm(1, "v1"), Arm(2, "challenger")


class Node:
    """Engines that count, a control that hears them, and a clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.engines: dict[tuple[str, int], dict[tuple[str, int], VersionMetrics]] = {}
        self.links: dict[tuple[str, int], EngineLink] = {}
        self.heard: dict[tuple[str, int], EngineMetrics] = {}
        self.restart()

    def restart(self) -> None:
        """Another control, which knows nothing."""
        for place in list(self.links):
            self.lose(*place)
        self.slots = EngineSlots()
        self.ticks = VariantTicks(self._collect, lambda: self.slots.inherited(), self.clock)

    def connect(self, slot: str, pid: int) -> None:
        nobody: Any = None
        self.engines.setdefault((slot, pid), {})
        heard = self.heard.get((slot, pid))
        link = self.links[slot, pid] = EngineLink(Hello(slot, pid, heard is not None), nobody)
        self.slots.connect(link)
        if heard is not None:
            link.take(Heard(heard))

    def lose(self, slot: str, pid: int) -> None:
        """The connection ends, right after a report."""
        self.report(slot, pid)
        self.slots.disconnect(self.links.pop((slot, pid)))
        metrics = EngineMetrics(list(self.engines[slot, pid].values()))
        self.heard[slot, pid] = variants_of(metrics)

    def count(
        self, slot: str, pid: int, arm: Arm, requests: int = 1, kind: str = "ok", model: str = "m"
    ) -> None:
        versions = self.engines[slot, pid]
        found = versions.setdefault((model, arm.version), VersionMetrics(model, arm.version))
        for _ in range(requests):
            sums = found.ended(kind, 0.25, arm.variant)
            if kind == "ok":
                sums.scored(0.5)

    def report(self, slot: str, pid: int) -> None:
        metrics = EngineMetrics(list(self.engines[slot, pid].values()))
        sent = msgspec.msgpack.encode(Counters(metrics))
        self.links[slot, pid].take(msgspec.msgpack.decode(sent, type=Counters))

    async def step(self, seconds: float = 10.0) -> None:
        self.clock.advance(seconds)
        await self.ticks.step()

    async def _collect(self) -> EngineMetrics:
        for place in self.links:
            self.report(*place)
        return self.slots.totals()


@pytest.fixture
async def node() -> Node:
    """With one engine, and a control that has looked once."""
    found = Node()
    found.connect("engine-0", 1)
    await found.ticks.step()
    return found


def requests(ticks: list[Tick]) -> list[dict[str, int]]:
    return [
        {arm.variant: counts.requests for arm, counts in sorted(tick.arms.items())}
        for tick in ticks
    ]


async def test_a_tick_is_what_was_counted_since_the_one_before(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 3)
    node.count("engine-0", 1, CHALLENGER, 2, "model_failed")
    await node.step()
    node.count("engine-0", 1, CHAMPION)
    node.count("engine-0", 1, CHALLENGER, 1, "invalid_argument")
    await node.step()
    await node.step()

    first, second = node.ticks.of("m")
    assert requests([first, second]) == [{"v1": 3, "challenger": 2}, {"v1": 1, "challenger": 0}]
    assert (first.seconds, second.seconds) == (10.0, 10.0)
    assert second.at - first.at == 10.0
    assert second.number > first.number
    failed, answered = first.arms[CHALLENGER], first.arms[CHAMPION]
    assert (failed.errors, failed.slo_breaches, failed.score_count) == (2, 0, 0)
    assert (answered.errors, answered.slo_breaches, answered.score_sum) == (0, 3, 1.5)
    assert sum(answered.latency.values()) == 3


async def test_what_was_taken_already_is_not_given_again(node: Node) -> None:
    for _ in range(3):
        node.count("engine-0", 1, CHAMPION)
        await node.step()
    await node.step()

    ticks = node.ticks.of("m")
    assert len(ticks) == 3
    assert node.ticks.of("m", after=ticks[1].number) == ticks[2:]


async def test_a_tick_that_goes_on_is_not_given_yet(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION)
    await node.step(4)
    assert node.ticks.of("m") == []
    node.count("engine-0", 1, CHAMPION)
    await node.step(6)

    assert requests(node.ticks.of("m")) == [{"v1": 2}]


async def test_an_engine_that_is_replaced_makes_no_tick_negative(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 5)
    await node.step()
    node.count("engine-0", 1, CHAMPION, 2)
    node.lose("engine-0", 1)
    node.connect("engine-0", 2)
    node.count("engine-0", 2, CHAMPION, 4)
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 5}, {"v1": 6}]


async def test_an_engine_that_comes_later_counts_from_its_start(node: Node) -> None:
    node.connect("engine-1", 7)
    node.count("engine-1", 7, CHAMPION, 4)
    node.count("engine-0", 1, CHAMPION, 1)
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 5}]


async def test_what_an_earlier_control_was_told_is_no_news(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 1000)
    node.connect("engine-1", 2)
    node.count("engine-1", 2, CHAMPION, 500)
    await node.step()

    node.restart()
    await node.ticks.step()
    # one after the other, behind the first look
    node.connect("engine-0", 1)
    await node.step()
    node.connect("engine-1", 2)
    await node.step()
    node.count("engine-0", 1, CHAMPION, 2)
    node.count("engine-1", 2, CHAMPION, 1)
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 3}]


async def test_what_was_counted_while_control_was_away_is_news(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 1000)
    await node.step()
    node.restart()
    node.count("engine-0", 1, CHAMPION, 7)
    node.connect("engine-0", 1)
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 7}]


async def test_what_was_inherited_from_an_engine_stays_so_when_it_goes(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 1000)
    node.restart()
    node.connect("engine-0", 1)
    await node.ticks.step()
    node.count("engine-0", 1, CHAMPION, 1)
    node.lose("engine-0", 1)
    await node.step()
    node.connect("engine-0", 2)
    node.count("engine-0", 2, CHAMPION, 1)
    await node.step()
    node.lose("engine-0", 2)
    node.slots.retire("engine-0")
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 1}, {"v1": 1}]


async def test_a_broken_link_is_no_new_engine(node: Node) -> None:
    node.count("engine-0", 1, CHAMPION, 3)
    await node.step()
    node.lose("engine-0", 1)
    node.count("engine-0", 1, CHAMPION, 2)
    node.connect("engine-0", 1)
    await node.step()
    await node.step()

    assert requests(node.ticks.of("m")) == [{"v1": 3}, {"v1": 2}]


async def test_short_ticks_are_put_together_to_longer_ones(node: Node) -> None:
    node.ticks.want("m", 2.0)
    assert node.ticks.tick_s == 2.0
    for _ in range(30):
        node.count("engine-0", 1, CHAMPION)
        await node.step(2.0)
    await node.step(2.0)

    short, long = node.ticks.of("m", 2.0), node.ticks.of("m")
    assert [tick.seconds for tick in short] == [2.0] * 30
    assert requests(long) == [{"v1": 5}] * 6
    assert [tick.seconds for tick in long] == [10.0] * 6
    assert long[0].at == short[4].at
    node.ticks.release("m")
    assert node.ticks.tick_s == 10.0


async def test_nobody_makes_ticks_shorter_than_a_second(node: Node) -> None:
    node.ticks.want("m", 0.01)

    assert node.ticks.tick_s == 1.0


async def test_models_without_a_policy_are_told_to_listeners_only(node: Node) -> None:
    told: list[Mapping[str, Tick]] = []
    node.ticks.listen(told.append)
    node.count("engine-0", 1, Arm(1, ""), 2, model="plain")
    await node.step()
    await node.step()

    assert requests([ticks["plain"] for ticks in told if ticks]) == [{"": 2}]
    assert node.ticks.of("plain") == []


async def test_ticks_of_more_than_an_hour_ago_are_forgotten(node: Node) -> None:
    for _ in range(3):
        node.count("engine-0", 1, CHAMPION)
        await node.step(KEPT_S / 2)
    await node.step(KEPT_S / 2)

    assert len(node.ticks.of("m")) == 1


async def test_there_is_a_bound_for_many_variants(node: Node) -> None:
    arms = [Arm(1, f"variant-{number}") for number in range(200)]
    for _ in range(MOST_KEPT // 200 + 50):
        for arm in arms:
            node.count("engine-0", 1, arm)
        await node.step()
    await node.step()

    assert len(node.ticks.of("m")) == MOST_KEPT // 200


async def test_the_tick_that_is_under_way_began_before_now(node: Node) -> None:
    await node.step()
    before = node.ticks.current()
    node.count("engine-0", 1, CHAMPION)
    await node.step()

    assert [tick.number for tick in node.ticks.of("m")] == [before]
    assert node.ticks.current() == before + 1
