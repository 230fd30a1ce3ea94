"""Readings of a canary's quality: beside ticks, no more often than needed, never in their way."""

import asyncio

import pytest

from augurium.control.canary_quality import QualityQuestion
from augurium.control.quality_watch import EVERY_S, UNTOLD_EVERY_S, QualityWatch
from augurium.core.clock import ManualClock
from augurium.core.errors import NotReady
from augurium.statistics.moments import Moments
from augurium.traffic.canary_evidence import Quality

QUESTION = QualityQuestion("fraud", "bought", "v1", "v2", 0.0)


class Records:
    """Readings that take as long as one wants, of which the number is what they find."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.received = 1
        self.asked: list[QualityQuestion] = []
        self.broken: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.watch = QualityWatch(self._quality, lambda _: self.received, self.clock)

    async def _quality(self, question: QualityQuestion) -> Quality:
        self.asked.append(question)
        number = len(self.asked)
        await self.free.wait()
        if self.broken is not None:
            raise self.broken
        return Quality(Moments(number), Moments(number))

    async def newest(self, question: QualityQuestion = QUESTION) -> int | None:
        """What is known once a reading that this began has ended; None before any has."""
        self.watch.newest(question)
        for _ in range(5):
            await asyncio.sleep(0)
        found = self.watch.newest(question)
        return None if found is None else found.baseline.n


@pytest.fixture
async def records() -> Records:
    return Records()


async def test_nothing_is_known_before_the_first_reading_and_nobody_waits(
    records: Records,
) -> None:
    records.free.clear()

    assert records.watch.newest(QUESTION) is None
    assert await records.newest() is None
    records.free.set()
    assert await records.newest() == 1


async def test_it_is_read_again_when_more_was_told_but_not_at_once(records: Records) -> None:
    await records.newest()
    records.received += 1
    records.clock.advance(EVERY_S - 1)
    assert await records.newest() == 1
    records.clock.advance(1)
    assert await records.newest() == 2


async def test_where_nothing_was_told_it_is_read_seldom(records: Records) -> None:
    await records.newest()
    records.clock.advance(UNTOLD_EVERY_S - 1)
    assert await records.newest() == 1
    records.clock.advance(1)
    assert await records.newest() == 2


async def test_slow_readings_overlap_not_and_take_a_tenth_of_the_time(records: Records) -> None:
    records.free.clear()
    await records.newest()
    records.clock.advance(20)
    records.received += 1
    assert await records.newest() is None
    assert len(records.asked) == 1
    records.free.set()
    assert await records.newest() == 1
    # it took 20 s, so the next begins 200 s after it began
    records.clock.advance(179)
    assert await records.newest() == 1
    records.clock.advance(1)
    assert await records.newest() == 2


@pytest.mark.parametrize("error", [NotReady("the store is away"), RuntimeError("a bug")])
async def test_a_reading_that_fails_leaves_what_is_known_and_is_tried_again(
    records: Records, error: Exception
) -> None:
    await records.newest()
    records.broken, records.received = error, 2
    records.clock.advance(EVERY_S)
    assert await records.newest() == 1
    records.broken = None
    records.clock.advance(EVERY_S)
    assert await records.newest() == 3


async def test_another_rollout_begins_with_nothing_known(records: Records) -> None:
    await records.newest()
    records.free.clear()

    assert await records.newest(QUESTION._replace(since=9.0)) is None
