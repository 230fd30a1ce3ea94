"""The engine's end of the link to control: takes snapshots, gives states and counters, survives
control's absence.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from augurium.core.errors import AuguriumError, NotReady
from augurium.serving.counter_reports import CounterReports
from augurium.serving.link import (
    Applied,
    Collect,
    Counters,
    Heard,
    Hello,
    Message,
    Predictions,
    Push,
    Told,
    Update,
    desired,
    receive,
    send,
)
from augurium.serving.metrics import EngineMetrics, variants_of
from augurium.serving.open_questions import AWAY, OpenQuestions
from augurium.serving.questions import Answer, Question
from augurium.serving.snapshot import Snapshot

COUNTERS_INTERVAL_S = 1.0
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 2.0
MOST_UNREAD_BYTES = 1024 * 1024

log = structlog.get_logger()


class ControlLink:
    """Connects, and connects again, until stopped. Serving does not depend on it."""

    def __init__(
        self,
        socket: Path,
        hello: Callable[[], Hello],
        take: Callable[[Snapshot], None],
        applied: Callable[[], Applied],
        metrics: Callable[[bool], EngineMetrics],
    ) -> None:
        self._socket = socket
        self._hello = hello
        self._take = take
        self._applied = applied
        self._metrics = metrics
        self._questions = OpenQuestions()
        # what control said last on this connection
        self._desired: Snapshot | None = None
        self._reports = CounterReports()
        # whether counters were told on this connection, and what there was when the last such ended
        self._telling = False
        self._heard: EngineMetrics | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to connect."""
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        """Sends the last counters, if there is a connection, and leaves."""
        if self._writer is not None:
            send(self._writer, self._counters())
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(self._writer.drain(), 0.5)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def report(self) -> None:
        """Tells control where the versions stand; does nothing while there is no connection."""
        if self._writer is not None:
            send(self._writer, self._applied())

    def send_predictions(self, predictions: Predictions) -> None:
        """Hands predictions over, if control is `listening`."""
        if self._writer is not None:
            send(self._writer, predictions)

    @property
    def listening(self) -> bool:
        """Whether control is there, and has not stopped to read."""
        writer = self._writer
        return writer is not None and writer.transport.get_write_buffer_size() < MOST_UNREAD_BYTES

    async def ask(self, question: Question, timeout_s: float) -> Answer:
        """Asks control. Raises NotReady while it is away, and as `OpenQuestions.ask`."""
        writer = self._writer
        if writer is None:
            raise NotReady(AWAY)
        return await self._questions.ask(question, lambda ask: send(writer, ask), timeout_s)

    def _counters(self, request: int = 0, thorough: bool = True) -> Counters:
        self._telling = True
        return Counters(self._reports.of(self._metrics(thorough)), request)

    async def _stay_connected(self) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
                wait_s = FIRST_RETRY_S
                await self._converse(reader, self._writer)
            except OSError:
                pass  # control is not there, or not yet
            except AuguriumError as error:
                log.error("link broken", reason=str(error))
            finally:
                if self._writer is not None:
                    self._writer.close()
                    self._writer = None
                    self._questions.break_off()
            if self._telling:
                self._telling = False
                self._heard = variants_of(self._metrics(False))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            wait_s = min(wait_s * 2, LONGEST_RETRY_S)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desired = None
        self._reports = CounterReports()
        hello = self._hello()
        if self._heard is None:
            send(writer, hello)
        else:
            send(writer, msgspec.structs.replace(hello, heard=True))
            send(writer, Heard(self._heard))
        reporter = asyncio.create_task(self._report_counters(writer))
        try:
            while (message := await receive(reader)) is not None:
                self._answer(writer, message)
                await writer.drain()
        finally:
            reporter.cancel()

    def _answer(self, writer: asyncio.StreamWriter, message: Message) -> None:
        if isinstance(message, Push | Update):
            self._desired = desired(self._desired, message)
            self._take(self._desired)
        elif isinstance(message, Collect):
            send(writer, self._counters(message.request))
        elif isinstance(message, Told):
            self._questions.settle(message)

    async def _report_counters(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):  # the receiving side notices, and connects again
            while True:
                await asyncio.sleep(COUNTERS_INTERVAL_S)
                send(writer, self._counters(thorough=False))
                await writer.drain()
