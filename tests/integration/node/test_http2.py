"""HTTP/2 as it may come, right and wrong, on a real socket; a good call is answered after each."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest

from augurium.core.settings import LimitSettings
from augurium.node import http2_connection
from augurium.node import http2_frames as frames
from augurium.node.grpc_host import GrpcHost
from augurium.node.http2_frames import ACK, END_HEADERS, END_STREAM, Code, Kind, Setting
from tests.support.echo_calls import EchoCalls
from tests.support.http2 import WAIT_S, Http2Caller, framed

LIMIT = 200_000


class Place(NamedTuple):
    calls: EchoCalls
    port: int


@pytest.fixture
async def place(unused_tcp_port: int) -> AsyncIterator[Place]:
    calls = EchoCalls()
    limits = LimitSettings(max_body_bytes=LIMIT)
    async with GrpcHost(calls, limits, "127.0.0.1", unused_tcp_port):
        yield Place(calls, unused_tcp_port)
        await check_alive(unused_tcp_port)
        calls.gate.set()


@pytest.fixture
async def caller(place: Place) -> AsyncIterator[Http2Caller]:
    async with Http2Caller(place.port) as found:
        await found.start()
        yield found


async def check_alive(port: int) -> None:
    async with Http2Caller(port) as good:
        await good.start()
        good.call(1, "/e/Echo", b"still there")
        assert await good.answer(1) == framed(b"still there")


# what is right


async def test_calls_are_answered_one_after_the_other_and_side_by_side(
    caller: Http2Caller,
) -> None:
    for stream in range(1, 200, 2):
        caller.call(stream, "/e/Echo", b"%d" % stream)
    bodies: dict[int, bytes] = {}
    while len(bodies) < 100:
        found = await caller.frame()
        assert found is not None
        if found.kind == Kind.DATA:
            bodies[found.stream] = found.payload

    assert bodies == {stream: framed(b"%d" % stream) for stream in range(1, 200, 2)}


async def test_a_later_call_overtakes_one_that_waits(place: Place, caller: Http2Caller) -> None:
    caller.call(1, "/e/Wait", b"slow")
    caller.call(3, "/e/Echo", b"fast")

    assert await caller.answer(3) == framed(b"fast")
    place.calls.gate.set()
    assert await caller.answer(1) == framed(b"slow")


async def test_blocks_that_stand_on_earlier_ones_mean_what_the_caller_meant(
    caller: Http2Caller,
) -> None:
    stream = 1
    for number in range(300):
        # every tenth puts a new field in the table, which moves all the others
        extra = ((f"x-{number}", "1"),) if number % 10 == 0 else ()
        path = "/e/Echo" if number % 3 else "/e/Fail"
        caller.headers(stream, path, extra=extra)
        caller.send(Kind.DATA, END_STREAM, stream, framed(b"%d" % number))
        assert await caller.answer(stream) == (framed(b"%d" % number) if number % 3 else b"")
        stream += 2


async def test_a_head_in_many_frames_and_a_body_in_many_frames_are_put_together(
    caller: Http2Caller,
) -> None:
    block = caller.block("/e/Echo", (("x-long", "y" * 50),))
    caller.send(Kind.HEADERS, 0, 1, block[:3])
    caller.send(Kind.CONTINUATION, 0, 1, block[3:10])
    caller.send(Kind.CONTINUATION, END_HEADERS, 1, block[10:])
    for byte in framed(b"one by one"):
        caller.send(Kind.DATA, 0, 1, bytes([byte]))
    caller.send(Kind.DATA, END_STREAM, 1)

    assert await caller.answer(1) == framed(b"one by one")


async def test_bytes_may_arrive_in_any_pieces(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start()
        block = caller.block("/e/Echo")
        sent = frames.frame(Kind.HEADERS, END_HEADERS, 1, block)
        sent += frames.frame(Kind.DATA, END_STREAM, 1, framed(b"in pieces"))
        for byte in sent:
            caller.writer.write(bytes([byte]))
            await caller.writer.drain()
            await asyncio.sleep(0)

        assert await caller.answer(1) == framed(b"in pieces")


async def test_padding_and_priority_are_left_out(caller: Http2Caller) -> None:
    block = caller.block("/e/Echo")
    padded = bytes([4]) + b"\0\0\0\0\x10" + block + bytes(4)
    flags = END_HEADERS | frames.PADDED | frames.PRIORITY
    caller.send(Kind.HEADERS, flags, 1, padded)
    caller.send(Kind.DATA, END_STREAM | frames.PADDED, 1, bytes([7]) + framed(b"thin") + bytes(7))

    assert await caller.answer(1) == framed(b"thin")


async def test_trailers_end_a_request(caller: Http2Caller) -> None:
    caller.headers(1, "/e/Echo")
    caller.send(Kind.DATA, 0, 1, framed(b"x"))
    block = caller.encoder.encode([("x-check", "1")])
    caller.send(Kind.HEADERS, END_HEADERS | END_STREAM, 1, block)

    assert await caller.answer(1) == framed(b"x")


async def test_an_error_is_a_status_alone_with_its_text(caller: Http2Caller) -> None:
    caller.call(1, "/e/Fail", b"")
    found = await caller.until(Kind.HEADERS, 1)

    assert found.flags & END_STREAM
    assert frames.literal(b"grpc-status", b"5") in found.payload
    assert b"there is no model '%C3%A4'%0A" in found.payload


async def test_a_large_answer_waits_for_the_callers_windows(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start({Setting.INITIAL_WINDOW_SIZE: 10_000})
        caller.call(1, "/e/Big", b"100000")
        got = 0
        while got < 10_000:
            got += len((await caller.until(Kind.DATA, 1)).payload)
        assert got == 10_000
        caller.send(Kind.PING, 0, 0, b"anything")
        assert (await caller.frame()) == (Kind.PING, ACK, 0, b"anything")
        # the stream's window opens by a new setting, the connection's by its own frame
        caller.writer.write(frames.settings({Setting.INITIAL_WINDOW_SIZE: 200_000}))
        while got < frames.DEFAULT_WINDOW:
            got += len((await caller.until(Kind.DATA, 1)).payload)
        assert got == frames.DEFAULT_WINDOW
        caller.writer.write(frames.window_update(0, 1_000_000))

        assert got + len(await caller.answer(1)) == 100_005


async def test_a_callers_frame_size_is_kept(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start()
        caller.call(1, "/e/Big", b"50000")
        sizes: list[int] = []
        while sum(sizes) < 50_005:
            sizes.append(len((await caller.until(Kind.DATA, 1)).payload))

    assert max(sizes) <= frames.DEFAULT_FRAME_BYTES


async def test_more_than_a_window_may_be_sent_as_it_is_granted(caller: Http2Caller) -> None:
    for stream in range(1, 9, 2):
        message = bytes([stream]) * 180_000
        caller.headers(stream, "/e/Echo")
        content = framed(message)
        for at in range(0, len(content), 16_384):
            part = content[at : at + 16_384]
            last = END_STREAM if at + 16_384 >= len(content) else 0
            caller.send(Kind.DATA, last, stream, part)
        assert await caller.answer(stream) == content


async def test_a_caller_that_gives_up_ends_what_is_done_for_it(
    place: Place, caller: Http2Caller
) -> None:
    caller.call(1, "/e/Wait", b"")
    async with asyncio.timeout(WAIT_S):
        await place.calls.waiting.wait()
        caller.writer.write(frames.reset(1, Code.CANCEL))
        await place.calls.cancelled.wait()
    caller.call(3, "/e/Echo", b"next")

    assert await caller.answer(3) == framed(b"next")


async def test_a_connection_that_is_lost_ends_its_calls(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start()
        caller.call(1, "/e/Wait", b"")
        async with asyncio.timeout(WAIT_S):
            await place.calls.waiting.wait()
    async with asyncio.timeout(WAIT_S):
        await place.calls.cancelled.wait()


async def test_a_fault_of_the_server_ends_one_call(caller: Http2Caller) -> None:
    caller.call(1, "/e/Broken", b"")
    assert await caller.reset(1) == Code.INTERNAL_ERROR
    caller.call(3, "/e/Echo", b"next")
    assert await caller.answer(3) == framed(b"next")


@pytest.mark.parametrize(("text", "seconds"), [("5S", 5.0), ("25000m", 25.0), ("9000000u", 9.0)])
async def test_a_deadline_is_what_is_left_of_it(
    place: Place, caller: Http2Caller, text: str, seconds: float
) -> None:
    started = time.monotonic()
    caller.headers(1, "/e/Echo", extra=(("grpc-timeout", text),))
    caller.send(Kind.DATA, END_STREAM, 1, framed(b""))
    await caller.answer(1)
    elapsed_s = time.monotonic() - started

    assert place.calls.timeout_s is not None
    assert seconds - elapsed_s <= place.calls.timeout_s <= seconds


@pytest.mark.parametrize(
    ("text", "status"), [("0n", b"4"), ("1n", b"4"), ("-1S", b"3"), ("1", b"3"), ("1x", b"3")]
)
async def test_a_deadline_that_has_passed_or_is_none_is_told(
    place: Place, caller: Http2Caller, text: str, status: bytes
) -> None:
    caller.headers(1, "/e/Wait", extra=(("grpc-timeout", text),))
    caller.send(Kind.DATA, END_STREAM, 1, framed(b""))
    found = await caller.until(Kind.HEADERS, 1)

    assert frames.literal(b"grpc-status", status) in found.payload
    assert not place.calls.waiting.is_set()


# streams of messages


async def test_messages_are_answered_while_they_come(caller: Http2Caller) -> None:
    caller.headers(1, "/e/Talk")
    for number in range(5):
        caller.send(Kind.DATA, 0, 1, framed(b"%d" % number))
        assert (await caller.until(Kind.DATA, 1)).payload == framed(b"%d" % number)
    caller.send(Kind.DATA, END_STREAM, 1, framed(b"a") + framed(b"b"))

    assert await caller.answer(1) == framed(b"a") + framed(b"b")


async def test_an_error_after_answers_is_told_in_the_trailers(caller: Http2Caller) -> None:
    caller.headers(1, "/e/Talk")
    caller.send(Kind.DATA, 0, 1, framed(b"a") + framed(b"fail"))
    assert (await caller.until(Kind.DATA, 1)).payload == framed(b"a")
    found = await caller.until(Kind.HEADERS, 1, END_STREAM)

    assert frames.literal(b"grpc-status", b"5") in found.payload
    # what the caller would still send is not wanted
    assert await caller.reset(1) == Code.NO_ERROR


async def test_a_caller_that_does_not_read_holds_up_what_is_made_for_it(
    place: Place, caller: Http2Caller
) -> None:
    caller.headers(1, "/e/Count")
    caller.send(Kind.DATA, 0, 1, framed(b"1000000"))
    given = -1
    async with asyncio.timeout(WAIT_S):
        while place.calls.given != given or given <= 0:
            given = place.calls.given
            await asyncio.sleep(0.2)
    assert given < 100
    caller.writer.write(frames.reset(1, Code.CANCEL))
    async with asyncio.timeout(WAIT_S):
        await place.calls.closed.wait()


async def test_a_caller_may_not_send_more_than_is_taken(place: Place, caller: Http2Caller) -> None:
    caller.headers(1, "/e/Talk")
    # the answers are not taken, so neither are the messages, beyond a window of them
    for _ in range(80):
        caller.send(Kind.DATA, 0, 1, framed(bytes(10_000)))
    await asyncio.sleep(0.2)

    assert 0 < place.calls.taken < 20


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\0\0\0\0\x09short", b"3"),
        (b"\0\0", b"3"),
        (b"\0\x7f\xff\xff\xff", b"8"),
        (b"\0" + (LIMIT + 1).to_bytes(4), b"8"),
    ],
)
@pytest.mark.parametrize("path", ["/e/Talk", "/e/Echo"])
async def test_a_message_that_is_none_is_told_so(
    caller: Http2Caller, path: str, body: bytes, status: bytes
) -> None:
    caller.headers(1, path)
    caller.send(Kind.DATA, END_STREAM, 1, body)
    found = await caller.until(Kind.HEADERS, 1)

    assert frames.literal(b"grpc-status", status) in found.payload


async def test_a_message_above_the_limit_is_refused_while_it_comes(caller: Http2Caller) -> None:
    caller.headers(1, "/e/Echo")
    for _ in range(LIMIT // 16_000 + 1):
        caller.send(Kind.DATA, 0, 1, bytes(16_000))
    found = await caller.until(Kind.HEADERS, 1)

    assert frames.literal(b"grpc-status", b"8") in found.payload
    assert await caller.reset(1) == Code.NO_ERROR


async def test_a_strangers_large_message_is_not_kept(unused_tcp_port: int) -> None:
    calls = EchoCalls(known=False)
    async with (
        GrpcHost(calls, LimitSettings(), "127.0.0.1", unused_tcp_port),
        Http2Caller(unused_tcp_port) as caller,
    ):
        await caller.start()
        caller.headers(1, "/e/Echo")
        for _ in range(10):
            caller.send(Kind.DATA, 0, 1, bytes(16_000))
        caller.send(Kind.DATA, END_STREAM, 1)
        found = await caller.until(Kind.HEADERS, 1)

    assert frames.literal(b"grpc-status", b"16") in found.payload


# what is wrong with one request


@pytest.mark.parametrize(
    "fields",
    [
        ((":method", "POST"), (":scheme", "http")),
        ((":method", "POST"), (":scheme", "http"), (":path", "no-slash")),
        ((":method", "POST"), (":path", "/e/Echo")),
        ((":method", "POST"), (":method", "GET"), (":scheme", "http"), (":path", "/")),
        ((":method", "POST"), ("te", "x"), (":scheme", "http"), (":path", "/")),
        ((":method", "POST"), (":scheme", "http"), (":path", "/"), (":status", "200")),
        ((":method", "POST"), (":scheme", "http"), (":path", "/"), ("connection", "close")),
        ((":method", "POST"), (":scheme", "http"), (":path", "/"), ("Upper", "x")),
        ((":method", "POST"), (":scheme", "http"), (":path", "/"), ("x", "a\r\nb: c")),
    ],
)
async def test_a_malformed_head_costs_its_request(
    caller: Http2Caller, fields: tuple[tuple[str, str], ...]
) -> None:
    caller.send(Kind.HEADERS, END_HEADERS, 1, caller.encoder.encode(fields))
    assert await caller.reset(1) == Code.PROTOCOL_ERROR
    caller.call(3, "/e/Echo", b"next")
    assert await caller.answer(3) == framed(b"next")


@pytest.mark.parametrize(
    ("fields", "status"),
    [((("content-type", "text/html"),), b"415"), ((), b"415")],
)
async def test_what_is_not_grpc_is_refused(
    caller: Http2Caller, fields: tuple[tuple[str, str], ...], status: bytes
) -> None:
    head = ((":method", "POST"), (":scheme", "http"), (":path", "/"), *fields)
    caller.send(Kind.HEADERS, END_HEADERS | END_STREAM, 1, caller.encoder.encode(head))

    assert (await caller.until(Kind.HEADERS, 1)).payload == b"\x08\x03" + status


async def test_http_1_is_told_what_this_port_answers(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(WAIT_S):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 415")
    assert answer.endswith(b"\r\n\r\nthis port answers gRPC only\n")


async def test_streams_beyond_the_limit_are_refused(place: Place, caller: Http2Caller) -> None:
    most = http2_connection.MAX_STREAMS
    for number in range(most + 1):
        caller.call(2 * number + 1, "/e/Wait", b"")

    assert await caller.reset(2 * most + 1) == Code.REFUSED_STREAM
    place.calls.gate.set()
    assert await caller.answer(1) == framed(b"")


async def test_data_after_the_end_costs_its_stream(place: Place, caller: Http2Caller) -> None:
    caller.call(1, "/e/Wait", b"")
    caller.send(Kind.DATA, 0, 1, b"more")

    assert await caller.reset(1) == Code.STREAM_CLOSED


async def test_frames_for_a_stream_that_was_answered_are_ignored(caller: Http2Caller) -> None:
    caller.call(1, "/e/Echo", b"")
    await caller.answer(1)
    caller.send(Kind.DATA, 0, 1, b"late")
    caller.writer.write(frames.reset(1, Code.CANCEL) + frames.window_update(1, 10))
    caller.send(Kind(200 % 10), 0, 1, b"\0\0\0\0\0")
    caller.call(3, "/e/Echo", b"next")

    assert await caller.answer(3) == framed(b"next")


# what is wrong with the whole connection

Sending = Callable[[Http2Caller], None]


def _flood(kind: Kind, flags: int, stream: int, payload: bytes) -> Sending:
    def send(caller: Http2Caller) -> None:
        if stream:
            caller.headers(stream, "/e/Wait")
        for _ in range(int(http2_connection.PATIENCE) * 3):
            caller.send(kind, flags, stream, payload)

    return send


def _rapid_resets(caller: Http2Caller) -> None:
    for stream in range(1, 20_000, 2):
        caller.call(stream, "/e/Wait", b"")
        caller.writer.write(frames.reset(stream, Code.CANCEL))


def _endless_head(caller: Http2Caller) -> None:
    caller.send(Kind.HEADERS, 0, 1, caller.block("/e/Echo"))
    for _ in range(100):
        caller.send(Kind.CONTINUATION, 0, 1, b"")


def _large_head(caller: Http2Caller) -> None:
    block = caller.encoder.encode([(":method", "POST"), ("x", "y" * 100_000)], huffman=False)
    for number, at in enumerate(range(0, len(block), 16_000)):
        kind = Kind.CONTINUATION if number else Kind.HEADERS
        caller.send(kind, 0, 1, block[at : at + 16_000])


def _header_bomb(caller: Http2Caller) -> None:
    """One large field in the table, named a thousand times."""
    caller.send(Kind.HEADERS, END_HEADERS, 1, b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000)
    caller.send(Kind.HEADERS, END_HEADERS, 3, b"\xbe" * 10_000)


def _one(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> Sending:
    return lambda caller: caller.send(kind, flags, stream, payload)


BROKEN: dict[str, tuple[Sending, Code]] = {
    "a frame above the limit": (
        _one(Kind.DATA, 0, 1, bytes(http2_connection.FRAME_BYTES + 1)), Code.FRAME_SIZE_ERROR,
    ),
    "a PING on a stream": (_one(Kind.PING, 0, 1, bytes(8)), Code.FRAME_SIZE_ERROR),
    "a PING of 7 bytes": (_one(Kind.PING, 0, 0, bytes(7)), Code.FRAME_SIZE_ERROR),
    "SETTINGS of 5 bytes": (_one(Kind.SETTINGS, 0, 0, bytes(5)), Code.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (_one(Kind.SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
    "a frame size of 1": (
        lambda c: c.writer.write(frames.settings({Setting.MAX_FRAME_SIZE: 1})), Code.PROTOCOL_ERROR,
    ),
    "a window of 2^31": (
        lambda c: c.writer.write(frames.settings({Setting.INITIAL_WINDOW_SIZE: 2**31})),
        Code.FLOW_CONTROL_ERROR,
    ),
    "a connection window above 2^31": (
        lambda c: c.writer.write(frames.window_update(0, 2**31 - 1)), Code.FLOW_CONTROL_ERROR,
    ),
    "a window update of 3 bytes": (
        _one(Kind.WINDOW_UPDATE, 0, 0, bytes(3)), Code.FRAME_SIZE_ERROR,
    ),
    "DATA on stream 0": (_one(Kind.DATA, 0, 0, b"x"), Code.PROTOCOL_ERROR),
    "DATA before HEADERS": (_one(Kind.DATA, 0, 1, b"x"), Code.PROTOCOL_ERROR),
    "a reset before HEADERS": (_one(Kind.RST_STREAM, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "a window before HEADERS": (_one(Kind.WINDOW_UPDATE, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "HEADERS on an even stream": (lambda c: c.headers(2, "/e/Echo"), Code.PROTOCOL_ERROR),
    "HEADERS on stream 0": (lambda c: c.headers(0, "/e/Echo"), Code.PROTOCOL_ERROR),
    "a push": (_one(Kind.PUSH_PROMISE, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "CONTINUATION alone": (_one(Kind.CONTINUATION, END_HEADERS, 1), Code.PROTOCOL_ERROR),
    "padding beyond the frame": (
        _one(Kind.HEADERS, END_HEADERS | frames.PADDED, 1, b"\xff1"), Code.PROTOCOL_ERROR,
    ),
    "headers that are none": (
        _one(Kind.HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR,
    ),
    "a table beyond what was granted": (
        _one(Kind.HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\x03"), Code.COMPRESSION_ERROR,
    ),
    "a head without end": (_endless_head, Code.ENHANCE_YOUR_CALM),
    "a head of 100 KB": (_large_head, Code.ENHANCE_YOUR_CALM),
    "a bomb of headers": (_header_bomb, Code.COMPRESSION_ERROR),
    "a flood of PING": (_flood(Kind.PING, 0, 0, bytes(8)), Code.ENHANCE_YOUR_CALM),
    "a flood of SETTINGS": (_flood(Kind.SETTINGS, 0, 0, b""), Code.ENHANCE_YOUR_CALM),
    "a flood of PRIORITY": (_flood(Kind.PRIORITY, 0, 1, bytes(5)), Code.ENHANCE_YOUR_CALM),
    "a flood of empty DATA": (_flood(Kind.DATA, 0, 1, b""), Code.ENHANCE_YOUR_CALM),
    "streams opened and reset": (_rapid_resets, Code.ENHANCE_YOUR_CALM),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_rule_ends_the_connection_with_its_reason(place: Place, name: str) -> None:
    send, code = BROKEN[name]
    async with Http2Caller(place.port) as caller:
        await caller.start()
        send(caller)

        assert await caller.goodbye() == code


async def test_a_connection_that_says_nothing_is_closed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2_connection, "FIRST_WORDS_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    async with asyncio.timeout(WAIT_S):
        await reader.read()
    writer.close()


async def test_settings_come_first(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        caller.writer.write(frames.PREFACE)
        caller.headers(1, "/e/Echo")

        assert await caller.goodbye() == Code.PROTOCOL_ERROR


async def test_a_host_that_stops_answers_what_it_accepted(unused_tcp_port: int) -> None:
    calls = EchoCalls()
    host = GrpcHost(calls, LimitSettings(), "127.0.0.1", unused_tcp_port)
    await host.__aenter__()
    async with Http2Caller(unused_tcp_port) as caller:
        await caller.start()
        caller.call(1, "/e/Wait", b"accepted")
        async with asyncio.timeout(WAIT_S):
            await calls.waiting.wait()
        stopping: Awaitable[None] = asyncio.ensure_future(host.__aexit__())
        last = await caller.until(Kind.GOAWAY)
        calls.gate.set()

        assert last.payload[:8] == bytes([0, 0, 0, 1, 0, 0, 0, Code.NO_ERROR])
        assert await caller.answer(1) == framed(b"accepted")
        assert await caller.frame() is None
        await stopping
