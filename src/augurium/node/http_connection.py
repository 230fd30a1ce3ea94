"""One HTTP/1.1 connection of the REST data plane: bytes in, requests to the API, answers out.

llhttp (through httptools) parses; what is enforced here are the limits, the order of pipelined
answers, and that a caller that leaves takes its request with it. Everything happens on the event
loop that runs the models: a request crosses no thread.

Source: RFC 9112 (HTTP/1.1), RFC 9110 section 10.1.1 (Expect).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

import httptools
import structlog
from msgspec.structs import replace

from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge
from augurium.core.tls import certificate_names
from augurium.node.body_budget import SMALL_BODY_BYTES, BodyBudget, BodyShare
from augurium.node.body_receiver import LEAST_BYTES, BodyReceiver
from augurium.protocols.http import (
    HttpRequest,
    HttpResponse,
    StreamedResponse,
    error_response,
)

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
MAX_PIPELINED = 16
# their bodies are read as numbers, so they may be views of what was received
BINARY_TYPES = frozenset({"application/octet-stream", "application/vnd.apache.arrow.stream"})
BINARY_HEADER = "inference-header-content-length"
# a second one would be believed by us and not by a proxy, or the other way round
SENT_ONCE = frozenset({"host", "authorization"})
IDLE_S = 75.0
SLOW_REQUEST_S = 30.0
# a caller that takes nothing of an answer for so long keeps others from being served
STALLED_S = 60.0
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}

# as callers write them, so that most names need not be read; the rest are as good, and slower
_KNOWN_NAMES = {
    spelling.encode(): name
    for name in (
        *("accept", "accept-encoding", "augurium-priority", "augurium-timeout-ms", "augurium-unit"),
        *("authorization", "connection", "content-encoding", "content-length", "content-type"),
        *("host", "inference-header-content-length", "traceparent", "user-agent", "x-request-id"),
    )
    for spelling in (name, name.title())
}

HEAD_TOO_LARGE = 431

log = structlog.get_logger()

# a whole request, or None where its body had no room; whether the connection may stay open; and how
# many bytes the request holds
Arrived = tuple[HttpRequest | None, bool, int]
Handler = Callable[[HttpRequest], Awaitable[HttpResponse | StreamedResponse]]
Knows = Callable[[str | None, tuple[str, ...]], bool]


class HeadTooLarge(TooLarge):
    """The path and the headers together, or their number, are above the limit."""


class StalledCaller(Exception):
    """The caller reads no more of its answer."""


class Connections(Protocol):
    """What a connection needs of its host."""

    max_body_bytes: int
    bodies: BodyBudget
    stalled_s: float
    date_line: bytes
    stopping: bool

    @property
    def handler(self) -> Handler:
        """Answers one request; raises nothing but cancellation."""
        ...

    @property
    def knows(self) -> Knows | None:
        """Whether a credential, or names of a certificate, are good; None if none are asked for."""
        ...

    def opened(self, connection: "HttpConnection") -> bool:
        """Whether there is room for one more."""
        ...

    def closed(self, connection: "HttpConnection") -> None: ...


class HttpConnection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    def __init__(self, host: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        # one for all requests, from the first on: a task each would cost half a microsecond more
        self._task: asyncio.Task[None] | None = None
        # what it waits for between two requests
        self._next: asyncio.Future[Arrived] | None = None
        self._waiting: deque[Arrived] = deque()
        # of all requests of this connection, and of the one that arrives
        self._share = BodyShare(host.bodies)
        self._held_bytes = 0
        self._writable: asyncio.Event | None = None
        self._refused = False
        # whether the next answer is the last
        self._last = False
        self._caller: tuple[str, ...] = ()
        self._began = 0.0
        self._headers: dict[str, str] = {}
        self._body: bytes | bytearray | memoryview = b""
        self._receiver: BodyReceiver | None = None
        self._chunks = True
        self._body_bytes = 0
        self._kept = True
        self._crowded = False
        self._announced = False
        self._active = time.monotonic()
        self._begin()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered; one that is still arriving was not accepted."""
        return self._task is not None and self._next is None

    def overdue(self, now: float) -> bool:
        """Whether the caller was silent, or took for one request, longer than it may."""
        if self.busy:
            return False
        if self._in_message:
            return now - self._began > SLOW_REQUEST_S
        return now - self._active > IDLE_S

    def sweep(self, now: float) -> None:
        """Closes when the caller is overdue."""
        if self.overdue(now):
            self.close()

    def end(self) -> None:
        """The next answer says that the connection closes; one that is idle stays for that."""
        self._last = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._caller = certificate_names(transport.get_extra_info("peercert"))
        if not self._host.opened(self):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.closed(self)
        self._waiting.clear()
        self._share.hold(0)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def close(self) -> None:
        """Sends what was written and closes."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._active = time.monotonic()
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
            if not self._head_done:
                self._count_head(len(data))
            elif self._receiver is not None and self._transport is not None:
                self._receiver.begin(self._transport)
        except httptools.HttpParserUpgrade:
            self._refuse(InvalidArgument("protocol upgrades are not supported; use HTTP/1.1"))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, AuguriumError) else InvalidArgument(str(error)))
        except httptools.HttpParserError as error:
            self._refuse(InvalidArgument(f"this is not HTTP/1.1: {error}"))
        except TooLarge as error:
            self._refuse(error)

    # what the parser calls

    def on_message_begin(self) -> None:
        self._begin()
        self._in_message = True
        self._began = self._active

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _KNOWN_NAMES.get(name) or name.decode("latin-1").lower()
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            raise HeadTooLarge(f"the request has more than {MAX_HEADERS} headers")
        headers = self._headers
        if key in headers and key in SENT_ONCE:
            raise InvalidArgument(f"the request has more than one {key.title()} header; send one")
        headers[key] = value.decode("latin-1")
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _head_too_large()

    def on_headers_complete(self) -> None:
        self._head_done = True
        length = int(self._headers.get("content-length", 0))
        self._announced = length > SMALL_BODY_BYTES
        too_long = length > self._host.max_body_bytes
        large = length > SMALL_BODY_BYTES or "transfer-encoding" in self._headers
        if large and self._host.knows is not None:
            # a stranger is refused when the request is complete; its body is not kept for that
            self._kept = self._host.knows(self._headers.get("authorization"), self._caller)
        if too_long:
            self._kept = False
        elif self._announced and self._kept:
            self._hold(length)
        if self._kept and self._headers.get("expect", "").lower() == "100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if length >= LEAST_BYTES and self._kept and self._is_binary:
            self._receiver = BodyReceiver(length, self, self._received)

    def on_body(self, body: bytes) -> None:
        if self._receiver is not None:
            self._receiver.take(body)
            return
        self._body_bytes += len(body)
        if self._body_bytes > SMALL_BODY_BYTES and self._kept and not self._announced:
            self._hold(self._body_bytes)
        if self._kept and self._body_bytes <= self._host.max_body_bytes:
            # joined as it comes: a flood of one-byte chunks must not become a list of as many
            if isinstance(self._body, bytearray):
                self._body += body
            else:
                self._body = bytearray(b"".join((self._body, body))) if self._body else body
            return
        self._body = b""
        # as much again is thrown away: most callers look for the answer when they have sent all
        if self._body_bytes > 2 * self._host.max_body_bytes:
            raise TooLarge(f"the request body is larger than {self._host.max_body_bytes} bytes")

    def _received(self, body: memoryview) -> None:
        """The whole of a large body is there; the parser waits for it and is of no use any more."""
        self._active = time.monotonic()
        self._receiver = None
        self._body, self._body_bytes = body, len(body)
        try:
            self.on_message_complete()
        except AuguriumError as error:
            self._refuse(error)
        self._parser = httptools.HttpRequestParser(self)

    def on_message_complete(self) -> None:
        if self._receiver is not None:
            # it came together with its head
            self._body = self._receiver.whole()
            self._body_bytes, self._receiver = len(self._body), None
        self._in_message = False
        keep_alive, headers = self._parser.should_keep_alive(), self._headers
        # HTTP/1.0 keeps no connection unless it says so; to ask for the version takes longer
        implied = keep_alive and "connection" not in headers
        version = "1.1" if implied else self._parser.get_http_version()
        if "host" not in headers and version == "1.1":
            raise InvalidArgument("the request has no Host header")
        if len(self._waiting) >= MAX_PIPELINED:
            raise InvalidArgument(
                f"more than {MAX_PIPELINED} requests are waiting; read the answers"
            )
        # an HTTP/1.0 caller would have to be told that its connection stays open
        self._chunks = version == "1.1"
        keep_alive = keep_alive and self._chunks
        request = None if self._crowded else self._request()
        arrived = (request, keep_alive, self._held_bytes)
        self._held_bytes = 0
        if self._next is not None:
            self._next.set_result(arrived)
            self._next = None
        elif self._task is None:
            self._task = self._loop.create_task(self._serve(arrived))
        else:
            self._waiting.append(arrived)

    @property
    def _is_binary(self) -> bool:
        return BINARY_HEADER in self._headers or self._headers.get("content-type") in BINARY_TYPES

    def _request(self) -> HttpRequest:
        address, _, query = self._url.partition(b"?")
        path = address.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        whole = self._kept and self._body_bytes <= self._host.max_body_bytes
        method = self._parser.get_method().decode("latin-1")
        body = bytes(self._body) if isinstance(self._body, bytearray) else self._body
        self._body = b""
        header, names = self._headers.get, self._caller
        return HttpRequest(
            method, path, header, body if whole else None, names, query.decode("latin-1")
        )

    def _hold(self, size: int) -> None:
        """Counts `size` bytes of the body that arrives; without the room it is thrown away."""
        if self._share.take(size - self._held_bytes):
            self._held_bytes = size
            return
        self._kept, self._crowded = False, True
        self._share.give_back(self._held_bytes)
        self._held_bytes = 0

    async def _serve(self, arrived: Arrived) -> None:
        """Answers a request and those that come after it."""
        try:
            while True:
                request, keep_alive, held_bytes = arrived
                response: HttpResponse | StreamedResponse
                if request is None:
                    response = error_response(self._host.bodies.full())
                else:
                    response = await self._host.handler(request)
                del arrived, request  # and with them its body
                keep_alive = keep_alive and not (self._host.stopping or self._last)
                if isinstance(response, StreamedResponse):
                    keep_alive = await self._send_pieces(response, keep_alive)
                else:
                    self._send(response, keep_alive)
                del response
                if self._writable is not None:
                    await self._taken()
                if held_bytes:
                    self._share.give_back(held_bytes)
                if not keep_alive:
                    self.close()
                    return
                if self._waiting:
                    arrived = self._waiting.popleft()
                    continue
                self._active = time.monotonic()
                self._next = self._loop.create_future()
                arrived = await self._next
        except StalledCaller:
            log.warning("answer broke off: its caller takes nothing")
            if self._transport is not None:
                self._transport.abort()
        finally:
            self._task = self._next = None
            self._active = time.monotonic()

    def _send(self, response: HttpResponse, keep_alive: bool) -> None:
        blobs = response.blobs
        size = len(response.body) + sum(map(len, blobs)) if blobs else len(response.body)
        length = b"content-length: %d\r\n" % size
        self._write(self._with_head(response, length, keep_alive, response.body))
        for blob in blobs:
            self._write(blob)

    async def _send_pieces(self, response: StreamedResponse, keep_alive: bool) -> bool:
        """Sends every piece as it comes; whether the connection is good for another request.

        A caller of HTTP/1.0 knows no chunks: the end of the connection ends the body.
        """
        chunked = self._chunks
        framing = b"transfer-encoding: chunked\r\n" if chunked else b""
        self._write(self._with_head(response, framing, keep_alive))
        async with aclosing(response.chunks) as chunks:
            try:
                await self._write_pieces(chunks, chunked)
            except StalledCaller:
                raise
            except Exception:  # the status is sent: only a body without an end can say it now
                log.exception("streamed answer broke off")
                return False
        if chunked:
            self._write(b"0\r\n\r\n")
        return keep_alive

    async def _write_pieces(self, chunks: AsyncGenerator[bytes, None], chunked: bool) -> None:
        async for chunk in chunks:
            if chunk:
                self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            if self._writable is not None:
                await self._taken()
            else:
                # pieces that are there already must not keep the loop from others
                await asyncio.sleep(0)

    async def _taken(self) -> None:
        """Returns when the caller has read most of what was written. Raises StalledCaller when it
        reads nothing for too long.
        """
        left = self._unread_bytes()
        while self._writable is not None:
            try:
                await asyncio.wait_for(self._writable.wait(), self._host.stalled_s)
            except TimeoutError:
                before, left = left, self._unread_bytes()
                if left >= before:
                    raise StalledCaller from None

    def _unread_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _with_head(
        self,
        response: HttpResponse | StreamedResponse,
        framing: bytes,
        keep_alive: bool,
        body: bytes = b"",
    ) -> bytes:
        """The head of a response, and a body behind it: joined once."""
        headers = "".join([f"{name}: {value}\r\n" for name, value in response.headers])
        end = self._host.date_line if keep_alive else b"connection: close\r\n\r\n"
        return b"".join(
            (_STATUS_LINES[response.status], headers.encode("latin-1"), framing, end, body)
        )

    def _refuse(self, error: AuguriumError) -> None:
        """Answers what cannot be followed, and closes: where the next request begins is unknown."""
        self._refused = self._last = True
        self._waiting.clear()
        self._body, self._receiver = b"", None
        self._share.give_back(self._held_bytes)
        self._held_bytes = 0
        if not self.busy:
            response = error_response(error)
            if isinstance(error, HeadTooLarge):
                response = replace(response, status=HEAD_TOO_LARGE)
            self._send(response, keep_alive=False)
            self.close()

    def _write(self, content: bytes | memoryview) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    def _begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._body = b""
        self._receiver = None
        self._body_bytes = 0
        self._kept = True
        self._crowded = False
        self._announced = False
        self._header_count = 0
        self._head_bytes = 0
        self._head_done = False
        self._in_message = False

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _head_too_large()


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"the request's head is larger than {MAX_HEAD_BYTES} bytes")
