"""The Unix socket on which engines connect: takes snapshots to them and gathers their reports."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import structlog

from augurium.control.engine_link import EngineLink
from augurium.control.engine_questions import EngineQuestions, Respond
from augurium.control.engine_slots import EngineSlot, EngineSlots
from augurium.core.errors import AuguriumError, NotReady
from augurium.core.identifiers import check_name
from augurium.serving.link import Ask, Hello, Predictions, receive
from augurium.serving.metrics import EngineMetrics
from augurium.serving.questions import Answer, Question
from augurium.serving.snapshot import Snapshot

HELLO_TIMEOUT_S = 5.0
COLLECT_TIMEOUT_S = 0.5
# for a change that its caller relies on; an engine that hangs is not waited for
SETTLE_TIMEOUT_S = 5.0
Record = Callable[[Predictions], None]
log = structlog.get_logger()


class LinkHub:
    """All engines of this node. Belongs to one event loop; not to be called from other threads."""

    def __init__(self, socket_file: Path) -> None:
        self.snapshot = Snapshot()
        self._socket_file = socket_file
        self._slots = EngineSlots()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._change = asyncio.Event()
        self._request = 0
        self._respond: Respond = _nobody_answers
        self._record: Record = _nobody_records

    def answer_with(self, respond: Respond) -> None:
        """Who answers the questions of engines from now on."""
        self._respond = respond

    def record_with(self, record: "Record") -> None:
        """Who takes the predictions of engines from now on."""
        self._record = record

    async def start(self) -> None:
        """Listens; only the owner of the socket may connect. Raises AuguriumError if it cannot."""
        try:
            listener = _bind_private(self._socket_file)
        except OSError as error:
            raise AuguriumError(
                f"the engine link cannot listen on {self._socket_file}: {error.strerror}; "
                "choose another --home"
            ) from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        """Hangs up on every engine; they go on serving what they have."""
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            # not close(): that would wait for a reader that may never read again
            writer.transport.abort()
        while self._connections:
            await self.change()
        self._socket_file.unlink(missing_ok=True)

    def push(self, snapshot: Snapshot) -> None:
        """Sends this snapshot to every engine unless a newer one is there already."""
        if snapshot.revision < self.snapshot.revision:
            return
        self.snapshot = snapshot
        for link in self.links():
            link.push(snapshot)

    def links(self) -> list[EngineLink]:
        """The connected engines, ordered by slot."""
        return self._slots.links()

    def slots(self) -> list[EngineSlot]:
        """Every slot that was ever filled, in their order."""
        return self._slots.all()

    def retire(self, engine: str) -> None:
        """Forgets a slot whose process is gone for good; what it counted stays in the sums."""
        self._slots.retire(engine)

    async def change(self) -> None:
        """Returns when an engine came, went or reported something, or after `wake`."""
        await self._change.wait()

    def wake(self) -> None:
        """Makes everyone who waits for a change look again."""
        self._change.set()
        self._change = asyncio.Event()

    async def collect(self, timeout_s: float = COLLECT_TIMEOUT_S) -> EngineMetrics:
        """The counters of all engines over all restarts, as fresh as `timeout_s` allows."""
        await self.heard(timeout_s)
        return self._slots.totals()

    async def heard(self, timeout_s: float) -> bool:
        """Whether every connected engine has answered within `timeout_s`: what was pushed before is
        done by then, because engines take messages in their order.
        """
        self._request += 1
        request, asked = self._request, self.links()
        for link in asked:
            link.collect(request)
        try:
            async with asyncio.timeout(timeout_s):
                while any(link.open and link.answered < request for link in asked):
                    await self.change()
        except TimeoutError:
            return False
        return True

    def inherited(self) -> EngineMetrics:
        """What of the counters had been counted before this control had to do with it."""
        return self._slots.inherited()

    async def settle(self, revision: int, timeout_s: float) -> bool:
        """Waits until every connected engine has taken over `revision`; False if one is late."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(link.applied.revision < revision for link in self.links()):
                    await self.change()
        except TimeoutError:
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                hello = await receive(reader)
            if not isinstance(hello, Hello):
                raise AuguriumError("the first message was not a Hello")
            check_name("engine", hello.engine)
            await self._attend(EngineLink(hello, writer), reader)
        except (AuguriumError, TimeoutError) as error:
            log.warning("engine link refused", reason=str(error) or "no Hello in time")
        finally:
            writer.transport.abort()
            self._connections.discard(writer)
            self.wake()

    async def _attend(self, link: EngineLink, reader: asyncio.StreamReader) -> None:
        engine = {"engine": link.hello.engine, "pid": link.hello.pid}
        self._slots.connect(link)
        link.push(self.snapshot)
        self.wake()
        log.info("engine connected", **engine)
        try:
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(link.send_all())
                questions = EngineQuestions(link, self._respond, tasks)
                try:
                    await self._listen(link, reader, questions)
                finally:
                    # at once: what a question began may take a while to be undone
                    self._disconnect(link)
                    questions.stop()
                    sender.cancel()
        finally:
            self._disconnect(link)
            log.info("engine disconnected", **engine)

    def _disconnect(self, link: EngineLink) -> None:
        link.open = False
        self._slots.disconnect(link)
        self.wake()

    async def _listen(
        self, link: EngineLink, reader: asyncio.StreamReader, questions: EngineQuestions
    ) -> None:
        try:
            while (message := await receive(reader)) is not None:
                if isinstance(message, Ask):
                    questions.take(message)
                elif isinstance(message, Predictions):
                    self._record(message)
                    # nobody waits for it
                    continue
                elif not link.take(message):
                    raise AuguriumError(f"an engine must not send {type(message).__name__}")
                self.wake()
        except AuguriumError as error:
            log.warning("engine link broken", engine=link.hello.engine, reason=str(error))


def _nobody_records(_: Predictions) -> None:
    pass


async def _nobody_answers(_: Question) -> Answer:
    raise NotReady("control is starting; try again in a moment")


def _bind_private(file: Path) -> socket.socket:
    file.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # the mode must be right from the first moment: between bind and chmod anyone could connect
    mask = os.umask(0o177)
    try:
        listener.bind(str(file))
    finally:
        os.umask(mask)
    return listener
