"""A connection on which one side waits for the other: loading, streams, runs one at a time."""

import math
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter, kill_peer


class Channel:
    """One connection. One thread at a time in each direction; every wait ends at a deadline
    (monotonic seconds).

    Raises ConnectionError when the other side is gone, TimeoutError after the deadline, WireError
    for a frame that is none.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._reader = FrameReader(connection)
        self._writer = FrameWriter(connection)
        self._frames: deque[Frame] = deque()
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(connection, select.POLLOUT)

    def close(self) -> None:
        self._socket.close()

    def shut_down(self) -> None:
        """Ends both directions; a thread that waits here wakes up. `close` is still due."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def kill_peer(self) -> None:
        """Ends the process at the other side at once."""
        kill_peer(self._socket)

    @property
    def silent(self) -> bool:
        """Whether the other side is there and has said nothing since its last frame."""
        return not self._frames and self._reader.between and not self._readable.poll(0)

    def send(
        self, message: wire.Message, parts: Sequence[bytes | memoryview], deadline: float
    ) -> None:
        """Sends one frame; `parts` are its payload as `packed` made it."""
        gone = self._writer.write(message, parts)
        while not gone:
            _wait(self._writable, deadline)
            gone = self._writer.flush()

    def receive(self, deadline: float = math.inf) -> tuple[wire.Message, list[Array]]:
        """Waits for one frame; the arrays are the receiver's own."""
        while not self._frames:
            try:
                self._frames.extend(self._reader.read())
            except BlockingIOError:
                _wait(self._readable, deadline)
        frame = self._frames.popleft()
        return frame.message, frame.arrays()


def _wait(poll: "select.poll", deadline: float) -> None:
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError("no answer in time")
    poll.poll(None if remaining_s == math.inf else remaining_s * 1000)
