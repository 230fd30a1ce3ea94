"""Carries gRPC: HTTP/2 on the event loop of the engine itself.

Source: gRPC over HTTP2 specification (PROTOCOL-HTTP2).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from typing_extensions import Buffer

from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    InvalidArgument,
    NotReady,
    TooLarge,
)
from augurium.core.inference import Header
from augurium.core.settings import LimitSettings
from augurium.core.tls import ServerTls
from augurium.node import http2_frames as frames
from augurium.node.body_budget import BodyBudget
from augurium.node.connection_host import ConnectionHost
from augurium.node.http2_connection import Http2Connection
from augurium.node.http2_frames import END_HEADERS, END_STREAM, Kind
from augurium.node.http2_headers import RequestHead
from augurium.node.http2_stream import Stream
from augurium.protocols.grpc_frames import (
    ACCEPTED_ENCODINGS,
    PREFIX,
    SMALL_BYTES,
    Message,
    Part,
    answer_encoding,
    frame,
    message_bytes,
    status_trailers,
    timeout_s,
    unframe,
)

CONTENT_TYPE = "application/grpc"
# a compressed message may be a thousand times as large: a larger one is not read on the loop
LEAST_COMPRESSED_BYTES = 4 * 1024
# for a stream to end by itself, when everything it was asked is answered
LAST_WORDS_S = 1.0
STOPPING = "the server is stopping and ends the stream here; open another"
# `:status: 200` is one byte of the table that both sides know; any other is a literal of its name
STATUS_OK = b"\x88"
STATUS_NAME = b"\x08"
TYPE_FIELD = frames.literal(b"content-type", CONTENT_TYPE.encode())
ACCEPTED_FIELD = frames.literal(b"grpc-accept-encoding", ACCEPTED_ENCODINGS.encode())
HEADERS = STATUS_OK + TYPE_FIELD + ACCEPTED_FIELD
OK_TRAILERS = frames.literal(b"grpc-status", b"0")


class GrpcCalls(Protocol):
    """What answers the calls: messages in, messages out. Raises AuguriumError and cancellation."""

    @property
    def stream_paths(self) -> frozenset[str]:
        """The methods that take or give more than one message."""
        ...

    def knows(self, authorization: str | None, names: tuple[str, ...]) -> bool:
        """Whether the caller may send more than a little, before it is all there."""
        ...

    async def check_known(self, authorization: str | None, names: tuple[str, ...]) -> None:
        """Raises Unauthenticated for strangers."""
        ...

    async def call(
        self,
        path: str,
        message: Buffer,
        timeout_s: float | None = None,
        authorization: str | None = None,
        certificate_names: tuple[str, ...] = (),
        header: Header | None = None,
    ) -> Message:
        """Answers one unary call; `timeout_s` is what is left of the caller's deadline, and
        `header` looks the call's headers up.
        """
        ...

    def stream(
        self,
        path: str,
        messages: AsyncGenerator[Buffer, None],
        metadata: Mapping[str, str],
        certificate_names: tuple[str, ...] = (),
    ) -> AsyncGenerator[Message, None]:
        """Answers a call whose messages come and go one after another; its time is the host's to
        keep.
        """
        ...


class GrpcHost(ConnectionHost[Http2Connection]):
    """Answers gRPC calls on one address."""

    def __init__(
        self,
        api: GrpcCalls,
        limits: LimitSettings,
        address: str,
        port: int,
        tls: ServerTls | None = None,
        bodies: BodyBudget | None = None,
    ) -> None:
        """`bodies` is what it shares with other hosts of this process."""
        super().__init__(address, port, tls)
        self.max_body_bytes = limits.max_body_bytes + PREFIX.size
        self.request_timeout_s = limits.request_timeout_s
        self.bodies = bodies or BodyBudget(limits.max_bytes_in_flight)
        self._max_message_bytes = limits.max_body_bytes
        self._api = api
        self._open: set[asyncio.Timeout] = set()

    async def __aexit__(self, *_: object) -> None:
        """As every host; streams, which might never end, are ended."""
        ends = asyncio.get_running_loop().time() + LAST_WORDS_S
        for limit in self._open:
            due = limit.when()
            if not limit.expired() and (due is None or due > ends):
                limit.reschedule(ends)
        await super().__aexit__()

    def is_streamed(self, head: RequestHead) -> bool:
        """Whether a call is answered while its messages arrive."""
        return head.path in self._api.stream_paths

    def large(self, stream: Stream) -> None:
        """What open methods take is small; a stranger's large message is not gathered."""
        authorization = stream.head.headers.get("authorization")
        if not self._api.knows(authorization, stream.certificate_names):
            stream.discard()

    async def answer(self, stream: Stream) -> None:
        """Answers one call; raises nothing but cancellation and StreamReset."""
        head = stream.head
        if not head.headers.get("content-type", "").startswith(CONTENT_TYPE):
            _refuse(stream, b"415")
        elif head.method != "POST":
            _refuse(stream, b"405")
        elif stream.streamed:
            await self._answer_stream(stream)
        else:
            await self._answer_unary(stream)

    async def _answer_unary(self, stream: Stream) -> None:
        try:
            message = await self._called(stream)
        except AuguriumError as error:
            _end(stream, HEADERS, error)
            return
        encoding = answer_encoding(stream.head.headers)
        head, tail = _headers(stream.id, encoding), _ok_trailers(stream.id)
        parts = await _framed(message, encoding)
        del message
        if len(parts) == 1 and stream.fits(len(parts[0])):
            # in one piece, which is most answers
            size = len(parts[0])
            stream.spend(size)
            data = frames.head.pack(size << 8, 0, stream.id)
            stream.answer(b"".join((head, data, parts[0], tail)))
            return
        stream.answer(head, last=False)
        for part in parts:
            await stream.send(part)
        stream.answer(tail)

    async def _answer_stream(self, stream: Stream) -> None:
        """Headers go out with the first answer, so that an early error is a status alone."""
        head = stream.head
        encoding = answer_encoding(head.headers)
        opening = _headers(stream.id, encoding)
        try:
            limit_s = _limit_s(stream)
            if self.stopping:
                raise NotReady(STOPPING)
            answers = self._api.stream(
                head.path, self._messages(stream), head.headers, stream.certificate_names
            )
            async with self._within(limit_s), aclosing(answers):
                async for answer in answers:
                    if opening:
                        stream.answer(opening, last=False)
                        opening = b""
                    for part in await _framed(answer, encoding):
                        await stream.send(part)
                        del part
                    # a large one is not held until the next is there
                    del answer
        except AuguriumError as error:
            _end(stream, HEADERS if opening else b"", error)
            return
        stream.answer(opening + _ok_trailers(stream.id))

    async def _messages(self, stream: Stream) -> AsyncGenerator[Buffer, None]:
        """The messages of a call as they arrive; the caller may send on as they are taken."""
        encoding = stream.head.headers.get("grpc-encoding")
        waiting = bytearray()
        while True:
            waiting += stream.body
            stream.body = b""
            if not stream.hold(len(waiting)):
                raise self.bodies.full()
            while (size := self._whole(waiting)) is not None:
                if size == len(waiting):
                    message, waiting = waiting, bytearray()
                else:
                    message = waiting[:size]
                    del waiting[:size]
                yield await self._unframed(message, encoding)
                # whoever took it is done with it before there is room for the next
                del message
                stream.hold(len(waiting))
            if stream.ended and not stream.body:
                break
            if not stream.body:
                if self.stopping:
                    raise NotReady(STOPPING)
                await stream.more()
        if waiting:
            raise InvalidArgument("the call ends inside a message")

    def _whole(self, waiting: bytearray) -> int | None:
        """The size of the first message with its prefix; None while it is not all there."""
        if len(waiting) < PREFIX.size:
            return None
        _, length = PREFIX.unpack_from(waiting)
        if length > self._max_message_bytes:
            raise TooLarge(
                f"the message has {length} bytes; at most {self._max_message_bytes} are allowed"
            )
        size = PREFIX.size + int(length)
        return size if size <= len(waiting) else None

    async def _unframed(self, body: bytes | bytearray, encoding: str | None) -> Buffer:
        if encoding and len(body) > LEAST_COMPRESSED_BYTES:
            return await asyncio.to_thread(unframe, body, self._max_message_bytes, encoding)
        return unframe(body, self._max_message_bytes, encoding)

    async def _called(self, stream: Stream) -> Message:
        headers = stream.head.headers
        authorization, names = headers.get("authorization"), stream.certificate_names
        limit_s = _limit_s(stream)
        if not stream.kept:
            await self._api.check_known(authorization, names)
            if stream.arrived <= self.max_body_bytes:
                raise self.bodies.full()
            raise TooLarge(f"the message is larger than {self._max_message_bytes} bytes")
        message = await self._unframed(stream.body, headers.get("grpc-encoding"))
        stream.body = b""
        return await self._api.call(
            stream.head.path, message, limit_s, authorization, names, headers.get
        )

    @asynccontextmanager
    async def _within(self, limit_s: float | None) -> AsyncGenerator[None, None]:
        """Raises DeadlineExceeded when what is done here takes longer, and NotReady when the server
        stops.
        """
        try:
            async with asyncio.timeout(limit_s) as limit:
                self._open.add(limit)
                try:
                    yield
                finally:
                    self._open.discard(limit)
        except TimeoutError as error:
            if self.stopping:
                raise NotReady(STOPPING) from error
            raise DeadlineExceeded("Request timeout expired") from error

    def _connect(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        return Http2Connection(self, loop)


def _limit_s(stream: Stream) -> float | None:
    """What is left of the caller's deadline. Raises DeadlineExceeded when nothing is."""
    text = stream.head.headers.get("grpc-timeout")
    if text is None:
        return None
    left_s = stream.began + timeout_s(text) - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("Request timeout expired")
    return left_s


async def _framed(message: Message, encoding: str | None) -> list[Part]:
    """A message with its prefix, piece by piece; a large one is compressed on a thread."""
    if encoding and message_bytes(message) > SMALL_BYTES:
        return await asyncio.to_thread(frame, message, encoding)
    return frame(message, encoding)


def _headers(number: int, encoding: str | None) -> bytes:
    block = HEADERS
    if encoding:
        block += frames.literal(b"grpc-encoding", encoding.encode())
    return frames.head.pack(len(block) << 8 | Kind.HEADERS, END_HEADERS, number) + block


def _ok_trailers(number: int) -> bytes:
    size = len(OK_TRAILERS) << 8 | Kind.HEADERS
    return frames.head.pack(size, END_HEADERS | END_STREAM, number) + OK_TRAILERS


def _end(stream: Stream, block: bytes, error: AuguriumError) -> None:
    block += b"".join(frames.literal(name, value) for name, value in status_trailers(error))
    stream.answer(frames.frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream.id, block))


def _refuse(stream: Stream, status: bytes) -> None:
    """Not gRPC: this port speaks nothing else."""
    block = STATUS_NAME + bytes([len(status)]) + status
    stream.answer(frames.frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream.id, block))
