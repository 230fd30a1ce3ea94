"""Engines that answer for each other, over real sockets: who is asked, what comes back, and what
happens when one is gone.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from augurium.core.errors import AuguriumError, ModelFailed, NotReady, Overloaded
from augurium.core.inference import Answer, BatchOutputs
from augurium.core.priority import Priority
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.homes import home_of
from augurium.serving.neighbours import Neighbours
from augurium.serving.snapshot import DesiredVersion

SLOTS = ("engine-0", "engine-1")
FAR = float("inf")
NAMES = [f"model{number}" for number in range(12)]


def desired(model: str, digest: str = "digest") -> DesiredVersion:
    return DesiredVersion(model, 1, "onnx", "file", digest, Signature((), ()))


class Held:
    """A version of one engine that answers with what it was asked, when it is told to."""

    def __init__(self, model: str) -> None:
        self.desired = desired(model)
        self.error: AuguriumError | None = None
        self.refuses: AuguriumError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[tuple[float, Priority]] = []

    def answer_here(
        self, inputs: Sequence[Array], deadline: float, priority: Priority
    ) -> "asyncio.Future[Answer]":
        if self.refuses is not None:
            raise self.refuses
        self.asked.append((deadline, priority))
        return asyncio.ensure_future(self._answer(inputs))

    async def _answer(self, inputs: Sequence[Array]) -> Answer:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Answer(BatchOutputs(list(inputs)))


class Engine:
    def __init__(self, slot: str, folder: Path, ended_loading: set[str]) -> None:
        self.held = {model: Held(model) for model in NAMES}
        self.neighbours = Neighbours(
            asyncio.get_running_loop(),
            slot,
            SLOTS,
            lambda name: folder / f"{name}.sock",
            lambda model, version: self.held.get(model) if version == 1 else None,
            lambda _, version: version.model in ended_loading,
        )


@pytest.fixture
def ended_loading() -> set[str]:
    return set()


@pytest.fixture
async def pair(tmp_path: Path, ended_loading: set[str]) -> AsyncIterator[tuple[Engine, Engine]]:
    """Two engines that know each other."""
    engines = [Engine(slot, tmp_path, ended_loading) for slot in SLOTS]
    for engine in engines:
        engine.neighbours.start()
    first, second = engines
    await until(lambda: all(knows_both(engine) for engine in engines))
    yield first, second
    for engine in engines:
        await engine.neighbours.stop()


def knows_both(engine: Engine) -> bool:
    homes = {engine.neighbours.is_home(desired(model)) for model in NAMES}
    return homes == {True, False}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def of_second() -> str:
    """A model whose home is the second engine."""
    return next(model for model in NAMES if home_of(f"{model}@1", SLOTS) == SLOTS[1])


async def ask(
    engine: Engine,
    model: str,
    *inputs: Array,
    digest: str = "digest",
    priority: Priority = Priority.NORMAL,
) -> list[Array] | None:
    answer = await engine.neighbours.answer(
        desired(model, digest), inputs or [np.ones(1)], FAR, priority
    )
    return None if answer is None else [answer.array(index) for index in range(answer.size)]


async def test_both_engines_take_the_same_one_for_the_home(pair: tuple[Engine, Engine]) -> None:
    first, second = pair
    for model in NAMES:
        is_firsts = first.neighbours.is_home(desired(model))
        assert second.neighbours.is_home(desired(model)) is not is_firsts


async def test_every_kind_of_tensor_comes_back_unchanged(pair: tuple[Engine, Engine]) -> None:
    inputs = [
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.array([["à", None], ["", "b"]], np.object_),
        np.array([True, False]),
        np.zeros((0, 4), np.int8),
        np.full((2, 3_000_000), 7, np.float32),
    ]
    found = await ask(pair[0], of_second(), *inputs)
    assert found is not None
    for sent, got in zip(inputs, found, strict=True):
        assert sent.dtype == got.dtype
        assert np.array_equal(sent, got)


async def test_many_requests_are_under_way_at_once(pair: tuple[Engine, Engine]) -> None:
    held = pair[1].held[of_second()]
    held.gate.clear()
    asked = [
        asyncio.ensure_future(ask(pair[0], of_second(), np.array([number])))
        for number in range(500)
    ]
    await until(lambda: len(held.asked) == 500)
    held.gate.set()
    answers = await asyncio.gather(*asked)
    assert [answer[0].tolist() for answer in answers if answer] == [[n] for n in range(500)]


async def test_deadline_and_priority_go_along(pair: tuple[Engine, Engine]) -> None:
    await ask(pair[0], of_second(), priority=Priority.BATCH)
    assert pair[1].held[of_second()].asked == [(FAR, Priority.BATCH)]


async def test_an_error_is_the_same_error_here(pair: tuple[Engine, Engine]) -> None:
    held = pair[1].held[of_second()]
    held.error = ModelFailed("as told")
    with pytest.raises(ModelFailed, match="as told"):
        await ask(pair[0], of_second())
    held.refuses = Overloaded("enough", 2.5)
    with pytest.raises(Overloaded, match="enough") as refused:
        await ask(pair[0], of_second())
    assert refused.value.retry_after_s == 2.5
    held.refuses = held.error = None
    assert await ask(pair[0], of_second()) is not None


async def test_nobody_answers_for_a_version_that_is_not_held_there(
    pair: tuple[Engine, Engine],
) -> None:
    assert await ask(pair[0], of_second(), digest="another file") is None
    del pair[1].held[of_second()]
    assert await ask(pair[0], of_second()) is None


async def test_the_home_itself_asks_nobody(pair: tuple[Engine, Engine]) -> None:
    assert await ask(pair[1], of_second()) is None
    assert not pair[0].held[of_second()].asked


async def test_who_leaves_answers_what_it_accepted_and_is_asked_no_more(
    pair: tuple[Engine, Engine],
) -> None:
    first, second = pair
    held = second.held[of_second()]
    held.gate.clear()
    asked = asyncio.ensure_future(ask(first, of_second()))
    await until(lambda: bool(held.asked))
    leaving = asyncio.ensure_future(second.neighbours.leave())
    await until(lambda: first.neighbours.is_home(desired(of_second())))
    assert not leaving.done()
    held.gate.set()
    assert await asked is not None
    await leaving
    assert await ask(first, of_second()) is None


async def test_what_was_asked_of_who_is_gone_is_not_answered(
    pair: tuple[Engine, Engine], ended_loading: set[str]
) -> None:
    first, second = pair
    model, other = [m for m in NAMES if home_of(f"{m}@1", SLOTS) == SLOTS[1]][:2]
    ended_loading.add(other)
    for name in (model, other):
        second.held[name].gate.clear()
    asked = asyncio.ensure_future(ask(first, model))
    dangerous = asyncio.ensure_future(ask(first, other))
    await until(lambda: bool(second.held[other].asked))
    await second.neighbours.stop()
    assert await asked is None
    with pytest.raises(NotReady, match="ended the engine"):
        await dangerous
    assert first.neighbours.is_home(desired(model))


async def test_who_comes_back_is_found_again(
    pair: tuple[Engine, Engine], tmp_path: Path, ended_loading: set[str]
) -> None:
    first, second = pair
    await second.neighbours.stop()
    await until(lambda: first.neighbours.is_home(desired(of_second())))
    again = Engine(SLOTS[1], tmp_path, ended_loading)
    again.neighbours.start()
    await until(lambda: not first.neighbours.is_home(desired(of_second())))
    assert await ask(first, of_second()) is not None
    await again.neighbours.stop()


async def test_who_writes_junk_loses_its_connection_and_nobody_elses(
    pair: tuple[Engine, Engine], tmp_path: Path
) -> None:
    for junk in (b"\xff" * 64, b"\x01\x00\x00\x00" + bytes(8) + b"\xc1"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(tmp_path / "engine-1.sock"))
            stranger.sendall(junk)
            stranger.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                assert await loop.sock_recv(stranger, 10) == b""
    assert await ask(pair[0], of_second()) is not None


async def test_a_caller_that_leaves_costs_nothing(pair: tuple[Engine, Engine]) -> None:
    held = pair[1].held[of_second()]
    held.gate.clear()
    asked = asyncio.ensure_future(ask(pair[0], of_second()))
    await until(lambda: bool(held.asked))
    asked.cancel()
    held.gate.set()
    assert await ask(pair[0], of_second()) is not None
