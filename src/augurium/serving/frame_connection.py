"""A connection of frames on an event loop."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from augurium.serving import runner_wire as wire
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter


class FrameConnection:
    """Lives on one event loop. `took` is called with each frame; `lost` once, when the other side
    has closed it or wrote what is no frame, and not after `close`. `took` may raise WireError.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        took: Callable[[Frame], None],
        lost: Callable[[], None],
    ) -> None:
        connection.setblocking(False)
        self._loop = loop
        self._socket = connection
        self._took = took
        self._lost = lost
        self._reader, self._writer = FrameReader(connection), FrameWriter(connection)
        self._writing = False
        self.open = True
        loop.add_reader(connection, self._readable)

    def write(self, message: wire.Message, parts: Sequence[bytes | memoryview] = ()) -> None:
        """Sends a frame, now or when there is room. Raises InvalidArgument for one too large."""
        if not self.open:
            return
        try:
            gone = self._writer.write(message, parts)
        except OSError:
            self._end()
            return
        if not gone and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._writable)

    def close(self) -> None:
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
        self._socket.close()

    def _end(self) -> None:
        if self.open:
            self.close()
            self._loop.call_soon(self._lost)

    def _readable(self) -> None:
        try:
            for frame in self._reader.read():
                if self.open:
                    self._took(frame)
        except BlockingIOError:
            return
        except (OSError, wire.WireError):
            self._end()

    def _writable(self) -> None:
        try:
            gone = self._writer.flush()
        except OSError:
            self._end()
            return
        if gone and self.open:
            self._writing = False
            self._loop.remove_writer(self._socket)
