"""Both clients against a server that misbehaves: what is tried again, how fast, and how it ends."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

from augurium import AsyncClient, Client, Retries
from augurium.client import ClientClosed, NoServer
from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotReady,
    Overloaded,
    RateLimited,
)
from tests.support.scripted_server import (
    Asked,
    Reset,
    Script,
    ScriptedServer,
    reply,
    scripted_server,
)

NO_MANAGEMENT = "http://127.0.0.1:9"  # never asked, because where predictions go is given
GOOD = reply(200, {"predictions": [1.5]}, augurium_version="3")
LONG = reply(200, {"predictions": [1.5] * 100})
BUSY = reply(503, {"error": "the queue is full", "kind": "overloaded"})
FAST = Retries(attempts=3, first_pause_s=0.001)

Ask = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


def ask_sync(url: str, retries: Retries = FAST, **options: Any) -> Any:
    with Client(NO_MANAGEMENT, rest_url=url, retries=retries) as client:
        return client.predict("m", [[1.0]], **options)


def ask_async(url: str, retries: Retries = FAST, **options: Any) -> Any:
    async def ask() -> Any:
        async with AsyncClient(NO_MANAGEMENT, rest_url=url, retries=retries) as client:
            return await client.predict("m", [[1.0]], **options)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


def then_good(*first: Script) -> Callable[[Asked], Script]:
    """The scripts one after another, and then nothing but good answers."""
    return lambda asked: first[asked.number] if asked.number < len(first) else [GOOD]


def test_a_refused_attempt_is_made_again_when_the_server_said(
    server: ScriptedServer, ask: Ask
) -> None:
    server.answer = then_good([reply(503, {"error": "not ready"}, retry_after="1")])
    began = time.monotonic()

    found = ask(server.url)

    assert (found.predictions, found.version) == ([1.5], 3)
    assert len(server.asked) == 2
    assert 1.0 <= time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    "script",
    [[Reset()], [GOOD[: len(GOOD) // 2], Reset()], [GOOD[:-3], Reset()], [BUSY]],
    ids=["no answer", "half a head", "half a body", "overloaded"],
)
def test_what_broke_or_was_refused_is_asked_again(
    server: ScriptedServer, ask: Ask, script: Script
) -> None:
    server.answer = then_good(script, script)

    assert ask(server.url).predictions == [1.5]
    assert len(server.asked) == 3
    assert len({asked.body for asked in server.asked}) == 1


def test_attempts_end_and_the_error_says_so(server: ScriptedServer, ask: Ask) -> None:
    server.answer = lambda asked: [BUSY]

    with pytest.raises(Overloaded, match="queue is full") as caught:
        ask(server.url)

    assert len(server.asked) == 3
    assert caught.value.__notes__ == ["gave up after 3 attempts"]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidArgument), (429, RateLimited), (500, Internal)]
)
def test_what_would_fail_again_is_asked_once(
    server: ScriptedServer, ask: Ask, status: int, kind: type[AuguriumError]
) -> None:
    server.answer = lambda asked: [reply(status, {"error": "no"}, retry_after="7")]

    with pytest.raises(kind) as caught:
        ask(server.url)

    assert len(server.asked) == 1
    assert caught.value.retry_after_s == 7.0


def test_no_attempt_begins_after_the_deadline(server: ScriptedServer, ask: Ask) -> None:
    server.answer = lambda asked: [reply(503, {"error": "later"}, retry_after="60")]
    began = time.monotonic()

    with pytest.raises(NotReady, match="later") as caught:
        ask(server.url, timeout_ms=20_000)

    assert time.monotonic() - began < 10
    assert len(server.asked) == 1
    assert caught.value.retry_after_s == 60.0
    assert "deadline of 20 s" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "script",
    [[30.0], [GOOD[:20], 30.0], [LONG[:-400], *([b"x", 0.1] * 300)]],
    ids=["silence", "half a head", "a trickle"],
)
def test_a_slow_server_meets_the_deadline(server: ScriptedServer, ask: Ask, script: Script) -> None:
    server.answer = lambda asked: script
    began = time.monotonic()

    with pytest.raises(DeadlineExceeded, match="did not answer within 3 s"):
        ask(server.url, timeout_ms=3000)

    assert 2.9 < time.monotonic() - began < 20
    assert len(server.asked) == 1
    assert 0 < int(server.asked[0].headers["augurium-timeout-ms"]) < 3000


def test_every_attempt_is_told_what_is_left(server: ScriptedServer, ask: Ask) -> None:
    server.answer = then_good([0.2, BUSY], [0.2, BUSY])

    ask(server.url, timeout_ms=30_000)

    first, second, third = (int(asked.headers["augurium-timeout-ms"]) for asked in server.asked)
    assert 20_000 < first <= 30_000
    assert first - 190 > second > third + 190


def test_a_budget_that_is_used_up_leaves_one_attempt(server: ScriptedServer) -> None:
    server.answer = lambda asked: [BUSY]
    retries = Retries(attempts=3, first_pause_s=0.0, share=0.1, per_s=0.0, reserve=4.0)

    with Client(NO_MANAGEMENT, rest_url=server.url, retries=retries) as client:
        for _ in range(20):
            with pytest.raises(Overloaded) as caught:
                client.predict("m", [[1.0]])

    # 20 calls, the reserve, and a tenth of the calls
    assert 24 <= len(server.asked) <= 26
    assert caught.value.__notes__ == ["the client's budget for retries is used up"]


def test_a_server_that_comes_up_meanwhile_is_found(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    retries = Retries(attempts=100, first_pause_s=0.02, longest_pause_s=0.1, reserve=100.0)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, url, retries)
        time.sleep(0.3)
        with scripted_server(port) as server:
            server.answer = then_good()
            assert answer.result(timeout=10).predictions == [1.5]


def test_silence_at_the_url_is_no_server(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        url = f"http://127.0.0.1:{place.getsockname()[1]}"

    with pytest.raises(NoServer, match="augurium serve"):
        ask(url)


def test_many_threads_share_few_connections(server: ScriptedServer) -> None:
    server.answer = lambda asked: [
        0.002,
        reply(200, {"predictions": [asked.headers["x-request-id"]]}),
    ]
    with Client(NO_MANAGEMENT, rest_url=server.url, connections=4) as client:

        def ask(number: int) -> bool:
            found = client.predict("m", [[1.0]], request_id=str(number))
            return found.predictions == [str(number)]

        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(ask, range(400)))


async def test_hundreds_of_tasks_share_few_connections(server: ScriptedServer) -> None:
    server.answer = lambda asked: [reply(200, {"predictions": [asked.headers["x-request-id"]]})]
    async with AsyncClient(NO_MANAGEMENT, rest_url=server.url, connections=8) as client:
        found = await asyncio.gather(
            *(client.predict("m", [[1.0]], request_id=str(number)) for number in range(200))
        )

    assert [one.predictions for one in found] == [[str(number)] for number in range(200)]


async def test_a_cancelled_task_leaves_the_server(server: ScriptedServer) -> None:
    server.answer = lambda asked: [30.0]
    async with AsyncClient(NO_MANAGEMENT, rest_url=server.url) as client:
        task = asyncio.create_task(client.predict("m", [[1.0]]))
        await asyncio.to_thread(server.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await asyncio.to_thread(server.left.wait, 5)


def test_a_table_goes_and_comes_as_an_arrow_stream(server: ScriptedServer) -> None:
    table = pa.table({"age": [31, 64], "city": ["Rome", None]})

    def answer(asked: Asked) -> Script:
        with ipc.open_stream(asked.body) as reader:
            features = reader.read_all()
        outputs = pa.table({"p": [0.25, 0.75], "city": features["city"]})
        sink = pa.BufferOutputStream()
        with ipc.new_stream(sink, outputs.schema) as writer:
            writer.write_table(outputs, max_chunksize=1)
        content = sink.getvalue().to_pybytes()
        return [reply(200, content, content_type=asked.headers["accept"], augurium_version="2")]

    server.answer = answer
    with Client(NO_MANAGEMENT, rest_url=server.url) as client:
        found = client.predict("m", table)

    assert server.asked[0].target == "/v1/models/m:predict"
    assert server.asked[0].headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert found.version == 2
    assert found.to_arrow().to_pydict() == {"p": [0.25, 0.75], "city": ["Rome", None]}


def test_a_large_answer_arrives_whole(server: ScriptedServer) -> None:
    values = np.arange(8 * 2**20, dtype=np.float32)
    head = (
        b'{"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [%d],'
        b' "parameters": {"binary_data_size": %d}}]}' % (values.size, values.nbytes)
    )
    large = reply(200, head + values.tobytes(), inference_header_content_length=str(len(head)))
    server.answer = lambda asked: [large]

    with Client(NO_MANAGEMENT, rest_url=server.url) as client:
        found = client.infer("m", {"x": values[:1]}).outputs["y"]

    np.testing.assert_array_equal(found, values)


def test_closing_waits_for_what_is_under_way(server: ScriptedServer) -> None:
    server.answer = lambda asked: [0.3, GOOD]
    client = Client(NO_MANAGEMENT, rest_url=server.url)
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(client.predict, "m", [[1.0]]) for _ in range(4)]
        server.wait(4)
        client.close()

        assert all(answer.done() for answer in answers)
        assert [answer.result().predictions for answer in answers] == [[1.5]] * 4
    for late in (lambda: client.predict("m", [[1.0]]), client.server):
        with pytest.raises(ClientClosed, match="closed"):
            late()


async def test_closing_waits_for_tasks_that_are_under_way(server: ScriptedServer) -> None:
    server.answer = lambda asked: [0.3, GOOD]
    client = AsyncClient(NO_MANAGEMENT, rest_url=server.url)
    answers = [asyncio.create_task(client.predict("m", [[1.0]])) for _ in range(4)]
    await asyncio.to_thread(server.wait, 4)
    await client.close()

    assert [(await answer).predictions for answer in answers] == [[1.5]] * 4
    for late in (client.predict("m", [[1.0]]), client.server()):
        with pytest.raises(ClientClosed, match="closed"):
            await late


async def test_a_client_of_another_loop_is_called_that(server: ScriptedServer) -> None:
    server.answer = then_good()
    async with AsyncClient(NO_MANAGEMENT, rest_url=server.url) as client:
        await client.predict("m", [[1.0]])

        async def elsewhere() -> None:
            await client.predict("m", [[1.0]])

        with pytest.raises(InvalidArgument, match="one per loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())


PATIENT = Retries(attempts=2, first_pause_s=0.0)


def test_closing_ends_a_pause(server: ScriptedServer) -> None:
    server.answer = lambda asked: [reply(503, {"error": "later"}, retry_after="20")]
    client = Client(NO_MANAGEMENT, rest_url=server.url, retries=PATIENT)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(client.predict, "m", [[1.0]])
        server.wait()
        time.sleep(0.1)
        began = time.monotonic()
        client.close()

        with pytest.raises(ClientClosed):
            answer.result()
        assert time.monotonic() - began < 10


async def test_closing_ends_the_pause_of_a_task(server: ScriptedServer) -> None:
    server.answer = lambda asked: [reply(503, {"error": "later"}, retry_after="20")]
    client = AsyncClient(NO_MANAGEMENT, rest_url=server.url, retries=PATIENT)
    answer = asyncio.create_task(client.predict("m", [[1.0]]))
    await asyncio.to_thread(server.wait)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await client.close()

    with pytest.raises(ClientClosed):
        await answer
    assert time.monotonic() - began < 10


def test_threads_that_begin_together_ask_once_where_to_go(server: ScriptedServer) -> None:
    barrier = threading.Barrier(16)

    def answer(asked: Asked) -> Script:
        if asked.target == "/api/v1/server":
            place = {"rest_url": server.url, "grpc_url": "", "control_url": "", "version": "1"}
            return [0.1, reply(200, place)]
        return [GOOD]

    server.answer = answer
    with Client(server.url) as client:

        def ask(_: int) -> Any:
            barrier.wait()
            return client.predict("m", [[1.0]]).predictions

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(ask, range(16))) == [[1.5]] * 16
    assert [asked.target for asked in server.asked].count("/api/v1/server") == 1
