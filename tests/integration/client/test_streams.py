"""Streamed predictions: replies one by one, errors in their midst, and both sides leaving."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Any

import pytest

from augurium import AsyncClient, Client, Retries
from augurium.client import ClientClosed
from augurium.core.errors import AuguriumError, DeadlineExceeded, NotReady
from tests.support.scripted_server import (
    Reset,
    Script,
    ScriptedServer,
    chunk,
    reply,
    scripted_server,
)

NO_MANAGEMENT = "http://127.0.0.1:9"
HEAD = reply(200, chunked=True, content_type="text/event-stream", augurium_version="2")
BUSY = reply(503, {"error": "busy"})

Streamed = Callable[..., tuple[list[Any], AuguriumError | None]]


def event(text: str) -> bytes:
    return chunk(b'data: {"model_name":"m","model_version":"2","text":"%b"}\n\n' % text.encode())


def streamed_sync(url: str, **options: Any) -> tuple[list[Any], AuguriumError | None]:
    """The texts that came, and the error that ended them."""
    texts = []
    with Client(NO_MANAGEMENT, rest_url=url, retries=Retries(first_pause_s=0.001)) as client:
        try:
            for one in client.stream("m", {"prompt": "a", "limit": 3}, **options):
                assert one.version == 2
                texts.append(one.outputs["text"])
        except AuguriumError as error:
            return texts, error
    return texts, None


def streamed_async(url: str, **options: Any) -> tuple[list[Any], AuguriumError | None]:
    async def run() -> tuple[list[Any], AuguriumError | None]:
        texts = []
        retries = Retries(first_pause_s=0.001)
        async with AsyncClient(NO_MANAGEMENT, rest_url=url, retries=retries) as client:
            try:
                async for one in client.stream("m", {"prompt": "a", "limit": 3}, **options):
                    assert one.version == 2
                    texts.append(one.outputs["text"])
            except AuguriumError as error:
                return texts, error
        return texts, None

    return asyncio.run(run())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


@pytest.fixture(params=[streamed_sync, streamed_async], ids=["sync", "async"])
def streamed(request: pytest.FixtureRequest) -> Streamed:
    found: Streamed = request.param
    return found


def test_replies_come_in_their_order(server: ScriptedServer, streamed: Streamed) -> None:
    server.answer = lambda asked: [HEAD, event("one"), event("two") + event("three"), chunk(b"")]

    assert streamed(server.url) == (["one", "two", "three"], None)
    assert server.asked[0].target == "/v2/models/m/generate_stream"
    assert server.asked[0].body == b'{"prompt":"a","limit":3}'


def test_a_stream_that_gave_nothing_is_opened_again(
    server: ScriptedServer, streamed: Streamed
) -> None:
    scripts: list[Script] = [[BUSY], [HEAD, Reset()], [HEAD, event("one"), chunk(b"")]]
    server.answer = lambda asked: scripts[asked.number]

    assert streamed(server.url) == (["one"], None)


def test_a_stream_that_breaks_is_not_begun_anew(server: ScriptedServer, streamed: Streamed) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 0.1, Reset()]

    texts, error = streamed(server.url)

    assert texts == ["one"]
    assert type(error) is NotReady
    assert len(server.asked) == 1


def test_an_error_in_the_stream_is_raised(server: ScriptedServer, streamed: Streamed) -> None:
    broken = chunk(b'data: {"error":"the model failed"}\n\n')
    server.answer = lambda asked: [HEAD, event("one"), broken, chunk(b"")]

    texts, error = streamed(server.url)

    assert texts == ["one"]
    assert str(error) == "the model failed"


def test_a_stream_has_one_deadline(server: ScriptedServer, streamed: Streamed) -> None:
    more: Script = [event("more"), 0.1]
    server.answer = lambda asked: [HEAD, *(more * 100)]
    began = time.monotonic()

    texts, error = streamed(server.url, timeout_ms=2000)

    assert 1 <= len(texts) < 100
    assert type(error) is DeadlineExceeded
    assert 1.9 < time.monotonic() - began < 8


def test_a_caller_may_leave_early(server: ScriptedServer) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 30.0]
    with Client(NO_MANAGEMENT, rest_url=server.url) as client:
        with closing(client.stream("m", {})) as replies:
            assert next(replies).outputs == {"text": "one"}

        assert server.left.wait(5)


async def test_a_task_may_leave_early(server: ScriptedServer) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 30.0]
    async with AsyncClient(NO_MANAGEMENT, rest_url=server.url) as client:
        async with aclosing(client.stream("m", {})) as replies:
            assert (await anext(replies)).outputs == {"text": "one"}

        assert await asyncio.to_thread(server.left.wait, 5)


def test_closing_the_client_ends_streams(server: ScriptedServer) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 30.0]
    client = Client(NO_MANAGEMENT, rest_url=server.url)
    first, began = threading.Event(), time.monotonic()

    def follow() -> None:
        for _ in client.stream("m", {}):
            first.set()

    with ThreadPoolExecutor() as pool:
        following = pool.submit(follow)
        assert first.wait(5)
        time.sleep(0.1)
        client.close()
        with pytest.raises(ClientClosed):
            following.result(timeout=5)
    assert time.monotonic() - began < 5
    assert server.left.wait(5)


async def test_closing_the_client_ends_the_streams_of_tasks(server: ScriptedServer) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 30.0]
    client = AsyncClient(NO_MANAGEMENT, rest_url=server.url)
    first = asyncio.Event()

    async def follow() -> None:
        async for _ in client.stream("m", {}):
            first.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(first.wait(), 5)
    await asyncio.sleep(0.1)
    await client.close()
    with pytest.raises(ClientClosed):
        await asyncio.wait_for(following, 5)
    assert await asyncio.to_thread(server.left.wait, 5)


def test_a_stream_that_is_held_does_not_hold_up_closing(server: ScriptedServer) -> None:
    server.answer = lambda asked: [HEAD, event("one"), 30.0]
    with Client(NO_MANAGEMENT, rest_url=server.url) as client:
        replies = client.stream("m", {})
        next(replies)

    with pytest.raises(ClientClosed):
        next(replies)
