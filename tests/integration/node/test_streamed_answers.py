"""Answers that come piece by piece, on a real socket."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

import pytest

from augurium.core.settings import LimitSettings
from augurium.node.http_host import HttpHost
from augurium.protocols.http import HttpRequest, StreamedResponse

WAIT_S = 10.0


class Pieces:
    """Answers with as many pieces of `size` bytes as the path says; `/endless` never ends."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = asyncio.Event()
        self.size = 5

    async def __call__(self, request: HttpRequest) -> StreamedResponse:
        return StreamedResponse(200, [("content-type", "text/plain")], self._pieces(request.path))

    async def _pieces(self, path: str) -> AsyncGenerator[bytes, None]:
        try:
            if path == "/broken":
                yield b"first"
                raise RuntimeError("no second piece")
            count = 10**9 if path == "/endless" else int(path[1:])
            for number in range(count):
                self.made += 1
                yield b"%d" % (number % 10) * self.size
        finally:
            self.closed.set()


class Place(NamedTuple):
    pieces: Pieces
    port: int


@pytest.fixture
async def place(unused_tcp_port: int) -> AsyncIterator[Place]:
    pieces = Pieces()
    async with HttpHost(pieces, LimitSettings(), "127.0.0.1", unused_tcp_port):
        yield Place(pieces, unused_tcp_port)


async def ask(place: Place, path: str, version: str = "1.1") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"GET {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(WAIT_S):
        answer = await reader.read()
    writer.close()
    return answer


async def test_every_piece_is_a_chunk_and_the_body_has_an_end(place: Place) -> None:
    head, _, body = (await ask(place, "/3")).partition(b"\r\n\r\n")

    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body == b"5\r\n00000\r\n5\r\n11111\r\n5\r\n22222\r\n0\r\n\r\n"


async def test_an_answer_without_pieces_has_an_end_too(place: Place) -> None:
    assert (await ask(place, "/0")).endswith(b"\r\n\r\n0\r\n\r\n")


async def test_a_caller_of_http_1_0_gets_the_bare_pieces(place: Place) -> None:
    head, _, body = (await ask(place, "/2", "1.0")).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head
    assert body == b"0000011111"


async def test_a_body_that_breaks_off_has_no_end(place: Place) -> None:
    body = (await ask(place, "/broken")).partition(b"\r\n\r\n")[2]

    assert body == b"5\r\nfirst\r\n"
    assert place.pieces.closed.is_set()


async def test_the_connection_takes_the_next_request_after_a_streamed_answer(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    for _ in range(2):
        writer.write(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            assert b"00000" in await reader.readuntil(b"0\r\n\r\n")
    writer.close()


async def test_a_caller_that_leaves_ends_what_is_made_for_it(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"11111")
    writer.transport.abort()

    async with asyncio.timeout(WAIT_S):
        await place.pieces.closed.wait()


async def test_a_caller_that_does_not_read_holds_up_what_is_made_for_it(place: Place) -> None:
    place.pieces.size = 64 * 1024
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    before = -1
    async with asyncio.timeout(WAIT_S):
        while place.pieces.made != before:
            before = place.pieces.made
            await asyncio.sleep(0.3)

    assert before * place.pieces.size < 64 * 1024 * 1024
    writer.transport.abort()


async def test_a_caller_that_takes_nothing_for_too_long_is_let_go(unused_tcp_port: int) -> None:
    pieces = Pieces()
    pieces.size = 64 * 1024
    async with HttpHost(pieces, LimitSettings(), "127.0.0.1", unused_tcp_port) as host:
        host.stalled_s = 0.2
        _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            await pieces.closed.wait()
        writer.transport.abort()
