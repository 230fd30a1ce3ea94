"""A host that leaves, or that shares its connections with others, costs nobody a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable

import pytest

from augurium.core.settings import LimitSettings
from augurium.node import connection_host
from augurium.node.grpc_host import GrpcHost
from augurium.node.http2_frames import END_STREAM, Kind
from augurium.node.http_host import HttpHost
from augurium.protocols.http import HttpRequest, HttpResponse, json_response
from tests.support.echo_calls import EchoCalls
from tests.support.http2 import WAIT_S, Http2Caller, framed

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b'["GET","/a"]'
CLOSE = b"connection: close\r\n"


async def echo(request: HttpRequest) -> HttpResponse:
    return json_response([request.method, request.path])


@pytest.fixture
async def host(unused_tcp_port: int) -> AsyncIterator[HttpHost]:
    async with HttpHost(echo, LimitSettings(), "127.0.0.1", unused_tcp_port) as host:
        yield host


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(WAIT_S):
        return await reader.readuntil(ANSWER)


async def test_a_connection_that_waits_to_be_accepted_is_answered(
    host: HttpHost, unused_tcp_port: int
) -> None:
    # the system makes connections without us; our loop does not get to accept it before it leaves
    waiting = [socket.create_connection(("127.0.0.1", unused_tcp_port)) for _ in range(20)]
    host.leave()

    for made in waiting:
        reader, writer = await asyncio.open_connection(sock=made)
        writer.write(GET)
        assert CLOSE in await answer(reader)
        writer.close()


async def test_a_first_request_on_its_way_is_answered(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_host, "LINGER_S", 5.0)
    host = HttpHost(echo, LimitSettings(), "127.0.0.1", unused_tcp_port)
    await host.__aenter__()
    reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    leaving: Awaitable[None] = asyncio.ensure_future(host.__aexit__())
    await asyncio.sleep(0.02)
    writer.write(GET)

    assert CLOSE in await answer(reader)
    await leaving
    writer.close()


async def test_who_is_turned_away_gets_an_answer_and_the_end(
    host: HttpHost, unused_tcp_port: int
) -> None:
    before, before_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    before_writer.write(GET)
    assert CLOSE not in await answer(before)
    host.turn_away()
    after, after_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)

    for reader, writer in ((before, before_writer), (after, after_writer)):
        writer.write(GET)
        assert CLOSE in await answer(reader)
        assert await reader.read() == b""
        writer.close()


async def test_connections_are_shared_out_after_their_next_answer(
    host: HttpHost, unused_tcp_port: int
) -> None:
    old = [await asyncio.open_connection("127.0.0.1", unused_tcp_port) for _ in range(3)]
    for reader, writer in old:
        writer.write(GET)
        await answer(reader)
    await host.share_out()
    new, new_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)

    for reader, writer in old:
        writer.write(GET)
        assert CLOSE in await answer(reader)
        assert await reader.read() == b""
        writer.close()
    for _ in range(2):
        new_writer.write(GET)
        assert CLOSE not in await answer(new)
    new_writer.close()


async def test_calls_go_on_while_connections_are_shared_out(unused_tcp_port: int) -> None:
    calls = EchoCalls()
    host = GrpcHost(calls, LimitSettings(), "127.0.0.1", unused_tcp_port)
    await host.__aenter__()
    async with Http2Caller(unused_tcp_port) as caller:
        await caller.start()
        caller.headers(1, "/e/Talk")
        caller.send(Kind.DATA, 0, 1, framed(b"a"))
        assert (await caller.until(Kind.DATA, 1)).payload == framed(b"a")
        await host.share_out()
        assert (await caller.until(Kind.GOAWAY)).payload[:4] == bytes([0, 0, 0, 1])
        caller.send(Kind.DATA, END_STREAM, 1, framed(b"b"))

        assert await caller.answer(1) == framed(b"b")
    async with Http2Caller(unused_tcp_port) as caller:
        await caller.start()
        caller.call(1, "/e/Echo", b"more")
        assert await caller.answer(1) == framed(b"more")
    await host.__aexit__()


async def test_a_call_that_was_shared_out_is_told_when_the_host_stops(unused_tcp_port: int) -> None:
    host = GrpcHost(EchoCalls(), LimitSettings(), "127.0.0.1", unused_tcp_port)
    await host.__aenter__()
    async with Http2Caller(unused_tcp_port) as caller:
        await caller.start()
        caller.headers(1, "/e/Talk")
        caller.send(Kind.DATA, 0, 1, framed(b"a"))
        await caller.until(Kind.DATA, 1)
        await host.share_out()
        stopping: Awaitable[None] = asyncio.ensure_future(host.__aexit__())

        assert b"the server is stopping" in (await caller.until(Kind.HEADERS, 1)).payload
        await stopping
