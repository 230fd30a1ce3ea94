"""The questions of one engine, each answered in a task of its own, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from augurium.control.engine_link import EngineLink
from augurium.core.errors import AuguriumError, ErrorKind, Overloaded
from augurium.serving.link import Ask, Fault, Told
from augurium.serving.open_questions import MOST_OPEN
from augurium.serving.questions import Answer, Question

Respond = Callable[[Question], Awaitable[Answer]]
log = structlog.get_logger()


class EngineQuestions:
    """Answers one engine's questions until it is gone; `tasks` hold what is being answered."""

    def __init__(self, link: EngineLink, respond: Respond, tasks: asyncio.TaskGroup) -> None:
        self._link = link
        self._respond = respond
        self._tasks = tasks
        self._open: set[asyncio.Task[None]] = set()

    def take(self, ask: Ask) -> None:
        """Begins to answer."""
        if len(self._open) >= MOST_OPEN:
            self._link.tell(_refused(ask, Overloaded("too many questions at a time")))
            return
        task = self._tasks.create_task(self._answer(ask))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def stop(self) -> None:
        """Gives up on what is not answered: whoever asked is gone, or was told that control is."""
        for task in self._open:
            task.cancel()

    async def _answer(self, ask: Ask) -> None:
        try:
            told = Told(ask.request, await self._respond(ask.question))
        except AuguriumError as error:
            told = _refused(ask, error)
        except Exception:  # the edge of a task: a fault of ours must not take the link down
            log.exception("question failed", engine=self._link.hello.engine)
            fault = Fault(ErrorKind.INTERNAL, "internal error; control's log has it")
            told = Told(ask.request, fault=fault)
        self._link.tell(told)


def _refused(ask: Ask, error: AuguriumError) -> Told:
    return Told(ask.request, fault=Fault(error.kind, str(error)))
