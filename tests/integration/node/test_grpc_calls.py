"""gRPC calls against real models behind the host: what becomes of them when their caller leaves,
and how much memory they take.
"""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import grpc
import grpc.aio
import msgspec
import numpy as np
import pytest

from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.node import grpc_host
from augurium.node import http2_frames as frames
from augurium.node.grpc_host import GrpcHost
from augurium.node.http2_frames import END_STREAM, Code, Kind, Setting
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.protocols.oip_grpc_stream import MOST_ANSWERS, MOST_REQUESTS
from augurium.serving.plane import DataPlane
from augurium.serving.snapshot import BatchingPolicy
from tests.support.echo_calls import EchoCalls
from tests.support.grpc_models import image_model
from tests.support.grpc_server import GrpcServer
from tests.support.http2 import Http2Caller, framed
from tests.support.memory import peak_bytes
from tests.support.models import slow_model
from tests.support.planes import plane_of

SERVICE = "/inference.GRPCInferenceService"
INFER, STREAM = f"{SERVICE}/ModelInfer", f"{SERVICE}/ModelStreamInfer"
WAIT_S = 20.0
ROWS = 64


class Place(NamedTuple):
    """A server in this process, and its plane."""

    port: int
    plane: DataPlane

    @property
    def rows_run(self) -> int:
        return self.plane.routes("slow").ready[1].metrics.rows

    async def idle(self) -> None:
        """Returns when nothing is being answered."""
        async with asyncio.timeout(WAIT_S):
            await self.plane.drain()


@pytest.fixture
async def place(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Place]:
    file = tmp_path / "slow.onnx"
    file.write_bytes(slow_model())
    signature = Signature((TensorSpec("x", "FP32", (-1, 1, 1)),), (TensorSpec("y", "FP32", (-1,)),))
    plane = plane_of({"slow": (file, signature)}, BatchingPolicy(max_batch_size=ROWS))
    async with GrpcHost(GrpcApi(plane), LimitSettings(), "127.0.0.1", unused_tcp_port):
        yield Place(unused_tcp_port, plane)


def slow_request(rows: int = ROWS, request_id: str = "") -> bytes:
    found = pb.ModelInferRequest(
        model_name="slow", id=request_id, raw_input_contents=[np.ones(rows, np.float32).tobytes()]
    )
    found.inputs.add(name="x", datatype="FP32", shape=[rows, 1, 1])
    return found.SerializeToString()


async def test_rows_of_callers_that_left_are_not_run(place: Place) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{place.port}") as channel:
        infer = channel.unary_unary(INFER)
        await infer(slow_request())
        before = place.rows_run
        calls = [infer(slow_request()) for _ in range(40)]
        # shorter than a run, on a fast machine too
        await asyncio.sleep(0.01)
        for call in calls[1:]:
            call.cancel()
        await calls[0]
        await place.idle()
    # of all 40; how many had begun before the others left is up to the machine
    assert place.rows_run - before <= 20 * ROWS


async def test_rows_whose_deadline_passed_are_not_run(place: Place) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{place.port}") as channel:
        infer = channel.unary_unary(INFER)
        await infer(slow_request())
        before = place.rows_run
        calls = [infer(slow_request(), timeout=0.05) for _ in range(40)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        errors = [error for error in found if isinstance(error, grpc.aio.AioRpcError)]
        await place.idle()
    # some may be told at once that others are before them for longer than they have
    late = [error for error in errors if error.code() is not grpc.StatusCode.UNAVAILABLE]
    told = [error for error in errors if error not in late]
    assert {error.code() for error in late} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert all("ms are left" in error.details() for error in told)
    assert place.rows_run - before <= 6 * ROWS


@pytest.mark.parametrize("text", ["0S", "1n"])
async def test_a_deadline_that_has_passed_runs_nothing(place: Place, text: str) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start()
        caller.headers(1, INFER, extra=(("grpc-timeout", text),))
        caller.send(Kind.DATA, END_STREAM, 1, framed(slow_request()))
        found = await caller.until(Kind.HEADERS, 1)
    assert frames.literal(b"grpc-status", b"4") in found.payload
    assert place.rows_run == 0


@pytest.mark.parametrize("way", ["cancel", "timeout", "lost"])
async def test_requests_of_a_stream_that_ended_are_not_run(place: Place, way: str) -> None:
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{place.port}")
    await channel.unary_unary(INFER)(slow_request())
    before = place.rows_run
    limit = 0.2 if way == "timeout" else None
    call = channel.stream_stream(STREAM)(timeout=limit)
    # on a busy machine it has ended before all are sent
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for _ in range(40):
            await call.write(slow_request())
    if way == "timeout":
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read():
                pass
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    else:
        await asyncio.sleep(0.05)
    if way == "cancel":
        call.cancel()
    await channel.close()
    async with asyncio.timeout(WAIT_S):
        await asyncio.sleep(0.05)
        await place.plane.drain()
    assert place.rows_run - before <= 20 * ROWS


async def test_a_stream_takes_so_many_requests_and_no_more(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        # nothing is read, and the rest waits
        await caller.start({Setting.INITIAL_WINDOW_SIZE: 0})
        caller.headers(1, STREAM)
        for number in range(200):
            caller.send(Kind.DATA, 0, 1, framed(slow_request(1, str(number))))
        caller.send(Kind.DATA, END_STREAM, 1)
        ran = -1
        async with asyncio.timeout(WAIT_S):
            while ran < MOST_REQUESTS or place.rows_run != ran:
                ran = place.rows_run
                await asyncio.sleep(0.3)
        assert MOST_REQUESTS <= ran <= MOST_REQUESTS + MOST_ANSWERS + 2
        caller.writer.write(frames.window_update(1, 2**20))
        body, ids = await caller.answer(1), []
    while body:
        size = 5 + int.from_bytes(body[1:5])
        answer = pb.ModelStreamInferResponse.FromString(body[5:size])
        ids.append(answer.infer_response.id)
        body = body[size:]
    assert ids == [str(number) for number in range(200)]


async def test_a_host_that_stops_ends_streams_after_their_answers(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # not shorter than what is asked takes
    monkeypatch.setattr(grpc_host, "LAST_WORDS_S", 15.0)
    file = tmp_path / "slow.onnx"
    file.write_bytes(slow_model())
    signature = Signature((TensorSpec("x", "FP32", (-1, 1, 1)),), (TensorSpec("y", "FP32", (-1,)),))
    plane = plane_of({"slow": (file, signature)}, BatchingPolicy())
    async with contextlib.AsyncExitStack() as stack:
        host = GrpcHost(GrpcApi(plane), LimitSettings(), "127.0.0.1", unused_tcp_port)
        await stack.enter_async_context(host)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{unused_tcp_port}")
        idle, busy = (channel.stream_stream(STREAM)() for _ in range(2))
        await idle.write(slow_request(1, "first"))
        await idle.read()
        for number in range(3):
            await busy.write(slow_request(ROWS, str(number)))
        version = plane.routes("slow").ready[1]

        def taken() -> int:
            return version.in_flight + version.metrics.gathered().outcomes.get("ok", 0)

        async with asyncio.timeout(WAIT_S):
            while taken() != 1 + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        async with asyncio.timeout(WAIT_S):
            await stack.aclose()
        ids = []
        with contextlib.suppress(grpc.aio.AioRpcError):
            while True:
                answer = pb.ModelStreamInferResponse.FromString(await busy.read())
                ids.append(answer.infer_response.id)
        assert ids == ["0", "1", "2"]
        for call in (idle, busy):
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert "the server is stopping" in await call.details()
        await channel.close()


async def test_a_host_that_stops_does_not_wait_for_streams_that_nobody_reads(
    unused_tcp_port: int,
) -> None:
    host = GrpcHost(EchoCalls(), LimitSettings(), "127.0.0.1", unused_tcp_port)
    await host.__aenter__()
    async with Http2Caller(unused_tcp_port) as caller:
        await caller.start()
        caller.headers(1, "/e/Count")
        caller.send(Kind.DATA, 0, 1, framed(b"1000000"))
        await caller.until(Kind.DATA, 1)
        async with asyncio.timeout(WAIT_S):
            await host.__aexit__()


@pytest.mark.parametrize("size", [100, 2000, 200_000])
async def test_answers_are_compressed_as_the_request_was(unused_tcp_port: int, size: int) -> None:
    """Small ones are not: they would not get smaller by much."""
    async with (
        GrpcHost(EchoCalls(), LimitSettings(), "127.0.0.1", unused_tcp_port),
        Http2Caller(unused_tcp_port) as caller,
    ):
        await caller.start({Setting.INITIAL_WINDOW_SIZE: 2**20})
        content = gzip.compress(b"%d" % size)
        body = b"\1" + len(content).to_bytes(4) + content
        caller.headers(1, "/e/Big", extra=(("grpc-encoding", "gzip"),))
        caller.send(Kind.DATA, END_STREAM, 1, body)
        head = await caller.until(Kind.HEADERS, 1)
        answer = await caller.answer(1)
    assert frames.literal(b"grpc-encoding", b"gzip") in head.payload
    small = size < 1024
    assert answer[0] == (not small)
    assert (answer[5:] if small else gzip.decompress(answer[5:])) == b"x" * size


async def test_a_caller_that_sends_garbage_in_a_stream_ends_alone(place: Place) -> None:
    async with Http2Caller(place.port) as caller:
        await caller.start()
        for stream in (1, 3):
            caller.headers(stream, STREAM)
        caller.send(Kind.DATA, END_STREAM, 1, b"\0\0\0\0\1\xff" + b"\0\0\0")
        caller.send(Kind.DATA, END_STREAM, 3, framed(slow_request(1)))
        answer = pb.ModelStreamInferResponse.FromString((await caller.answer(3))[5:])
        assert not answer.error_message
        caller.writer.write(frames.reset(3, Code.CANCEL))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    signature = Signature(
        (TensorSpec("x", "FP32", (-1, 3, 224, 224)),),
        (TensorSpec("y", "FP32", (-1, 3, 224, 224)),),
    )
    (tmp_path / "image.onnx").write_bytes(image_model())
    (tmp_path / "image.json").write_bytes(msgspec.json.encode(signature))
    return tmp_path


def test_a_large_payload_is_held_three_times_at_most(images: Path) -> None:
    """Both ways, on a single call and on a stream: 64 images of 3 x 224 x 224, 38 MB."""
    shape = (64, 3, 224, 224)
    content = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    asked = pb.ModelInferRequest(model_name="image", raw_input_contents=[content.tobytes()])
    asked.inputs.add(name="x", datatype="FP32", shape=shape)
    body = asked.SerializeToString()
    first = pb.ModelInferRequest(model_name="image", raw_input_contents=[content[:1].tobytes()])
    first.inputs.add(name="x", datatype="FP32", shape=(1, *shape[1:]))
    sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with (
        GrpcServer(images) as server,
        grpc.insecure_channel(server.address, options=sizes) as channel,
    ):
        infer, stream = channel.unary_unary(INFER), channel.stream_stream(STREAM)
        infer(first.SerializeToString())
        before = server.rss_bytes
        peak, answer = peak_bytes(lambda: server.rss_bytes, lambda: infer(body))
        assert pb.ModelInferResponse.FromString(answer).raw_output_contents[0] == content.tobytes()
        assert (peak - before) / content.nbytes < 3
        peak, answers = peak_bytes(lambda: server.rss_bytes, lambda: list(stream(iter([body] * 3))))
        found = pb.ModelStreamInferResponse.FromString(answers[2]).infer_response
        assert found.raw_output_contents[0] == content.tobytes()
