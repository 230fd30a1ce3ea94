import asyncio

import pytest

from augurium.core.errors import (
    DeadlineExceeded,
    ErrorKind,
    Internal,
    InvalidArgument,
    NotReady,
    Overloaded,
)
from augurium.serving.link import Ask, Fault, Told
from augurium.serving.linked_control import LinkedControl
from augurium.serving.open_questions import MOST_OPEN, OpenQuestions
from augurium.serving.questions import Answer, Index, Indexed, LogLevel, Question

LONG_S = 60.0


class Wire:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[Ask] = []
        self.questions = OpenQuestions()
        self._change = asyncio.Event()

    async def ask(self, question: Question, timeout_s: float = LONG_S) -> Answer:
        return await self.questions.ask(question, self._send, timeout_s)

    async def until_sent(self, count: int) -> None:
        while len(self.sent) < count:
            self._change.clear()
            await self._change.wait()

    def _send(self, ask: Ask) -> None:
        self.sent.append(ask)
        self._change.set()


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_answers_find_their_question_in_any_order(wire: Wire) -> None:
    first, second = [asyncio.ensure_future(wire.ask(Index())) for _ in range(2)]
    await wire.until_sent(2)
    wire.questions.settle(Told(wire.sent[1].request, LogLevel("info")))
    wire.questions.settle(Told(wire.sent[0].request, Indexed(())))

    assert await first == Indexed(())
    assert await second == LogLevel("info")


async def test_a_fault_is_raised_as_the_error_it_was(wire: Wire) -> None:
    asked = asyncio.ensure_future(wire.ask(Index()))
    await wire.until_sent(1)
    wire.questions.settle(Told(1, fault=Fault(ErrorKind.INVALID_ARGUMENT, "no such thing")))

    with pytest.raises(InvalidArgument, match="no such thing"):
        await asked


async def test_an_answer_that_says_nothing_is_a_fault(wire: Wire) -> None:
    asked = asyncio.ensure_future(wire.ask(Index()))
    await wire.until_sent(1)
    wire.questions.settle(Told(1))

    with pytest.raises(Internal):
        await asked


async def test_a_question_without_an_answer_ends_in_time(wire: Wire) -> None:
    with pytest.raises(DeadlineExceeded, match="within 0 s"):
        await wire.ask(Index(), 0)


async def test_an_answer_that_comes_too_late_harms_nobody(wire: Wire) -> None:
    with pytest.raises(DeadlineExceeded):
        await wire.ask(Index(), 0)
    wire.questions.settle(Told(1, Indexed(())))
    asked = asyncio.ensure_future(wire.ask(Index()))
    await wire.until_sent(2)
    wire.questions.settle(Told(2, Indexed(())))
    wire.questions.settle(Told(2, Indexed(())))

    assert await asked == Indexed(())


async def test_a_broken_link_ends_what_is_open(wire: Wire) -> None:
    asked = asyncio.ensure_future(wire.ask(Index()))
    await wire.until_sent(1)
    wire.questions.break_off()

    with pytest.raises(NotReady, match="predictions go on"):
        await asked


async def test_the_number_of_open_questions_is_bounded(wire: Wire) -> None:
    asked = [asyncio.ensure_future(wire.ask(Index())) for _ in range(MOST_OPEN)]
    await wire.until_sent(MOST_OPEN)

    with pytest.raises(Overloaded):
        await wire.ask(Index())
    asked[0].cancel()
    await asyncio.wait([asked[0]])
    again = asyncio.ensure_future(wire.ask(Index()))
    await wire.until_sent(MOST_OPEN + 1)
    wire.questions.break_off()
    await asyncio.gather(again, *asked, return_exceptions=True)


async def test_an_answer_of_another_kind_is_a_fault() -> None:
    async def ask(_: Question, __: float) -> Answer:
        return LogLevel("info")

    with pytest.raises(Internal, match="LogLevel, not Indexed"):
        await LinkedControl(ask).index()


async def test_a_caller_with_less_time_waits_less() -> None:
    waited: list[float] = []

    async def ask(_: Question, timeout_s: float) -> Answer:
        waited.append(timeout_s)
        return LogLevel("info")

    control = LinkedControl(ask)
    await control.log_level(0.5)
    await control.log_level()

    assert waited[0] == 0.5 < waited[1]
