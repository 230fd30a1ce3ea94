"""Many rows in one request: batches in order, a few at a time, all or nothing."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import AuguriumError, InvalidArgument, ModelFailed, Overloaded
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.tensors import Array
from augurium.serving.bulk import BATCHES_UNDER_WAY, answers
from augurium.serving.validation import Prepared


class Queue:
    """Takes batches; `settle` answers the oldest with its own rows."""

    def __init__(self, room: int = 1000) -> None:
        self.waiting: list[tuple[Array, asyncio.Future[Answer]]] = []
        self.most = 0
        self.taken = 0
        self._room = room

    def submit(self, inputs: Sequence[Array], _rows: int, _key: object) -> asyncio.Future[Answer]:
        if len(self.waiting) >= self._room:
            raise Overloaded("full")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((inputs[0], future))
        self.taken += 1
        self.most = max(self.most, len(self.waiting))
        return future

    def settle(self, cut: int = 0) -> None:
        values, future = self.waiting.pop(0)
        if not future.done():
            future.set_result(Answer(BatchOutputs([values[cut:]])))

    async def work(self) -> None:
        while True:
            await asyncio.sleep(0)
            if self.waiting:
                self.settle()


def blocks(*sizes: int) -> Iterator[dict[str, Array]]:
    start = 0
    for size in sizes:
        yield {"x": np.arange(start, start + size)}
        start += size


def prepare(block: Any) -> Prepared:
    return Prepared([block["x"]], len(block["x"]), None)


async def found(queue: Queue, rows: Iterator[Any], small: bool = True) -> list[Any]:
    working = asyncio.create_task(queue.work())
    try:
        async with aclosing(answers(rows, prepare, queue.submit, lambda: 4, small)) as all_answers:
            return [
                answer.array(0).tolist()
                async for answer in all_answers
                if isinstance(answer, Answer)
            ]
    finally:
        working.cancel()


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("sizes", [(1,), (4,), (9,), (3, 8, 1), (4,) * 20])
async def test_rows_are_answered_in_order_in_batches(sizes: tuple[int, ...], small: bool) -> None:
    queue = Queue()
    batches = await found(queue, blocks(*sizes), small)

    assert [row for batch in batches for row in batch] == list(range(sum(sizes)))
    assert max(map(len, batches)) <= 4
    assert queue.most <= BATCHES_UNDER_WAY


async def test_a_queue_with_little_room_is_waited_for_and_a_full_one_told() -> None:
    assert len(await found(Queue(room=1), blocks(40))) == 10
    with pytest.raises(Overloaded):
        await found(Queue(room=0), blocks(40))


async def test_the_first_error_ends_the_rest() -> None:
    queue = Queue()
    async with aclosing(
        answers(blocks(400), prepare, queue.submit, lambda: 4, True)
    ) as all_answers:
        first = asyncio.ensure_future(anext(all_answers))
        await asyncio.sleep(0)
        queue.waiting[0][1].set_exception(ModelFailed("broken"))
        with pytest.raises(ModelFailed, match="broken"):
            await first

    assert queue.taken == BATCHES_UNDER_WAY
    assert all(future.cancelled() for _, future in queue.waiting[1:])


async def test_a_caller_that_leaves_takes_its_batches_along() -> None:
    queue = Queue()
    all_answers = answers(blocks(400), prepare, queue.submit, lambda: 4, True)
    first = asyncio.ensure_future(anext(all_answers))
    await asyncio.sleep(0)
    queue.settle()
    await first
    await all_answers.aclose()

    assert queue.waiting
    assert all(future.cancelled() for _, future in queue.waiting)


async def test_a_model_that_answers_fewer_rows_fails() -> None:
    queue = Queue()
    async with aclosing(answers(blocks(4), prepare, queue.submit, lambda: 4, True)) as all_answers:
        first = asyncio.ensure_future(anext(all_answers))
        await asyncio.sleep(0)
        queue.settle(cut=1)
        with pytest.raises(ModelFailed, match="batch of 4 rows"):
            await first


async def test_an_error_in_a_later_block_says_after_how_many_rows() -> None:
    def refuse(block: Any) -> Prepared:
        if block["x"][0]:
            raise InvalidArgument("row 1 is bad")
        return prepare(block)

    async with aclosing(
        answers(blocks(8, 8), refuse, Queue().submit, lambda: 8, True)
    ) as all_answers:
        with pytest.raises(InvalidArgument, match="after the first 8: row 1 is bad"):
            await anext(all_answers)


def instead(values: Array) -> InferenceResponse:
    answer = Answer(BatchOutputs([-values]))
    return InferenceResponse("other", 1, "", (), (0,), answer, degraded="error")


async def rescued(queue: Queue, failing: int, sizes: tuple[int, ...] = (6, 10)) -> list[Any]:
    """The answers when a batch fails and others are answered for it, two rows at a time."""

    async def rescue(block: Any, error: AuguriumError) -> list[InferenceResponse]:
        assert str(error) in ("broken", "full")
        values = block["x"]
        return [instead(values[start : start + 2]) for start in range(0, len(values), 2)]

    async def work() -> None:
        while True:
            await asyncio.sleep(0)
            if queue.waiting and queue.waiting[0][0][0] <= failing <= queue.waiting[0][0][-1]:
                queue.waiting.pop(0)[1].set_exception(ModelFailed("broken"))
            elif queue.waiting:
                queue.settle()

    working = asyncio.create_task(work())
    try:
        found = answers(blocks(*sizes), prepare, queue.submit, lambda: 4, True, rescue)
        async with aclosing(found) as all_answers:
            return [
                (one.array(0) if isinstance(one, Answer) else one.answer.array(0)).tolist()
                async for one in all_answers
            ]
    finally:
        working.cancel()


@pytest.mark.parametrize("failing", range(16))
async def test_the_rows_of_a_batch_that_fails_are_answered_by_others_in_their_place(
    failing: int,
) -> None:
    batches = await rescued(Queue(), failing)
    rows = [row for batch in batches for row in batch]
    assert list(map(abs, rows)) == list(range(16))
    # blocks of 6 and 10 rows in batches of 4
    (ours,) = [
        batch for batch in ((0, 4), (4, 6), (6, 10), (10, 14), (14, 16)) if failing in range(*batch)
    ]
    assert [row for row in range(1, 16) if rows[row] < 0] == list(range(max(1, ours[0]), ours[1]))


async def test_batches_that_the_queue_refuses_are_answered_by_others_too() -> None:
    batches = await rescued(Queue(room=0), -1, (4, 1))
    assert batches == [[0, -1], [-2, -3], [-4]]


async def test_what_nobody_answers_for_is_told() -> None:
    queue = Queue()

    async def rescue(_block: Any, error: AuguriumError) -> list[InferenceResponse]:
        raise error

    found = answers(blocks(8), prepare, queue.submit, lambda: 4, True, rescue)
    async with aclosing(found) as all_answers:
        first = asyncio.ensure_future(anext(all_answers))
        await asyncio.sleep(0)
        queue.waiting[0][1].set_exception(ModelFailed("broken"))
        with pytest.raises(ModelFailed, match="broken"):
            await first
