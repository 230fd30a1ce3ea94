import asyncio
import time

from augurium.access.patience import Patience
from augurium.core.clock import ManualClock


def test_a_few_refusals_cost_nothing() -> None:
    patience = Patience(ManualClock().monotonic)

    assert [patience.refused() for _ in range(20)] == [0.0] * 20


def test_a_flood_is_answered_more_and_more_slowly_up_to_a_second() -> None:
    patience = Patience(ManualClock().monotonic)
    delays = [patience.refused() for _ in range(1000)]

    assert delays == sorted(delays)
    assert 0 < delays[21] < delays[40] < 1
    assert delays[-1] == 1


def test_a_flood_is_forgiven_in_time() -> None:
    clock = ManualClock()
    patience = Patience(clock.monotonic)
    for _ in range(40):
        patience.refused()
    clock.advance(10)

    assert patience.refused() == 0


async def test_many_may_wait_at_once_and_the_rest_are_answered() -> None:
    patience = Patience(ManualClock().monotonic)
    started = time.monotonic()

    async with asyncio.timeout(20):
        await asyncio.gather(*(patience.wait() for _ in range(1500)))

    assert time.monotonic() - started >= 0.9
