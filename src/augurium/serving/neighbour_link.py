"""The way from one engine to another that is a home of versions: many requests under way on one
connection.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from augurium.core.errors import AuguriumError, error_of
from augurium.core.inference import Answer, BatchOutputs
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.frame_connection import FrameConnection
from augurium.serving.runner_frames import Frame
from augurium.serving.snapshot import DesiredVersion


class NotAnswered(Exception):
    """The other engine does not answer: it does not hold the version, or is `lost`."""

    def __init__(self, *, lost: bool = False) -> None:
        super().__init__()
        self.lost = lost


class NeighbourLink:
    """Lives on one event loop. `lost` is called with it when the other engine leaves, and when that
    is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        lost: "Callable[[NeighbourLink], None]",
    ) -> None:
        self._loop = loop
        self._told_lost = lost
        self._last_id = 0
        self._under_way: dict[int, asyncio.Future[Answer]] = {}
        self._connection = FrameConnection(loop, connection, self._took, self._lost)

    def ask(
        self,
        desired: DesiredVersion,
        inputs: Sequence[Array],
        deadline: float,
        priority: Priority,
    ) -> "asyncio.Future[Answer]":
        """Asks for the answer to rows, inputs in the signature's order. The future raises what the
        version raises there, and NotAnswered.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        headers, parts = wire.packed(inputs)
        self._last_id += 1
        ask = wire.Ask(
            self._last_id,
            desired.model,
            desired.version,
            desired.digest,
            headers,
            deadline,
            priority,
        )
        self._connection.write(ask, parts)
        self._under_way[ask.id] = future
        if not self._connection.open and not future.done():
            future.set_exception(NotAnswered(lost=True))
        return future

    def close(self) -> None:
        self._connection.close()
        self._fail()

    def _took(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, wire.Goodbye):
            # what is under way is answered still
            self._told_lost(self)
            return
        if not isinstance(message, wire.Ran | wire.Refused):
            raise wire.WireError("a word that is none of an engine's")
        future = self._under_way.pop(message.id, None)
        if future is None or future.done():
            # whoever asked has left
            return
        if isinstance(message, wire.Refused):
            future.set_exception(_error(message))
        else:
            future.set_result(Answer(BatchOutputs(frame.arrays())))

    def _lost(self) -> None:
        self._told_lost(self)
        self._fail()

    def _fail(self) -> None:
        under_way, self._under_way = self._under_way, {}
        for future in under_way.values():
            if not future.done():
                future.set_exception(NotAnswered(lost=True))


def _error(refused: wire.Refused) -> Exception:
    if refused.kind is None:
        return NotAnswered()
    error: AuguriumError = error_of(refused.kind, refused.message)
    error.retry_after_s = refused.retry_after_s
    return error
