"""What an engine and a runner say to each other: frames of a small header and raw tensors.

A frame is the length of the header (u32) and of the payload (u64), little endian; the header in
msgpack; and the payload, the bytes of one tensor after another, each begun on a multiple of 16. A
BYTES tensor is a msgpack list of strings, of binary values where these are not UTF-8. Nothing in a
frame can run code.
"""

import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import DATATYPES, Array, numpy_dtype

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 4 * 1024**2
MAX_PAYLOAD_BYTES = 4 * 1024**3
ALIGNMENT = 16
# connections that wait to be accepted
BACKLOG = 128
# frames up to this size go out as one piece and come in with one read
SMALL_BYTES = 64 * 1024
BYTES = np.dtype(np.object_)
# struct ucred of unix(7): process, user, group; sys/un.h of macOS
PEER = struct.Struct("iII")
SOL_LOCAL = 0
LOCAL_PEERPID = 2

Parameter = bool | int | float | str | list[bool | int | float | str]


class TensorHeader(msgspec.Struct, frozen=True, array_like=True):
    """One tensor of the payload; `size_bytes` without the padding behind it."""

    datatype: str
    shape: tuple[int, ...]
    size_bytes: int


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The runner's first word on each connection; a `problem` says that it could not load."""

    problem: str = ""


class Run(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One batch, the inputs in the signature's order.

    With `ahead` above 0 the answer is a stream: that many answers may come before more are asked
    for. `parameters` are what the request says beside its tensors.
    """

    id: int
    tensors: tuple[TensorHeader, ...] = ()
    ahead: int = 0
    parameters: Mapping[str, Parameter] = {}


class Ran(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The outputs of the batch `id`, in the signature's order.

    In a stream, every answer says that there may be `more`, and an end without tensors follows. An
    answer without tensors that says so too means that the stream waits for its turn.
    """

    id: int
    tensors: tuple[TensorHeader, ...] = ()
    more: bool = False


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The model failed on the batch `id`."""

    id: int
    message: str


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The engine leaves for good: without another engine, the runner need not wait."""


class More(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The engine has passed on `count` answers of the stream `id`: as many more may come."""

    id: int
    count: int


class Stop(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The engine wants no more answers of the stream `id`, which ends as if it were complete."""

    id: int


Message = Hello | Run | Ran | Failed | Goodbye | More | Stop
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)
_texts = msgspec.msgpack.Decoder(list[str | None])
_elements = msgspec.msgpack.Decoder(list[Any])


class WireError(Exception):
    """The other side sent what no frame can be."""


class Channel:
    """One connection. One thread at a time in each direction; every wait ends at a deadline
    (monotonic seconds).

    Raises ConnectionError when the other side is gone, TimeoutError after the deadline, WireError
    for a frame that is none.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._buffer = bytearray(SMALL_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
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
        """Ends the process at the other side at once; the kernel knows which it is."""
        with suppress(OSError):
            pid = _peer(self._socket)
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)

    @property
    def silent(self) -> bool:
        """Whether the other side is there and has said nothing since its last frame."""
        return self._start == self._end and not self._readable.poll(0)

    def send(self, message: Message, parts: Sequence[bytes | memoryview], deadline: float) -> None:
        """Sends one frame; `parts` are its payload as `packed` made it."""
        header = _encoder.encode(message)
        size = sum(len(part) for part in parts)
        pieces: list[bytes | memoryview] = [PREFIX.pack(len(header), size), header]
        for part in parts:
            pieces.append(part)
            pieces.append(bytes(-len(part) % ALIGNMENT))
        if size <= SMALL_BYTES:
            self._send(b"".join(pieces), deadline)
            return
        for piece in pieces:
            self._send(piece, deadline)

    def receive(self, deadline: float = math.inf) -> tuple[Message, list[Array]]:
        """Waits for one frame; the arrays are the receiver's own."""
        self._fill(PREFIX.size, deadline)
        header_bytes, _ = PREFIX.unpack_from(self._buffer, self._start)
        self._start += PREFIX.size
        if header_bytes > MAX_HEADER_BYTES:
            raise WireError(f"a header of {header_bytes} bytes")
        try:
            message = _decoder.decode(self._take(header_bytes, deadline).data)
        except msgspec.MsgspecError as error:
            raise WireError(f"a header that cannot be read: {error}") from error
        tensors = message.tensors if isinstance(message, Run | Ran) else ()
        _check_sizes(tensors)
        payload = self._take(sum(_padded(tensor.size_bytes) for tensor in tensors), deadline)
        return message, list(_unpacked(tensors, payload))

    def _send(self, piece: bytes | memoryview, deadline: float) -> None:
        rest = memoryview(piece)
        while len(rest):
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                _wait(self._writable, deadline)

    def _fill(self, count: int, deadline: float) -> None:
        """At least `count` bytes in the buffer, which is no more than it holds."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + count > SMALL_BYTES:
            kept = self._end - self._start
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
        while self._end - self._start < count:
            self._end += self._read(self._view[self._end :], deadline)

    def _take(self, count: int, deadline: float) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        """The next `count` bytes, in memory of their own."""
        taken = np.empty(count, np.uint8)
        have = min(count, self._end - self._start)
        taken[:have] = self._view[self._start : self._start + have]
        self._start += have
        if have < count <= SMALL_BYTES:
            # one read brings the rest of a small frame and whatever follows
            self._fill(count - have, deadline)
            taken[have:] = self._view[self._start : self._start + count - have]
            self._start += count - have
            return taken
        while have < count:
            have += self._read(taken.data[have:], deadline)
        return taken

    def _read(self, into: memoryview, deadline: float) -> int:
        while True:
            try:
                count = self._socket.recv_into(into)
            except BlockingIOError:
                _wait(self._readable, deadline)
                continue
            if not count:
                raise ConnectionResetError("the other side closed the connection")
            return count


def packed(arrays: Sequence[Array]) -> tuple[tuple[TensorHeader, ...], list[bytes | memoryview]]:
    """The headers and the payload of tensors. Raises InvalidArgument for what cannot be sent."""
    headers, parts = [], []
    for array in arrays:
        part = _content(array)
        headers.append(TensorHeader(_datatype(array), array.shape, len(part)))
        parts.append(part)
    if sum(len(part) for part in parts) > MAX_PAYLOAD_BYTES:
        raise InvalidArgument(f"the tensors have more than {MAX_PAYLOAD_BYTES} bytes together")
    return tuple(headers), parts


def _datatype(array: Array) -> str:
    try:
        return DATATYPES[array.dtype]
    except KeyError:
        raise InvalidArgument(f"a tensor of {array.dtype} has no datatype here") from None


def _content(array: Array) -> bytes | memoryview:
    if array.dtype == BYTES:
        try:
            return _encoder.encode(array.ravel().tolist())
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"a BYTES tensor holds what is not text: {error}") from error
    contiguous = np.ascontiguousarray(array)
    return contiguous.reshape(-1).view(np.uint8).data


def _check_sizes(tensors: Sequence[TensorHeader]) -> None:
    """Before anything is allocated: the other side may run a stranger's code."""
    if sum(tensor.size_bytes for tensor in tensors) > MAX_PAYLOAD_BYTES:
        raise WireError("a payload that is too large")
    for tensor in tensors:
        if min((*tensor.shape, tensor.size_bytes)) < 0:
            raise WireError("a negative size")
        try:
            dtype = numpy_dtype(tensor.datatype)
        except InvalidArgument as error:
            raise WireError(str(error)) from error
        if dtype != BYTES and math.prod(tensor.shape) * dtype.itemsize != tensor.size_bytes:
            raise WireError(f"{tensor.size_bytes} bytes for a shape of {list(tensor.shape)}")


def _unpacked(
    tensors: Sequence[TensorHeader], payload: "np.ndarray[tuple[int], np.dtype[np.uint8]]"
) -> "Sequence[Array]":
    arrays: list[Array] = []
    position = 0
    for tensor in tensors:
        part = payload[position : position + tensor.size_bytes]
        position += _padded(tensor.size_bytes)
        if tensor.datatype == "BYTES":
            arrays.append(_text_array(part, tensor.shape))
        else:
            arrays.append(part.view(numpy_dtype(tensor.datatype)).reshape(tensor.shape))
    return arrays


def _text_array(part: Array, shape: tuple[int, ...]) -> Array:
    texts: list[Any]
    try:
        texts = _texts.decode(part.data)
    except msgspec.ValidationError:
        texts = _mixed(part)
    except msgspec.MsgspecError as error:
        raise WireError(f"a BYTES tensor that cannot be read: {error}") from error
    if len(texts) != math.prod(shape):
        raise WireError(f"{len(texts)} texts for a shape of {list(shape)}")
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array.reshape(shape)


def _mixed(part: Array) -> list[Any]:
    """Texts and bytes."""
    try:
        found = _elements.decode(part.data)
    except msgspec.MsgspecError as error:
        raise WireError(f"a BYTES tensor that cannot be read: {error}") from error
    others = set(map(type, found)) - {str, bytes, type(None)}
    if others:
        raise WireError(f"a BYTES tensor with a {others.pop().__name__} among its texts")
    return found


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT


def _peer(connection: socket.socket) -> int:
    if sys.platform == "linux":
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        return int(PEER.unpack(found)[0])
    return connection.getsockopt(SOL_LOCAL, LOCAL_PEERPID)


def _wait(poll: "select.poll", deadline: float) -> None:
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError("no answer in time")
    poll.poll(None if remaining_s == math.inf else remaining_s * 1000)
