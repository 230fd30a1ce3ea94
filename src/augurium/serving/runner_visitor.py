"""A connection to a runner that is not in use yet: it says what it wants, and waits for it."""

import contextlib
import socket

from augurium.serving import runner_wire as wire
from augurium.serving.runner_frames import Frame, FrameReader, FrameWriter
from augurium.serving.runner_memory import SharedMemory


class Visitor:
    """One connection, which does not block."""

    __slots__ = ("connection", "frames", "kind", "memory", "reader")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reader = FrameReader(connection)
        self.kind = b""
        # an engine that asks for many runs does not wait for a greeting
        self.frames: list[Frame] = []
        self.memory: SharedMemory | None = None

    def wanted(self) -> wire.Want | None:
        """The version it is for, None if that has not come yet. Raises OSError, ValueError and
        WireError.
        """
        try:
            if not self.kind:
                self._introduce()
            frames = self.reader.read()
        except BlockingIOError:
            return None
        if not frames:
            return None
        want, self.frames = frames[0].message, frames[1:]
        if not isinstance(want, wire.Want):
            raise wire.WireError("no word of a version")
        return want

    def told(self, message: wire.Message) -> None:
        """Says something to it, if it is still there."""
        with contextlib.suppress(OSError):
            FrameWriter(self.connection).write(message)

    def _introduce(self) -> None:
        """Reads what the connection is for."""
        self.kind, descriptors, _, _ = socket.recv_fds(self.connection, 1, 1)
        if not self.kind:
            raise ConnectionResetError("the other side closed the connection")
        if descriptors:
            self.memory = SharedMemory(descriptors[0])
