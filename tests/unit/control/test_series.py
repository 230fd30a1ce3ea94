"""What variants did over time: sums that nothing counts twice or loses."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.control.series import MOST_ROWS, Point, Series
from augurium.control.variant_ticks import Arm, Tick
from augurium.core.clock import ManualClock
from augurium.core.errors import NotReady
from augurium.core.rollout_settings import SeriesSettings
from augurium.registry.memory_variant_series import MemoryVariantSeries
from augurium.registry.variant_series import DAY_S, HOUR_S, MINUTE_S, STEPS_S, SeriesRow
from augurium.serving.metrics import VersionMetrics
from augurium.serving.variant_metrics import VariantMetrics

EVER = (0, 2**40)


class Unsteady(MemoryVariantSeries):
    """A store that can be away; it may have written something before it said so."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.writes = 0

    def write(self, rows: Sequence[SeriesRow]) -> None:
        self.writes += 1
        if self.away:
            super().write(rows[: len(rows) // 2])
            raise NotReady("the registry database does not answer")
        super().write(rows)


class Node:
    """A control with its clock; what it counts is noted."""

    def __init__(self, **settings: float) -> None:
        self.clock = ManualClock()
        self.store = Unsteady()
        self.settings = SeriesSettings(**settings)
        self.whole = VariantMetrics()
        self.restart()

    def restart(self) -> None:
        self.series = Series(self.store, self.clock, self.settings)

    def tick(self, seconds: float = 10.0, requests: int = 1, kind: str = "ok") -> None:
        self.clock.advance(seconds)
        metrics = counted(requests, kind)
        self.whole.add(metrics)
        self.series.take(self.ticks(seconds, {Arm(1, "v1"): metrics}))

    def ticks(self, seconds: float, arms: dict[Arm, VariantMetrics]) -> Mapping[str, Tick]:
        return {"m": Tick(0, self.clock.now().timestamp(), seconds, arms)}

    async def read(self, step_s: int) -> dict[Point, VariantMetrics]:
        return await self.series.read("m", step_s, *EVER)

    async def sum_of(self, step_s: int) -> VariantMetrics:
        found = VariantMetrics()
        for metrics in (await self.read(step_s)).values():
            found.add(metrics)
        return found


def counted(requests: int, kind: str = "ok") -> VariantMetrics:
    version = VersionMetrics("m", 1)
    for number in range(requests):
        # parts of a power of two add up exactly
        version.ended(kind, (number % 64) / 256, "v1").scored(number / 8)
    return version.variants["v1"]


async def test_minutes_hours_and_days_add_up_to_the_same() -> None:
    node = Node()
    for number in range(800):
        node.tick(requests=number % 3 + 1, kind="ok" if number % 5 else "model_failed")
        if number % 6 == 0:
            await node.series.flush()

    for step_s in STEPS_S:
        assert await node.sum_of(step_s) == node.whole
    assert len(await node.read(MINUTE_S)) == 134
    assert len(await node.read(HOUR_S)) == 3
    assert len(await node.read(DAY_S)) == 1
    assert all(point.at % MINUTE_S == 0 for point in await node.read(MINUTE_S))


async def test_a_tick_belongs_to_the_minute_of_its_middle() -> None:
    node = Node()
    start = int(node.clock.now().timestamp())
    node.clock.advance(57)
    node.tick(8)
    node.tick(8)

    found = await node.read(MINUTE_S)
    assert {point.at - start: one.requests for point, one in found.items()} == {60: 2}


async def test_quantiles_of_an_hour_are_those_of_all_its_requests() -> None:
    node = Node()
    for number in range(60):
        node.tick(60, requests=number + 1)
        await node.series.flush()

    (_, first), *_ = (await node.read(DAY_S)).items()
    for share in (0.5, 0.9, 0.99):
        assert first.latency.quantile(share) == node.whole.latency.quantile(share)


async def test_what_the_database_did_not_take_is_written_when_it_is_back() -> None:
    node = Node()
    node.tick()
    await node.series.flush()
    node.store.away = True
    for _ in range(30):
        node.tick()
        assert not await node.series.flush()
    node.store.away = False
    assert await node.series.flush()

    node.restart()
    for step_s in STEPS_S:
        assert await node.sum_of(step_s) == node.whole


async def test_what_is_known_is_shown_before_it_is_written() -> None:
    node = Node()
    node.tick()
    assert (await node.sum_of(MINUTE_S)) == node.whole
    await node.series.flush()
    node.tick(1)

    assert (await node.sum_of(MINUTE_S)) == node.whole
    assert not await node.series.read("other", MINUTE_S, *EVER)


async def test_another_life_of_control_adds_rows_of_its_own() -> None:
    node = Node()
    for _ in range(3):
        node.tick(2)
        await node.series.flush()
        node.restart()
        node.tick(2)
        await node.series.flush()

    assert len(await node.read(MINUTE_S)) == 1
    for step_s in STEPS_S:
        assert await node.sum_of(step_s) == node.whole


@pytest.mark.parametrize("seconds", [-86400.0, -3600.0, -61.0, -1.0, 86400.0])
async def test_a_clock_that_is_set_loses_nothing(seconds: float) -> None:
    node = Node()
    for _ in range(20):
        node.tick()
        await node.series.flush()
    node.clock.advance(seconds)
    for _ in range(20):
        node.tick()
        await node.series.flush()
    node.clock.advance(-seconds)
    for _ in range(20):
        node.tick()
        await node.series.flush()

    for step_s in STEPS_S:
        assert await node.sum_of(step_s) == node.whole


STEPS = st.one_of(
    st.tuples(st.just("tick"), st.floats(0.5, 4000.0)),
    st.tuples(st.sampled_from(["flush", "away", "back", "restart"]), st.just(0.0)),
    st.tuples(st.just("jump"), st.floats(-9000.0, 9000.0)),
)


@given(st.lists(STEPS, max_size=40))
async def test_nothing_is_lost_or_counted_twice_whatever_happens(steps: list[Any]) -> None:
    node = Node()
    for what, seconds in steps:
        if what == "tick":
            node.tick(seconds)
        elif what == "flush":
            await node.series.flush()
        elif what in ("away", "back"):
            node.store.away = what == "away"
        elif what == "jump":
            node.clock.advance(seconds)
        else:
            # it stops when the database is there, as a control does that is updated
            node.store.away = False
            await node.series.flush()
            node.restart()

    node.store.away = False
    await node.series.flush()
    node.restart()
    for step_s in STEPS_S:
        assert msgspec.to_builtins(await node.sum_of(step_s)) == msgspec.to_builtins(node.whole)


async def test_what_is_old_is_dropped() -> None:
    node = Node(keep_minutes_s=7200)
    for _ in range(4):
        node.tick(3600)
        await node.series.flush()

    assert len(await node.read(MINUTE_S)) == 2
    assert len(await node.read(HOUR_S)) == 4


async def test_a_database_that_is_away_for_long_costs_minutes_and_no_hours() -> None:
    node = Node()
    node.store.away = True
    arms = {Arm(1, f"variant-{number}"): counted(1) for number in range(1000)}
    for _ in range(60):
        node.clock.advance(60)
        node.series.take(node.ticks(60, arms))
    assert not await node.series.flush()
    node.store.away = False
    await node.series.flush()

    assert len(await node.read(MINUTE_S)) < MOST_ROWS
    assert (await node.sum_of(HOUR_S)).requests == 60_000
    assert (await node.sum_of(DAY_S)).requests == 60_000


async def test_a_stop_writes_what_there_is() -> None:
    node = Node()
    node.series.start()
    node.tick()
    await node.series.stop()

    node.restart()
    assert await node.sum_of(DAY_S) == node.whole
