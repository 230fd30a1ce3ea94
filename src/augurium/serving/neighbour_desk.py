"""Where an engine answers for versions that it holds and others do not."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from augurium.core.errors import AuguriumError, Internal
from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.frame_connection import FrameConnection
from augurium.serving.runner_frames import Frame
from augurium.serving.snapshot import DesiredVersion

log = structlog.get_logger()


class Held(Protocol):
    """A version as it answers for other engines."""

    @property
    def desired(self) -> DesiredVersion: ...

    def answer_here(
        self, inputs: Sequence[Array], deadline: float, priority: Priority
    ) -> "asyncio.Future[Answer]":
        """Rows that were checked, inputs in the signature's order. Raises as `submit`."""
        ...


Find = Callable[[str, int], Held | None]


class NeighbourDesk:
    """Listens on a socket of its own. Lives on one event loop; `find` gives a version that serves
    here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, find: Find) -> None:
        self._loop = loop
        self._path = path
        self._find = find
        self._listener: socket.socket | None = None
        self._connections: set[FrameConnection] = set()
        self._answers: set[asyncio.Future[Answer]] = set()
        self._leaving = False

    def open(self) -> None:
        """Listens from now on. Raises OSError."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        listener.listen(wire.BACKLOG)
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener, self._accept)

    def leave(self) -> None:
        """Takes no new requests; those accepted are answered."""
        self._leaving = True
        listener, self._listener = self._listener, None
        if listener is not None:
            self._loop.remove_reader(listener)
            listener.close()
            self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.write(wire.Goodbye())

    async def drain(self) -> None:
        """Returns when everything that was accepted is answered."""
        while self._answers:
            await asyncio.wait(self._answers)

    def close(self) -> None:
        self.leave()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        with suppress(BlockingIOError):
            accepted, _ = listener.accept()
            connection = FrameConnection(
                self._loop,
                accepted,
                lambda frame: self._took(connection, frame),
                lambda: self._connections.discard(connection),
            )
            self._connections.add(connection)

    def _took(self, connection: FrameConnection, frame: Frame) -> None:
        ask = frame.message
        if not isinstance(ask, wire.Ask):
            raise wire.WireError("a word that is no question")
        held = None if self._leaving else self._find(ask.model, ask.version)
        if held is None or held.desired.digest != ask.digest:
            connection.write(wire.Refused(ask.id))
            return
        try:
            answer = held.answer_here(frame.arrays(), ask.deadline, ask.priority)
        except AuguriumError as error:
            connection.write(_refused(ask.id, error))
            return
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        answer.add_done_callback(partial(_tell, connection, ask.id))


def _tell(connection: FrameConnection, number: int, done: "asyncio.Future[Answer]") -> None:
    if done.cancelled():
        connection.write(wire.Refused(number))
    elif (error := done.exception()) is not None:
        connection.write(_refused(number, error))
    else:
        answer = done.result()
        arrays = [answer.array(index) for index in range(answer.size)]
        try:
            headers, parts = wire.packed(arrays)
        except AuguriumError as refusal:
            connection.write(_refused(number, refusal))
            return
        connection.write(wire.Ran(number, headers), parts)


def _refused(number: int, error: BaseException) -> wire.Refused:
    if not isinstance(error, AuguriumError):
        log.error("a neighbour's request failed", exc_info=error)
        return wire.Refused(number, Internal.kind, "internal error")
    return wire.Refused(number, error.kind, str(error), error.retry_after_s)
