"""Both clients over gRPC against a server that misbehaves, and streams over it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from augurium import AsyncClient, Client, Retries
from augurium.client import ClientClosed, NoServer
from augurium.core.errors import AuguriumError, DeadlineExceeded, InvalidArgument, NotReady
from augurium.protocols.generated import inference_pb2 as pb
from tests.support.scripted_server import Asked, Script, reply, scripted_server

FAST = Retries(attempts=3, first_pause_s=0.001)
ROW = {"x": np.ones(2, np.float32)}
TIME = "2026-01-01T00:00:00Z"
ARTIFACT = {"digest": "0" * 64, "size_bytes": 1}
VERSION = {
    "model": "m",
    "version": 4,
    "created_at": TIME,
    "framework": "f",
    "framework_version": "1",
    "runtime": "python",
    "source": ARTIFACT,
    "source_name": "m",
    "servable": ARTIFACT,
    "signature": {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    },
}

Ask = Callable[..., Any]
Handle = Callable[[int, Any, Any], Iterator[bytes]]


def answer(value: float) -> bytes:
    message = pb.ModelInferResponse(model_name="m", model_version="4")
    message.outputs.add(name="y", datatype="FP32", shape=[1])
    message.raw_output_contents.append(np.array([value], "<f4").tobytes())
    return message.SerializeToString()


def streamed(value: float) -> bytes:
    """A `ModelStreamInferResponse` with an answer, which is its field 2."""
    content = answer(value)
    return b"\x12" + bytes([len(content)]) + content


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call as a test says: `handle` gets its number, its message and its context."""

    def __init__(self) -> None:
        self.handle: Handle = lambda number, message, context: iter([answer(1.5)])
        self.seen: list[tuple[str, float, dict[str, Any]]] = []
        self.left = threading.Event()
        self.place = ""

    def service(self, details: Any) -> Any:
        if details.method.endswith("ModelStreamInfer"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._unary)

    def _unary(self, message: bytes, context: Any) -> bytes:
        return next(self._handled(message, context))

    def _stream(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from self._handled(next(messages), context)

    def _handled(self, message: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(self.left.set)
        metadata = dict(context.invocation_metadata())
        self.seen.append(
            (pb.ModelInferRequest.FromString(message).id, context.time_remaining(), metadata)
        )
        return self.handle(len(self.seen) - 1, message, context)


@contextmanager
def grpc_server() -> Iterator[Server]:
    handler = Server()
    server = grpc.server(ThreadPoolExecutor(8), handlers=(handler,))
    handler.place = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield handler
    finally:
        server.stop(grace=None).wait()


@pytest.fixture
def server() -> Iterator[Server]:
    with grpc_server() as found:
        yield found


@pytest.fixture
def management() -> Iterator[str]:
    """What knows the signature of the model."""

    def looked(asked: Asked) -> Script:
        if asked.target.endswith("/versions/4"):
            return [reply(200, VERSION)]
        return [reply(200, {"name": "m", "created_at": TIME, "default_version": 4})]

    with scripted_server() as found:
        found.answer = looked
        yield found.url


def sync(call: Callable[[Any], Any], place: str, retries: Retries = FAST, url: str = "") -> Any:
    url = url or "http://127.0.0.1:9"
    with Client(url, "secret", transport="grpc", grpc_url=place, retries=retries) as client:
        return call(client)


def asynchronous(
    call: Callable[[Any], Any], place: str, retries: Retries = FAST, url: str = ""
) -> Any:
    url = url or "http://127.0.0.1:9"

    async def run() -> Any:
        options: Any = {"transport": "grpc", "grpc_url": place, "retries": retries}
        async with AsyncClient(url, "secret", **options) as client:
            found = call(client)
            if hasattr(found, "__aiter__"):
                return [one async for one in found]
            return await found

    return asyncio.run(run())


@pytest.fixture(params=[sync, asynchronous], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


def busy(context: Any, **trailers: str) -> Iterator[bytes]:
    context.set_trailing_metadata([(key.replace("_", "-"), text) for key, text in trailers.items()])
    context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
    yield b""


def test_what_goes_along_reaches_the_server(server: Server, ask: Ask) -> None:
    call: Any = lambda c: c.infer("m", ROW, timeout_ms=30_000, request_id="r1", unit="u1")  # noqa: E731

    found = ask(call, server.place)

    ((request_id, left_s, metadata),) = server.seen
    assert found.outputs["y"].tolist() == [1.5]
    assert found.version == 4
    assert request_id == "r1"
    # gRPC sends what is left in steps of 10 ms, rounded up
    assert 20 < left_s <= 30.02
    assert metadata["authorization"] == "Bearer secret"
    assert metadata["augurium-unit"] == "u1"


@pytest.mark.parametrize("trailers", [{"retry_after": "1"}, {"grpc_retry_pushback_ms": "800"}])
def test_a_refused_attempt_is_made_again_when_the_server_said(
    server: Server, ask: Ask, trailers: dict[str, str]
) -> None:
    server.handle = lambda number, message, context: (
        busy(context, **trailers) if not number else iter([answer(1.5)])
    )
    began = time.monotonic()

    assert ask(lambda c: c.infer("m", ROW), server.place).version == 4
    assert 0.8 <= time.monotonic() - began < 5.0


def test_attempts_end_and_the_error_says_so(server: Server, ask: Ask) -> None:
    server.handle = lambda number, message, context: busy(context)

    with pytest.raises(NotReady, match="queue is full") as caught:
        ask(lambda c: c.infer("m", ROW), server.place)

    assert len(server.seen) == 3
    assert caught.value.__notes__ == ["gave up after 3 attempts"]


def test_a_slow_server_meets_the_deadline(server: Server, ask: Ask) -> None:
    def slow(number: int, message: bytes, context: Any) -> Iterator[bytes]:
        server.left.wait(30)
        yield answer(1.5)

    server.handle = slow
    began = time.monotonic()

    with pytest.raises(DeadlineExceeded, match="within 2 s"):
        ask(lambda c: c.infer("m", ROW, timeout_ms=2000), server.place)

    assert 1.9 < time.monotonic() - began < 15
    assert len(server.seen) == 1
    assert server.left.wait(5)


def test_silence_at_the_place_is_no_server(ask: Ask) -> None:
    with grpc_server() as gone:
        place = gone.place

    with pytest.raises(NoServer, match="augurium serve"):
        ask(lambda c: c.infer("m", ROW, timeout_ms=5000), place)


def test_replies_of_a_stream_come_in_their_order(server: Server, management: str, ask: Ask) -> None:
    server.handle = lambda number, message, context: map(streamed, [0.5, 1.5, 2.5])

    call: Any = lambda c: listed(c.stream("m", {"x": [1, 2], "depth": 3}))  # noqa: E731
    found = ask(call, server.place, url=management)

    assert [one.outputs for one in found] == [{"y": 0.5}, {"y": 1.5}, {"y": 2.5}]
    assert {one.version for one in found} == {4}


def collected(call: Any, ask: Ask, server: Server, management: str) -> AuguriumError:
    with pytest.raises(AuguriumError) as caught:
        ask(call, server.place, url=management)
    return caught.value


def test_an_error_in_the_stream_is_raised(server: Server, management: str, ask: Ask) -> None:
    server.handle = lambda number, message, context: iter([streamed(0.5), b"\x0a\x06failed"])

    error = collected(lambda c: listed(c.stream("m", {"x": [1, 2]})), ask, server, management)

    assert str(error) == "failed"


def listed(stream: Any) -> Any:
    """All of a stream of threads; a stream of tasks as it is."""
    return stream if hasattr(stream, "__aiter__") else list(stream)


def test_a_stream_that_gave_nothing_is_opened_again(
    server: Server, management: str, ask: Ask
) -> None:
    server.handle = lambda number, message, context: (
        busy(context) if number < 2 else iter([streamed(0.5)])
    )

    found = ask(lambda c: listed(c.stream("m", {"x": [1, 2]})), server.place, url=management)

    assert [one.outputs for one in found] == [{"y": 0.5}]


def test_an_input_that_cannot_be_a_tensor_is_refused(
    server: Server, management: str, ask: Ask
) -> None:
    error = collected(lambda c: listed(c.stream("m", {"x": ["a", 2]})), ask, server, management)

    assert type(error) is InvalidArgument
    assert "input 'x'" in str(error)
    assert not server.seen


def test_closing_the_client_ends_streams(server: Server, management: str) -> None:
    def endless(number: int, message: bytes, context: Any) -> Iterator[bytes]:
        yield streamed(0.5)
        server.left.wait(20)

    server.handle = endless
    first = threading.Event()
    client = Client(management, transport="grpc", grpc_url=server.place)

    def follow() -> None:
        for _ in client.stream("m", {"x": [1, 2]}):
            first.set()

    with ThreadPoolExecutor() as pool:
        following = pool.submit(follow)
        assert first.wait(5)
        client.close()
        with pytest.raises(ClientClosed):
            following.result(timeout=5)
    assert server.left.wait(5)


async def test_closing_the_client_ends_the_streams_of_tasks(
    server: Server, management: str
) -> None:
    def endless(number: int, message: bytes, context: Any) -> Iterator[bytes]:
        yield streamed(0.5)
        server.left.wait(20)

    server.handle = endless
    first = asyncio.Event()
    client = AsyncClient(management, transport="grpc", grpc_url=server.place)

    async def follow() -> None:
        async for _ in client.stream("m", {"x": [1, 2]}):
            first.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(first.wait(), 5)
    await client.close()
    with pytest.raises(ClientClosed):
        await asyncio.wait_for(following, 5)
    assert await asyncio.to_thread(server.left.wait, 5)
