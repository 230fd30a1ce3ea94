"""Frames over one connection, without waiting: what is there is read, what fits is written."""

import os
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire

# struct ucred of unix(7): process, user, group; sys/un.h of macOS
PEER = struct.Struct("iII")
SOL_LOCAL = 0
LOCAL_PEERPID = 2
# what one system call takes at most
MOST_PIECES = 64


class Frame(NamedTuple):
    """A message, and its payload in memory of its own."""

    message: wire.Message
    payload: Array

    def arrays(self) -> list[Array]:
        """Raises WireError."""
        message = self.message
        if not isinstance(message, wire.Tensors) or not message.tensors:
            return []
        return wire.unpacked(message.tensors, self.payload)


class FrameReader:
    """Takes frames out of a socket that does not block."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray(wire.SMALL_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        # the frame whose payload is on its way, and how much of it has come
        self._open: Frame | None = None
        self._have = 0

    @property
    def between(self) -> bool:
        """Whether the last frame is complete and nothing of the next has been read."""
        return self._open is None and self._start == self._end

    def read(self) -> list[Frame]:
        """The frames that one look at the socket completes.

        Raises BlockingIOError when there is nothing to read, ConnectionError when the other side
        is gone, WireError for what is no frame.
        """
        if self._open is not None:
            count = self._received(self._open.payload.data[self._have :])
            self._have += count
            if self._have < len(self._open.payload):
                return []
            done, self._open = self._open, None
            return [done]
        if self._start == self._end:
            self._start = self._end = 0
        self._end += self._received(self._view[self._end :])
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _received(self, into: memoryview) -> int:
        count = self._socket.recv_into(into)
        if not count:
            raise ConnectionResetError("the other side closed the connection")
        return count

    def _next(self) -> Frame | None:
        """The next complete frame of the buffer; opens one whose payload is not all there."""
        have = self._end - self._start
        if have < wire.PREFIX.size:
            self._make_room(wire.PREFIX.size)
            return None
        header_bytes, _ = wire.PREFIX.unpack_from(self._buffer, self._start)
        if header_bytes > wire.MAX_HEADER_BYTES:
            raise wire.WireError(f"a header of {header_bytes} bytes")
        size = wire.PREFIX.size + header_bytes
        if have < size:
            self._make_room(size)
            return None
        begin = self._start + wire.PREFIX.size
        message, payload_bytes = wire.decoded(self._view[begin : begin + header_bytes])
        self._start += size
        payload = np.empty(payload_bytes, np.uint8)
        taken = min(payload_bytes, self._end - self._start)
        if taken:
            payload.data[:taken] = self._view[self._start : self._start + taken]
            self._start += taken
        frame = Frame(message, payload)
        if taken < payload_bytes:
            self._open, self._have = frame, taken
            return None
        return frame

    def _make_room(self, count: int) -> None:
        """For `count` bytes from the start of the next frame on."""
        if self._start + count <= len(self._buffer):
            return
        rest = bytes(self._view[self._start : self._end])
        if count > len(self._buffer):
            self._buffer = bytearray(count)
            self._view = memoryview(self._buffer)
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)


class FrameWriter:
    """Puts frames into a socket that does not block, and keeps what does not fit."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._waiting: deque[memoryview] = deque()

    def write(self, message: wire.Message, parts: Sequence[bytes | memoryview] = ()) -> bool:
        """Whether all is gone; else `flush` is due. Raises ConnectionError."""
        pieces = wire.encoded(message, parts)
        if len(pieces) == 1 and not self._waiting:
            piece = pieces[0]
            try:
                sent = self._socket.send(piece)
            except BlockingIOError:
                sent = 0
            if sent == len(piece):
                return True
            self._waiting.append(memoryview(piece)[sent:])
            return False
        self._waiting.extend(memoryview(piece) for piece in pieces)
        return self.flush()

    def flush(self) -> bool:
        """Writes what waits; whether all of it is gone. Raises ConnectionError."""
        waiting = self._waiting
        while waiting:
            try:
                sent = self._socket.sendmsg([waiting[i] for i in range(_few(waiting))])
            except BlockingIOError:
                return False
            while sent:
                first = waiting[0]
                if sent < len(first):
                    waiting[0] = first[sent:]
                    break
                sent -= len(first)
                waiting.popleft()
            while waiting and not len(waiting[0]):
                waiting.popleft()
        return True


def kill_peer(connection: socket.socket) -> None:
    """Ends the process at the other side at once; the kernel knows which it is."""
    with suppress(OSError):
        pid = peer(connection)
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)


def peer(connection: socket.socket) -> int:
    """The process at the other side. Raises OSError."""
    if sys.platform == "linux":
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        return int(PEER.unpack(found)[0])
    return connection.getsockopt(SOL_LOCAL, LOCAL_PEERPID)


def _few(pieces: deque[memoryview]) -> int:
    return min(len(pieces), MOST_PIECES)
