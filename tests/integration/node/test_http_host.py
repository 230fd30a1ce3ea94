"""The HTTP host on a real socket, with a handler that tells what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from augurium.core.settings import LimitSettings
from augurium.node import http_connection
from augurium.node.body_budget import BodyBudget
from augurium.node.http_host import HttpHost
from augurium.protocols.http import HttpRequest, HttpResponse, json_response

LIMIT = 10_000
# of /proc/net/tcp
ESTABLISHED, KEEPALIVE_TIMER = "01", "02"
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Echo:
    """Answers with what it got; `/wait` waits until it is let go, `/big` answers much."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/wait":
            self.waiting.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if request.path == "/big":
            return HttpResponse(200, [], b"x" * 5_000_000)
        size = None if request.body is None else len(request.body)
        return json_response([request.method, request.path, size])


class Place(NamedTuple):
    host: HttpHost
    echo: Echo
    port: int


@pytest.fixture
async def place(unused_tcp_port: int) -> AsyncIterator[Place]:
    echo = Echo()
    limits = LimitSettings(max_body_bytes=LIMIT)
    async with HttpHost(echo, limits, "127.0.0.1", unused_tcp_port) as host:
        yield Place(host, echo, unused_tcp_port)
        echo.gate.set()


async def ask(place: Place, *pieces: bytes) -> bytes:
    """Everything the host answers until it closes, or nothing more comes after the last piece."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def post(body: bytes, headers: bytes = b"") -> bytes:
    size = b"%d" % len(body)
    return (
        b"POST /p HTTP/1.1\r\nHost: x\r\n"
        + headers
        + b"Content-Length: "
        + size
        + b"\r\n\r\n"
        + body
    )


async def one(place: Place, request: bytes) -> bytes:
    """One answer on a connection that asks for its end."""
    closing = request.replace(b"Host: x", b"Host: x\r\nConnection: close", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(closing)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_request_is_answered_with_its_length(place: Place) -> None:
    head, _, body = (await one(place, post(b"hello"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 15\r\n" in head
    assert body == b'["POST","/p",5]'


async def test_a_connection_is_kept_and_pipelined_answers_keep_their_order(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    paths = [b"/%d" % number for number in range(10)]
    writer.write(b"".join(GET.replace(b"/a", path) for path in paths))
    for path in paths:
        await reader.readuntil(b"\r\n\r\n")
        assert path in await reader.readuntil(b"]")
    writer.write(GET)
    assert (await reader.readuntil(b"]")).endswith(b'["GET","/a",0]')
    writer.close()


async def test_a_request_may_come_byte_by_byte(place: Place) -> None:
    request = post(b"abc").replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await one_slowly(place, [request[i : i + 1] for i in range(len(request))])
    assert answer.endswith(b'["POST","/p",3]')


async def one_slowly(place: Place, pieces: list[bytes]) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.0005)
    answer = await reader.read()
    writer.close()
    return answer


async def test_chunks_are_joined_and_bounded(place: Place) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await one(place, head + b"1\r\na\r\n" * 5000 + b"0\r\n\r\n")
    assert answer.endswith(b'["POST","/p",5000]')
    answer = await one(place, head + b"1\r\na\r\n" * (LIMIT + 1) + b"0\r\n\r\n")
    assert answer.endswith(b'["POST","/p",null]')


async def test_a_body_at_the_limit_passes_and_one_above_is_thrown_away(place: Place) -> None:
    assert (await one(place, post(b"a" * LIMIT))).endswith(b'["POST","/p",10000]')
    assert (await one(place, post(b"a" * (LIMIT + 1)))).endswith(b'["POST","/p",null]')
    assert b" 413 " in (await one(place, post(b"a" * (3 * LIMIT))))[:20]


async def test_expect_is_answered_before_the_body(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    request = post(b"abc", b"Expect: 100-continue\r\n")
    writer.write(request[:-3])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(request[-3:])
    assert (await reader.readuntil(b"]")).endswith(b'["POST","/p",3]')
    writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000,
        b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    ],
)
async def test_what_breaks_the_protocol_is_refused_and_the_connection_closed(
    place: Place, request_bytes: bytes
) -> None:
    answer = await ask(place, request_bytes)
    assert int(answer.split(b" ")[1]) in (400, 431)
    assert b"connection: close\r\n" in answer
    assert (await one(place, GET)).endswith(b'["GET","/a",0]')


async def test_an_upgrade_is_not_followed(place: Place) -> None:
    request = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = await ask(place, request + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer


async def test_an_answer_in_progress_is_sent_before_garbage_closes_the_connection(
    place: Place,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(GET.replace(b"/a", b"/wait") + b"GARBAGE\r\n\r\n")
    await place.echo.waiting.wait()
    place.echo.gate.set()
    assert (await reader.read()).endswith(b'["GET","/wait",0]')
    writer.close()


async def test_a_caller_that_leaves_takes_its_request_with_it(place: Place) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(GET.replace(b"/a", b"/wait"))
    await place.echo.waiting.wait()
    writer.transport.abort()
    await asyncio.wait_for(place.echo.cancelled.wait(), 5)


async def test_an_old_caller_gets_its_answer_and_the_end(place: Place) -> None:
    answer = await ask(place, b"GET /a HTTP/1.0\r\n\r\n")
    assert answer.endswith(b'["GET","/a",0]')
    assert b"connection: close\r\n" in answer


async def test_a_slow_reader_gets_everything(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=1024)
    writer.write(GET.replace(b"/a", b"/big") + GET)
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(50):
        await reader.readexactly(100_000)
    assert (await reader.readuntil(b"]")).endswith(b'["GET","/a",0]')
    writer.close()


async def test_too_many_pipelined_requests_are_refused(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(GET.replace(b"/a", b"/wait") + GET * 50)
    await place.echo.waiting.wait()
    place.echo.gate.set()
    answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200") == 1
    writer.close()


async def test_leaving_finishes_what_was_accepted_and_closes_the_idle(unused_tcp_port: int) -> None:
    echo = Echo()
    limits = LimitSettings(max_body_bytes=LIMIT)
    async with HttpHost(echo, limits, "127.0.0.1", unused_tcp_port) as host:
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        half, half_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        half_writer.write(post(b"hello")[:-2])
        busy, busy_writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        busy_writer.write(GET.replace(b"/a", b"/wait"))
        await echo.waiting.wait()
        leaving = asyncio.create_task(host.__aexit__())
        assert await idle.read() == b""
        assert await half.read() == b""
        assert not leaving.done()
        echo.gate.set()
        assert (await busy.read()).endswith(b'["GET","/wait",0]')
        await leaving
    for writer in (idle_writer, half_writer, busy_writer):
        writer.close()


@pytest.mark.parametrize("name", ["Host", "Authorization"])
async def test_a_header_that_may_come_once_is_refused_twice(place: Place, name: str) -> None:
    twice = f"GET /a HTTP/1.1\r\nHost: x\r\n{name}: y\r\n{name.lower()}: z\r\n\r\n"
    answer = await ask(place, twice.encode())

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert f"more than one {name} header".encode() in answer


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(("header", "size"), [("Bearer good", 100_000), ("Bearer bad", None)])
async def test_a_large_body_is_kept_only_of_callers_who_are_known(
    unused_tcp_port: int, framing: str, header: str, size: int | None
) -> None:
    limits = LimitSettings(max_body_bytes=1_000_000)
    body = b"x" * 100_000
    head = f"POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\n"
    message = (
        f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if framing == "length"
        else f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode()
        + body
        + b"\r\n0\r\n\r\n"
    )
    echo = Echo()

    def knows(header: str | None, _names: tuple[str, ...]) -> bool:
        return header == "Bearer good"

    async with HttpHost(echo, limits, "127.0.0.1", unused_tcp_port, None, knows) as host:
        answers = await ask(Place(host, echo, unused_tcp_port), message + GET)

    kept = "null" if size is None else str(size)
    assert f'["POST","/a",{kept}]' in answers.decode()
    assert '["GET","/a",0]' in answers.decode()


def test_silent_and_slow_callers_become_overdue() -> None:
    async def scenario() -> None:
        class Host:
            handler = Echo()
            max_body_bytes = LIMIT
            date_line = b"\r\n"
            bodies = BodyBudget(LIMIT)
            stalled_s = 60.0
            stopping = False
            knows = None

            def opened(self, _connection: http_connection.HttpConnection) -> bool:
                return True

            def closed(self, _connection: http_connection.HttpConnection) -> None: ...

        loop = asyncio.get_running_loop()
        now = loop.time()
        silent = http_connection.HttpConnection(Host(), loop)
        slow = http_connection.HttpConnection(Host(), loop)
        slow.data_received(b"GET / HTTP/1.1\r\n")
        assert not silent.overdue(now + http_connection.IDLE_S - 1)
        assert silent.overdue(now + http_connection.IDLE_S + 60)
        assert not slow.overdue(now + http_connection.SLOW_REQUEST_S - 1)
        assert slow.overdue(now + http_connection.SLOW_REQUEST_S + 60)

    asyncio.run(scenario())


async def test_a_peer_that_is_gone_without_a_word_is_noticed(place: Place) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(GET)
    await asyncio.sleep(0)
    theirs = writer.get_extra_info("sockname")[1]
    async with asyncio.timeout(10):
        while _timer(place.port, theirs) != KEEPALIVE_TIMER:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    writer.close()


def _timer(local: int, remote: int) -> str:
    """What the kernel waits for on an established connection (Linux, proc_net_tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, _, timer, *_ = line.split()
        ports = [int(address.partition(":")[2], 16) for address in (here, there)]
        if ports == [local, remote] and state == ESTABLISHED:
            return timer.partition(":")[0]
    return ""
