"""The bad-input cases of gRPC, sent as bytes that no client library would send.

After each the node is alive and answers right, which the `still_serving` fixture asks over REST and
the fixture here over gRPC.
"""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from augurium.node import http2_frames as frames
from augurium.node.http2_connection import STREAM_WINDOW
from augurium.node.http2_frames import END_HEADERS, END_STREAM, Code, Kind, Setting
from augurium.protocols.errors_grpc import GrpcStatus
from tests.support.http2 import Frame, Http2Caller, framed
from tests.support.node import Node

SERVICE = "/inference.GRPCInferenceService"
INFER, STREAM = f"{SERVICE}/ModelInfer", f"{SERVICE}/ModelStreamInfer"
MEBIBYTE = 1024 * 1024
LIMIT = 64 * MEBIBYTE
PART = 16_384
REFUSED = GrpcStatus.INVALID_ARGUMENT


def message(**changes: object) -> pb.ModelInferRequest:
    found = pb.ModelInferRequest(
        model_name="simple", raw_input_contents=[np.arange(16, dtype=np.int32).tobytes()] * 2
    )
    for name in ("INPUT0", "INPUT1"):
        found.inputs.add(name=name, datatype="INT32", shape=[1, 16])
    for name, value in changes.items():
        setattr(found, name, value)
    return found


GOOD = message().SerializeToString()


@pytest.fixture
async def caller(node: Node) -> AsyncIterator[Http2Caller]:
    port = int(node.grpc.rpartition(":")[2])
    async with Http2Caller(port) as caller:
        await caller.start({Setting.INITIAL_WINDOW_SIZE: MEBIBYTE})
        yield caller
    async with Http2Caller(port) as neighbour:
        await neighbour.start()
        neighbour.call(1, INFER, GOOD)
        answer = pb.ModelInferResponse.FromString((await neighbour.answer(1))[5:])
        sums = np.frombuffer(answer.raw_output_contents[0], np.int32)
        assert sums.tolist() == list(range(0, 32, 2))


async def status(caller: Http2Caller, stream: int = 1) -> tuple[GrpcStatus, str]:
    """How a stream ended. Its trailers are literals, so they can be read as they are."""
    while True:
        found = await caller.frame()
        assert found is not None, "the connection ended before the call did"
        if found.kind == Kind.RST_STREAM and found.stream == stream:
            pytest.fail(f"reset with {Code(int.from_bytes(found.payload)).name}")
        if found.kind == Kind.HEADERS and found.stream == stream and found.flags & END_STREAM:
            return _status(found)


def _status(found: Frame) -> tuple[GrpcStatus, str]:
    _, _, rest = found.payload.partition(b"\x0bgrpc-status")
    number = rest[1 : 1 + rest[0]]
    _, _, text = rest.partition(b"\x0cgrpc-message")
    return GrpcStatus(int(number)), text.decode("latin-1")


def groups(levels: int) -> bytes:
    """Unknown groups in each other: starts and ends of field 100."""
    return b"\xa3\x06" * levels + b"\xa4\x06" * levels


def wrong_field() -> pb.ModelInferRequest:
    found = message()
    del found.raw_input_contents[:]
    for tensor in found.inputs:
        tensor.datatype = "FP32"
        tensor.contents.int_contents.extend(range(16))
    return found


def one_raw() -> pb.ModelInferRequest:
    found = message()
    found.raw_input_contents.pop()
    return found


def three_raw() -> pb.ModelInferRequest:
    found = message()
    found.raw_input_contents.append(b"")
    return found


def both() -> pb.ModelInferRequest:
    found = message()
    found.inputs[0].contents.int_contents.extend(range(16))
    return found


def big(content: pb.ModelInferRequest) -> bytes:
    """Beyond the size from which raw contents are read by hand."""
    known: bytes = content.SerializeToString()
    return known + b"\xa2\x06\x80\x80\x08" + bytes(128 * 1024)


LATIN = b"\x0a\x06simpl\xe9"
# name: the message, and the status and a part of the text that it gets
MESSAGES: dict[str, tuple[bytes, GrpcStatus, str]] = {
    "GR-05 10 000 unknown groups": (GOOD + groups(10_000), REFUSED, "not a valid"),
    "GR-05 100 000 unknown groups": (GOOD + groups(100_000), REFUSED, "not a valid"),
    "GR-05 groups that do not end": (GOOD + b"\xa3\x06" * 5000, REFUSED, "not a valid"),
    "GR-07 too few raw contents": (
        one_raw().SerializeToString(), REFUSED, "raw_input_contents has 1 entries for 2 inputs",
    ),
    "GR-07 too many raw contents": (
        three_raw().SerializeToString(), REFUSED, "raw_input_contents has 3 entries for 2 inputs",
    ),
    "GR-07 too few, in a large message": (
        big(one_raw()), REFUSED, "raw_input_contents has 1 entries for 2 inputs",
    ),
    "GR-07 raw and typed": (both().SerializeToString(), REFUSED, "send one of them"),
    "GR-09 wrong field": (
        wrong_field().SerializeToString(), REFUSED, "must fill 'fp32_contents' alone",
    ),
    "GR-11 a name that is not UTF-8": (LATIN + GOOD, REFUSED, "not a valid"),
    "GR-11 an id that is not UTF-8": (GOOD + b"\x1a\x01\xff", REFUSED, "not a valid"),
    "GR-11 a parameter that is not UTF-8": (
        GOOD + b"\x22\x08\x0a\x01\xff\x12\x03\x1a\x01a", REFUSED, "not a valid",
    ),
    "GR-11 not UTF-8, in a large message": (
        LATIN + big(message()), REFUSED, "not a valid",
    ),
    "an id with a line break": (
        message(id="a\r\nb").SerializeToString(), REFUSED, "printable ASCII",
    ),
    "an id of 1 MiB": (message(id="a" * MEBIBYTE).SerializeToString(), REFUSED, "printable ASCII"),
    "a field cut off": (GOOD[:-1], REFUSED, "not a valid"),
    "a length beyond the message": (GOOD + b"\x3a\xff\xff\xff\x7f", REFUSED, "not a valid"),
    "noise": (bytes(range(255, 0, -1)) * 10, REFUSED, "not a valid"),
    "large noise": (bytes(range(255, 0, -1)) * 1000, REFUSED, "not a valid"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_bad_message_gets_its_status(caller: Http2Caller, name: str) -> None:
    content, code, text = MESSAGES[name]
    await send(caller, INFER, framed(content))
    found, told = await status(caller)
    assert (found, text in told) == (code, True), told


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_bad_message_of_a_stream_is_told_in_its_answer(
    caller: Http2Caller, name: str
) -> None:
    """And the stream goes on."""
    content, _, text = MESSAGES[name]
    await send(caller, STREAM, framed(content) + framed(GOOD))
    answers = read(await caller.answer(1))
    assert text in answers[0].error_message
    assert (answers[1].error_message, len(answers[1].infer_response.outputs)) == ("", 2)


async def send(
    caller: Http2Caller, path: str, body: bytes, extra: tuple[tuple[str, str], ...] = ()
) -> None:
    """A whole call, as the server grants it."""
    caller.headers(1, path, extra=extra)
    room = STREAM_WINDOW
    for at in range(0, len(body), PART):
        part = body[at : at + PART]
        while room < len(part):
            found = await caller.until(Kind.WINDOW_UPDATE, 1)
            room += int.from_bytes(found.payload)
        room -= len(part)
        caller.send(Kind.DATA, 0, 1, part)
        await caller.writer.drain()
    caller.send(Kind.DATA, END_STREAM, 1)


def read(body: bytes) -> list[pb.ModelStreamInferResponse]:
    found = []
    while body:
        size = 5 + int.from_bytes(body[1:5])
        found.append(pb.ModelStreamInferResponse.FromString(body[5:size]))
        body = body[size:]
    return found


GZIP, DEFLATE = (("grpc-encoding", "gzip"),), (("grpc-encoding", "deflate"),)


def packed(content: bytes, flag: int = 1) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4) + content


BOMB = gzip.compress(bytes(LIMIT + 1), 9)
# name: the body, the headers, and the status and a part of the text that it gets
FRAMES: dict[str, tuple[bytes, tuple[tuple[str, str], ...], GrpcStatus, str]] = {
    "GR-01 a length above the limit": (
        b"\0" + (LIMIT + 1).to_bytes(4), (), GrpcStatus.RESOURCE_EXHAUSTED, "at most 67108864",
    ),
    "GR-01 the largest length": (
        b"\0\xff\xff\xff\xff", (), GrpcStatus.RESOURCE_EXHAUSTED, "at most 67108864",
    ),
    "GR-01 a bomb": (packed(BOMB), GZIP, GrpcStatus.RESOURCE_EXHAUSTED, "when it is decompressed"),
    "GR-03 a length beyond the data": (b"\0\0\0\xff\xff" + GOOD, (), REFUSED, ""),
    "a prefix cut off": (b"\0\0\0", (), REFUSED, ""),
    "a flag that is none": (packed(GOOD, 7), (), REFUSED, "marked as compressed"),
    "compressed, but not said how": (packed(gzip.compress(GOOD)), (), REFUSED, "but not how"),
    "compressed as something else": (
        packed(GOOD), (("grpc-encoding", "snappy"),), GrpcStatus.UNIMPLEMENTED, "'snappy'",
    ),
    "gzip that is none": (packed(GOOD), GZIP, REFUSED, "is not gzip"),
    "gzip cut off": (packed(gzip.compress(GOOD)[:-4]), GZIP, REFUSED, "ends too early"),
    "gzip and more": (packed(gzip.compress(GOOD) + b"x"), GZIP, REFUSED, "1 bytes follow"),
    "raw deflate": (packed(zlib.compress(GOOD)[2:-4]), DEFLATE, REFUSED, "is not deflate"),
    "GR-13 a deadline of 0": (
        framed(GOOD), (("grpc-timeout", "0S"),), GrpcStatus.DEADLINE_EXCEEDED, "expired",
    ),
    "GR-13 a deadline of 1 ns": (
        framed(GOOD), (("grpc-timeout", "1n"),), GrpcStatus.DEADLINE_EXCEEDED, "expired",
    ),
    "GR-13 a deadline in the past": (
        framed(GOOD), (("grpc-timeout", "-5S"),), REFUSED, "grpc-timeout",
    ),
    "GR-13 a deadline without an end": (
        framed(GOOD), (("grpc-timeout", "999999999H"),), REFUSED, "grpc-timeout",
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", [INFER, STREAM])
@pytest.mark.parametrize("name", FRAMES)
async def test_a_bad_call_gets_its_status(caller: Http2Caller, name: str, path: str) -> None:
    body, extra, code, text = FRAMES[name]
    await send(caller, path, body, extra)
    found, told = await status(caller)
    assert (found, text in told) == (code, True), told


async def test_a_compression_that_is_not_known_is_told_which_are(caller: Http2Caller) -> None:
    await send(caller, INFER, packed(GOOD), (("grpc-encoding", "zstd"),))
    found = await caller.until(Kind.HEADERS, 1)
    accepted = frames.literal(b"grpc-accept-encoding", b"identity, gzip, deflate")
    assert accepted in found.payload


@pytest.mark.parametrize("extra", [GZIP, DEFLATE])
async def test_what_is_not_compressed_is_taken_also_where_it_might_be(
    caller: Http2Caller, extra: tuple[tuple[str, str], ...]
) -> None:
    await send(caller, INFER, framed(GOOD), extra)
    assert (await status(caller))[0] is GrpcStatus.OK


@pytest.mark.parametrize("path", ["/", "//", "/a", f"{SERVICE}/", f"{SERVICE}/Guess", "/../x/y"])
async def test_a_path_that_is_none_is_unimplemented(caller: Http2Caller, path: str) -> None:
    await send(caller, path, framed(GOOD))
    assert (await status(caller))[0] is GrpcStatus.UNIMPLEMENTED


async def drained(caller: Http2Caller) -> bool:
    """False when the connection has ended."""
    try:
        await caller.writer.drain()
    except ConnectionError:
        return False
    return not caller.writer.is_closing()


async def _streams_that_are_reset(caller: Http2Caller) -> None:
    """GR-15: 30 000 calls, each given up at once, and all made before the first is sent: a caller
    that takes its time is no flood.
    """
    # the second head refers to what the first one said, as all after it do
    first, later = caller.block(INFER), caller.block(INFER)
    body = framed(GOOD)
    calls = [
        frames.frame(Kind.HEADERS, END_HEADERS, stream, first if stream == 1 else later)
        + frames.frame(Kind.DATA, END_STREAM, stream, body)
        + frames.reset(stream, Code.CANCEL)
        for stream in range(1, 60_000, 2)
    ]
    for begin in range(0, len(calls), 1000):
        caller.writer.write(b"".join(calls[begin : begin + 1000]))
        if not await drained(caller):
            break


def _flood(kind: Kind, flags: int, stream: int, payload: bytes) -> Callable[..., Awaitable[None]]:
    async def send(caller: Http2Caller) -> None:
        if kind is Kind.CONTINUATION:
            caller.send(Kind.HEADERS, 0, 1, caller.block(INFER))
        for number in range(10_000):
            caller.send(kind, flags, stream, payload)
            if number % 1000 == 0 and not await drained(caller):
                break

    return send


FLOODS = {
    "GR-15 streams opened and reset": _streams_that_are_reset,
    "GR-17 PING": _flood(Kind.PING, 0, 0, bytes(8)),
    "GR-17 SETTINGS": _flood(Kind.SETTINGS, 0, 0, b""),
    "GR-17 CONTINUATION": _flood(Kind.CONTINUATION, 0, 1, b""),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_ends_its_connection_and_no_other(
    node: Node, caller: Http2Caller, name: str
) -> None:
    port = int(node.grpc.rpartition(":")[2])
    async with Http2Caller(port) as other:
        await other.start()
        await FLOODS[name](caller)
        # who still sends may not hear why
        assert await caller.goodbye() in (Code.ENHANCE_YOUR_CALM, None)
        other.call(1, INFER, GOOD)
        assert len(await other.answer(1)) > 128


async def test_calls_left_open_by_many_connections_do_no_harm(node: Node) -> None:
    port = int(node.grpc.rpartition(":")[2])
    callers = [Http2Caller(port) for _ in range(100)]
    async with contextlib.AsyncExitStack() as stack:
        for caller in callers:
            await stack.enter_async_context(caller)
            await caller.start()
            caller.headers(1, STREAM)
            caller.send(Kind.DATA, 0, 1, framed(GOOD)[:7])
            caller.send(Kind.HEADERS, END_HEADERS, 3, caller.block(INFER))
        await asyncio.sleep(0.1)
