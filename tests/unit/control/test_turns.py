import asyncio

import pytest

from augurium.control.turns import MAX_WAITING, Turns
from augurium.core.errors import Overloaded


async def test_changes_of_one_model_happen_one_at_a_time_in_the_order_they_came() -> None:
    turns, log = Turns(), list[str]()

    async def change(name: str) -> None:
        async with turns.of("iris"):
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")

    await asyncio.gather(change("first"), change("second"))

    assert log == ["first begins", "first ends", "second begins", "second ends"]


async def test_models_do_not_wait_for_each_other() -> None:
    turns = Turns()

    async with turns.of("iris"), asyncio.timeout(5), turns.of("rose"):
        pass


async def test_a_line_that_is_too_long_takes_nobody_else() -> None:
    turns = Turns()

    async def change() -> None:
        async with turns.of("iris"):
            await asyncio.sleep(0)

    outcomes = await asyncio.gather(
        *(change() for _ in range(MAX_WAITING + 2)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes if outcome] == [Overloaded]


async def test_a_turn_ends_when_its_change_fails() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="broken"):
        async with turns.of("iris"):
            raise ValueError("broken")

    async with asyncio.timeout(5), turns.of("iris"):
        pass
