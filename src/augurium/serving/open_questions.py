"""The questions an engine has asked and that are not answered yet."""

import asyncio
import itertools
from collections.abc import Callable

from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    Internal,
    NotReady,
    Overloaded,
    error_of,
)
from augurium.serving.link import Ask, Told
from augurium.serving.questions import Answer, Question

MOST_OPEN = 64
AWAY = (
    "the node's control process cannot be asked right now; predictions go on, try this again in a"
    " moment"
)


class OpenQuestions:
    """A bounded table of futures by request number. Lives on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count(1)

    async def ask(
        self, question: Question, send: Callable[[Ask], None], timeout_s: float
    ) -> Answer:
        """Sends a question and waits for its answer.

        Raises Overloaded with `MOST_OPEN` of them open, DeadlineExceeded, NotReady when the link
        breaks, and what control says.
        """
        if len(self._waiting) >= MOST_OPEN:
            raise Overloaded(
                f"{MOST_OPEN} questions wait for the node's control process already; try again"
                " later"
            )
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            send(Ask(number, question))
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(
                f"the node's control process did not answer within {timeout_s:g} s"
            ) from None
        finally:
            del self._waiting[number]

    def settle(self, told: Told) -> None:
        """Gives an answer to whoever waits for it, if they still do."""
        waiting = self._waiting.get(told.request)
        if waiting is None or waiting.done():
            return
        if told.answer is not None:
            waiting.set_result(told.answer)
        else:
            waiting.set_exception(_error(told))

    def break_off(self) -> None:
        """The link is gone: nobody will answer what is open."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NotReady(AWAY))


def _error(told: Told) -> AuguriumError:
    if told.fault is None:
        return Internal("the node's control process gave an empty answer; its log may say why")
    return error_of(told.fault.kind, told.fault.text)
