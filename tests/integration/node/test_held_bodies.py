"""How many bytes of bodies an engine holds: refused above the limit, and none in the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from augurium.core.settings import LimitSettings
from augurium.node.body_budget import BodyBudget
from augurium.node.grpc_host import GrpcHost
from augurium.node.http2_frames import END_STREAM, Code, Kind
from augurium.node.http_host import HttpHost
from augurium.protocols.http import HttpRequest, HttpResponse
from tests.support.echo_calls import EchoCalls
from tests.support.http2 import WAIT_S, Http2Caller, framed

SIZE = 400_000
BODY = b"x" * SIZE
LIMIT = 3 * SIZE - 1
TWO = 2 * SIZE
BINARY = b"Content-Type: application/octet-stream\r\n"


class Gate:
    """Answers with the size of a body, `/wait` when it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/wait":
            await self.gate.wait()
        if request.path == "/big":
            return HttpResponse(200, [], b"y" * 20_000_000)
        return HttpResponse(200, [], b"%d" % len(request.body or b""))


class Rest(NamedTuple):
    host: HttpHost
    gate: Gate
    port: int
    bodies: BodyBudget


class Grpc(NamedTuple):
    calls: EchoCalls
    port: int
    bodies: BodyBudget


@pytest.fixture
async def rest(unused_tcp_port: int) -> AsyncIterator[Rest]:
    gate, bodies = Gate(), BodyBudget(LIMIT)
    host = HttpHost(gate, LimitSettings(), "127.0.0.1", unused_tcp_port, bodies=bodies)
    async with host:
        yield Rest(host, gate, unused_tcp_port, bodies)
        gate.gate.set()
    await held(bodies, 0)


@pytest.fixture
async def grpc(unused_tcp_port: int) -> AsyncIterator[Grpc]:
    calls, bodies = EchoCalls(), BodyBudget(LIMIT)
    host = GrpcHost(calls, LimitSettings(), "127.0.0.1", unused_tcp_port, bodies=bodies)
    async with host:
        yield Grpc(calls, unused_tcp_port, bodies)
        calls.gate.set()
    await held(bodies, 0)


async def held(bodies: BodyBudget, size: int) -> None:
    """Returns when so many bytes are held."""
    async with asyncio.timeout(WAIT_S):
        while bodies.held_bytes != size:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Caller:
    """One connection of HTTP/1.1."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Caller":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def head(self, path: str = "/wait", size: int = SIZE, headers: bytes = b"") -> None:
        line = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n".encode()
        self.writer.write(line + headers + b"\r\n")

    async def answer(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer."""
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split()[0])
            return head, await self.reader.readexactly(size)


@pytest.mark.parametrize("headers", [b"", BINARY], ids=["parsed", "received"])
async def test_a_body_without_room_is_refused_and_its_connection_goes_on(
    rest: Rest, headers: bytes
) -> None:
    async with Caller(rest.port) as first, Caller(rest.port) as second, Caller(rest.port) as third:
        for caller in (first, second):
            caller.head(headers=headers)
            caller.writer.write(BODY)
        await held(rest.bodies, TWO)
        third.head("/", headers=headers)
        third.writer.write(BODY)
        head, body = await third.answer()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in head
        assert b"800000 bytes already, of 1199999 at most" in body

        third.head("/", 5)
        third.writer.write(b"small")
        assert (await third.answer())[1] == b"5"
        rest.gate.gate.set()
        assert (await first.answer())[1] == (await second.answer())[1] == b"%d" % SIZE
        await held(rest.bodies, 0)
        third.head("/", headers=headers)
        third.writer.write(BODY)
        assert (await third.answer())[1] == b"%d" % SIZE


@pytest.mark.parametrize("headers", [b"", BINARY], ids=["parsed", "received"])
@pytest.mark.parametrize("sent", [0, 1000, SIZE - 1, SIZE], ids=str)
async def test_a_caller_that_leaves_gives_its_bytes_back(
    rest: Rest, headers: bytes, sent: int
) -> None:
    async with Caller(rest.port) as caller:
        caller.head(headers=headers)
        caller.writer.write(BODY[:sent])
        await caller.writer.drain()
        await held(rest.bodies, SIZE)
    await held(rest.bodies, 0)


async def test_requests_that_wait_behind_another_count_too(rest: Rest) -> None:
    async with Caller(rest.port) as caller:
        for _ in range(2):
            caller.head()
            caller.writer.write(BODY)
        await held(rest.bodies, TWO)
    await held(rest.bodies, 0)


async def test_a_body_of_unknown_length_counts_as_it_comes(rest: Rest) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 100_000 + b"z" * 100_000 + b"\r\n"
    async with Caller(rest.port) as first, Caller(rest.port) as second:
        first.head(size=LIMIT - 250_000)
        await held(rest.bodies, LIMIT - 250_000)
        second.writer.write(head + 2 * chunk)
        await held(rest.bodies, LIMIT - 50_000)
        second.writer.write(2 * chunk + b"0\r\n\r\n")
        assert (await second.answer())[0].startswith(b"HTTP/1.1 503 ")
        await held(rest.bodies, LIMIT - 250_000)


async def test_what_is_refused_in_the_middle_holds_nothing(rest: Rest) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Caller(rest.port) as caller:
        caller.writer.write(head + b"%x\r\n" % 100_000 + b"z" * 100_000 + b"\r\nnonsense\r\n")
        assert (await caller.answer())[0].startswith(b"HTTP/1.1 400 ")
        await held(rest.bodies, 0)


async def test_a_caller_that_never_reads_its_answer_is_let_go(rest: Rest) -> None:
    rest.host.stalled_s = 0.2
    async with Caller(rest.port) as caller:
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.head("/big")
        caller.writer.write(BODY)
        await held(rest.bodies, SIZE)
        await held(rest.bodies, 0)


async def test_a_caller_that_reads_slowly_gets_all_of_its_answer(rest: Rest) -> None:
    # less than it takes in all
    rest.host.stalled_s = 2.5
    async with Caller(rest.port) as caller:
        caller.head("/big", 1)
        caller.writer.write(b"z")
        head = await caller.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        left = 20_000_000
        for _ in range(10):
            left -= len(await caller.reader.readexactly(1_000_000))
            await asyncio.sleep(0.3)
        assert len(await caller.reader.readexactly(left)) == left


async def test_a_call_without_room_is_refused_and_others_go_on(grpc: Grpc) -> None:
    async with Http2Caller(grpc.port) as caller:
        await caller.start()
        for stream in (1, 3):
            await upload(caller, stream, "/e/Wait", BODY[:-5])
        await held(grpc.bodies, TWO)
        caller.headers(5, "/e/Echo")
        with suppress(ConnectionError):
            await upload(caller, 5, "/e/Echo", BODY[:-5], head=False, refused=True)
        caller.call(7, "/e/Echo", b"small")
        assert await caller.answer(7) == framed(b"small")
        assert grpc.bodies.held_bytes == TWO
        caller.send(Kind.RST_STREAM, 0, 1, int(Code.CANCEL).to_bytes(4))
        await held(grpc.bodies, SIZE)
    await held(grpc.bodies, 0)


@pytest.mark.parametrize("path", ["/e/Echo", "/e/Talk"])
async def test_a_call_that_breaks_off_gives_its_bytes_back(grpc: Grpc, path: str) -> None:
    async with Http2Caller(grpc.port) as caller:
        await caller.start()
        caller.headers(1, path)
        for piece in pieces(framed(BODY)[:200_000]):
            caller.send(Kind.DATA, 0, 1, piece)
        await held(grpc.bodies, 200_000)
    await held(grpc.bodies, 0)


async def test_a_message_of_a_stream_without_room_ends_the_stream(grpc: Grpc) -> None:
    grpc.bodies.take(LIMIT - 100_000)
    async with Http2Caller(grpc.port) as caller:
        await caller.start()
        caller.headers(1, "/e/Talk")
        for piece in pieces(framed(BODY)[:200_000]):
            caller.send(Kind.DATA, 0, 1, piece)
        found = await caller.until(Kind.HEADERS, 1, END_STREAM)
        assert b"try again later" in found.payload
        assert grpc.bodies.held_bytes == LIMIT - 100_000
    grpc.bodies.give_back(LIMIT - 100_000)


def pieces(content: bytes) -> list[bytes]:
    return [content[start : start + 16_000] for start in range(0, len(content), 16_000)]


async def upload(
    caller: Http2Caller,
    stream: int,
    path: str,
    message: bytes,
    head: bool = True,
    refused: bool = False,
) -> None:
    """Sends a whole message; one that is `refused` ends with the status for it."""
    if head:
        caller.headers(stream, path)
    *most, last = pieces(framed(message))
    for piece in most:
        caller.send(Kind.DATA, 0, stream, piece)
    caller.send(Kind.DATA, END_STREAM, stream, last)
    await caller.writer.drain()
    if refused:
        found = await caller.until(Kind.HEADERS, stream, END_STREAM)
        assert b"of 1199999 at most" in found.payload
