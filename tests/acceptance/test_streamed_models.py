"""Versions that yield their answers, asked over REST as any client asks: one event per answer, in
order, and the model hears of a caller that leaves.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.acceptance.test_runners import metrics, runners, wait_for
from tests.support.node import AUGURIUM, Node, clean_environment

STREAM = "/v2/models/words/generate_stream"
ONE = "/v2/models/words/generate"


def words(columns: Any, parameters: Any) -> Any:
    """As many answers as `count` says; `parameters` say what goes wrong, and how slow it is."""
    import os
    import time

    def note(word: str) -> None:
        with open("notes", "a") as notes:  # noqa: PTH123
            notes.write(f"{word}\n")

    padding = "x" * parameters.get("padding", 0)
    try:
        for index in range(columns["count"][0]):
            if parameters.get("fail_at") == index:
                raise ValueError("as told")
            time.sleep(parameters.get("step_s", 0))
            note(f"made {index}")
            yield {
                "text": np.array([f"{columns['prompt'][0]}-{index}{padding}"]),
                "index": np.array([index]),
                "process": np.array([os.getpid()]),
            }
    except GeneratorExit:
        note("left")
        raise


def register(node: Node) -> None:
    with node.client() as client:
        version = client.register(
            words, name="words", data={"prompt": ["a", "b"], "count": [3, 2]}, allow_code=True
        )
        assert version.signature.streamed
        client.deploy("words", version.version)
        client.register(
            lambda columns: {"double": columns["x"] * 2},
            name="double",
            data={"x": [1.0, 2.0, 3.0]},
            allow_code=True,
        )
        client.deploy("double", 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streamed") / "home"


@pytest.fixture(scope="module")
def yielding(start: Callable[..., Node], home: Path) -> Node:
    node = start(home, "--engines", "1", "--allow-code")
    register(node)
    return node


@pytest.fixture
def rest(yielding: Node) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{yielding.rest}", timeout=30) as client:
        yield client


@pytest.fixture
def notes(home: Path) -> Callable[[], list[str]]:
    """What the function wrote down since the test began."""

    def read() -> list[str]:
        found: list[str] = []
        for file in home.glob("run/runner-words-*/notes"):
            found += file.read_text().splitlines()
        return found

    before = len(read())
    return lambda: read()[before:]


def body(count: int, **parameters: Any) -> dict[str, Any]:
    return {"prompt": "p", "count": count, "parameters": parameters}


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of an answer, each of which is one line of JSON."""
    for line in answer.iter_lines():
        if line:
            assert line.startswith("data: ")
            yield json.loads(line.removeprefix("data: "))


def indices(rest: httpx.Client, count: int, **parameters: Any) -> list[int]:
    with rest.stream("POST", STREAM, json=body(count, **parameters)) as answer:
        assert answer.status_code == 200
        return [event["index"] for event in events(answer)]


def test_curl_sees_one_event_per_answer(yielding: Node) -> None:
    url = f"http://{yielding.rest}{STREAM}"
    command = ["curl", "-sN", "-D", "-", url, "-d", '{"prompt": "hi", "count": 2, "id": "7"}']
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    head, _, content = said.replace("\r\n", "\n").partition("\n\n")
    assert "content-type: text/event-stream; charset=utf-8" in head
    assert "augurium-version: 1" in head
    lines = content.strip().split("\n\n")
    assert [json.loads(line.removeprefix("data: ")) for line in lines] == [
        {
            "id": "7",
            "model_name": "words",
            "model_version": "1",
            "text": f"hi-{index}",
            "index": index,
            "process": json.loads(lines[0].removeprefix("data: "))["process"],
        }
        for index in range(2)
    ]


def test_a_thousand_answers_come_in_order(rest: httpx.Client) -> None:
    assert indices(rest, 1000) == list(range(1000))


def test_no_answer_is_no_event(rest: httpx.Client) -> None:
    assert indices(rest, 0) == []


def test_the_first_answer_does_not_wait_for_the_last(rest: httpx.Client) -> None:
    started = time.monotonic()
    with rest.stream("POST", STREAM, json=body(50, step_s=0.2)) as answer:
        assert next(events(answer))["index"] == 0
    # all of them take 10 s
    assert time.monotonic() - started < 8


def test_a_version_may_be_named(rest: httpx.Client) -> None:
    answer = rest.post("/v2/models/words/versions/1/generate", json=body(1))
    assert (answer.status_code, answer.json()["index"]) == (200, 0)
    assert rest.post("/v2/models/words/versions/9/generate", json=body(1)).status_code == 404
    assert rest.post("/v2/models/nobody/generate_stream", json=body(1)).status_code == 404
    assert rest.get(STREAM).status_code == 405


@pytest.mark.parametrize("path", [ONE, "/v2/models/words/infer"])
@pytest.mark.parametrize(("count", "status"), [(0, 400), (1, 200), (2, 400)])
def test_one_answer_is_given_where_there_is_one(
    path: str, count: int, status: int, rest: httpx.Client
) -> None:
    tensors = [
        {"name": "prompt", "datatype": "BYTES", "shape": [1], "data": ["p"]},
        {"name": "count", "datatype": "INT64", "shape": [1], "data": [count]},
    ]
    content: Any = body(count) if path == ONE else {"inputs": tensors}
    answer = rest.post(path, json=content)
    assert answer.status_code == status
    if status == 400:
        assert "ask for generate_stream or ModelStreamInfer" in answer.json()["error"]


def test_an_ordinary_model_answers_both_ways(rest: httpx.Client) -> None:
    expected = {"model_name": "double", "model_version": "1", "double": 5.0}
    assert rest.post("/v2/models/double/generate", json={"x": 2.5}).json() == expected
    with rest.stream("POST", "/v2/models/double/generate_stream", json={"x": 2.5}) as answer:
        assert list(events(answer)) == [expected]
    several = rest.post("/v2/models/double/generate", json={"x": [1, 2]}).json()
    assert several["double"] == [2.0, 4.0]


def test_an_error_before_the_first_answer_has_its_status(rest: httpx.Client) -> None:
    answer = rest.post(STREAM, json=body(3, fail_at=0))
    assert answer.status_code == 500
    assert answer.json() == {"error": "the function failed: ValueError: as told"}


def test_an_error_after_answers_is_the_last_event(rest: httpx.Client) -> None:
    with rest.stream("POST", STREAM, json=body(5, fail_at=2)) as answer:
        assert answer.status_code == 200
        found = list(events(answer))
    assert [event.get("index") for event in found] == [0, 1, None]
    assert found[-1] == {
        "error": "the function failed: ValueError: as told",
        "kind": "model_failed",
    }
    assert indices(rest, 2) == [0, 1], "the connection and the model go on"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"prompt": "p"}',
        b'{"prompt": "p", "count": "many"}',
        b'{"prompt": "p", "count": 1.5}',
        b'{"prompt": null, "count": 1}',
        b'{"prompt": "p", "count": 1, "odd": [1]}',
        b'{"prompt": "p", "count": 1, "parameters": 3}',
        b'{"prompt": "p", "count": 1, "big": 99999999999999999999999}',
        b'{"prompt": "p", "count": 1, "timeout": -1}',
        b'{"prompt": "p", "count": 99999999999999999999999}',
        b'{"prompt": [["p"]], "count": 1}',
        b'{"prompt": "\xff", "count": 1}',
        b"[" * 200,
    ],
)
def test_what_cannot_be_answered_is_a_400(content: bytes, rest: httpx.Client) -> None:
    for path in (ONE, STREAM):
        answer = rest.post(path, content=content)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]


def test_a_caller_that_leaves_ends_the_work(
    rest: httpx.Client, notes: Callable[[], list[str]], yielding: Node
) -> None:
    cancelled = _counted(yielding, "cancelled")
    with rest.stream("POST", STREAM, json=body(1000, step_s=0.01)) as answer:
        found = events(answer)
        assert [next(found)["index"], next(found)["index"]] == [0, 1]
    wait_for(lambda: "left" in notes())
    assert len(notes()) < 800
    wait_for(lambda: _counted(yielding, "cancelled") == cancelled + 1)
    assert indices(rest, 2) == [0, 1]


def test_a_slow_caller_costs_no_memory_and_no_work_ahead(
    rest: httpx.Client, notes: Callable[[], list[str]], yielding: Node
) -> None:
    pids = [*yielding.children().values()]
    resident = _resident(pids)
    # 100 MB in all, of which nobody reads more than the beginning; compressed it would be little
    plain, large = {"accept-encoding": "identity"}, body(1000, padding=100_000)
    with rest.stream("POST", STREAM, json=large, headers=plain) as answer:
        found = events(answer)
        next(found)
        made = -1
        while made != len(notes()):
            made = len(notes())
            time.sleep(0.5)
        assert made < 200
        assert _resident(pids) - resident < 50 * 1024**2
        rest_of_it = list(found)
    assert len(rest_of_it) == 999
    assert _resident(pids) - resident < 50 * 1024**2


def test_two_callers_are_served_at_once(yielding: Node) -> None:
    async def read(client: httpx.AsyncClient) -> list[float]:
        async with client.stream("POST", STREAM, json=body(30, step_s=0.1)) as answer:
            return [time.monotonic() async for line in answer.aiter_lines() if line]

    async def both() -> tuple[list[float], list[float]]:
        async with httpx.AsyncClient(base_url=f"http://{yielding.rest}", timeout=30) as client:
            return await asyncio.gather(read(client), read(client))

    first, second = asyncio.run(both())
    assert len(first) == len(second) == 30
    assert first[0] < second[-1]
    assert second[0] < first[-1]


def test_other_models_answer_while_a_stream_goes_on(rest: httpx.Client, yielding: Node) -> None:
    with rest.stream("POST", STREAM, json=body(600, step_s=0.05)) as answer:
        next(events(answer))
        started = time.monotonic()
        assert yielding.ask("/v2/models/double/generate", {"x": 1.0}).json["double"] == 2.0
        # the stream takes 30 s
        assert time.monotonic() - started < 20


def test_a_deadline_ends_a_stream_with_an_event(
    rest: httpx.Client, notes: Callable[[], list[str]]
) -> None:
    # long enough for the first answer
    headers = {"augurium-timeout-ms": "3000"}
    content = body(1000, step_s=0.1)
    with rest.stream("POST", STREAM, json=content, headers=headers) as answer:
        found = list(events(answer))
    assert found[0]["index"] == 0
    assert found[-1] == {"error": "Request timeout expired", "kind": "deadline_exceeded"}
    wait_for(lambda: "left" in notes())
    headers = {"augurium-timeout-ms": "500"}
    before_any = rest.post(STREAM, json=body(5, step_s=2), headers=headers)
    assert before_any.status_code == 504


def test_a_killed_runner_is_an_event_for_its_callers_only(
    rest: httpx.Client, home: Path, yielding: Node
) -> None:
    with rest.stream("POST", STREAM, json=body(1000, step_s=0.05)) as answer:
        found = events(answer)
        os.kill(next(found)["process"], signal.SIGKILL)
        assert yielding.ask("/v2/models/double/generate", {"x": 1.0}).status == 200
        last = list(found)[-1]
    assert last == {
        "error": "the model ended its runner, which is started again",
        "kind": "model_failed",
    }
    # a dying process lets go of its connections one by one: who meets it is asked of the next
    assert [indices(rest, 2) for _ in range(5)] == [[0, 1]] * 5
    assert len(runners(home / "run")) == 2
    assert yielding.ask("/v2/health/live").status == 200


def test_streams_beyond_the_limit_are_refused_at_once(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    settings = tmp_path / "augurium.toml"
    settings.write_text("[runners]\nmax_streams = 2\n[limits]\nstream_timeout_s = 12\n")
    flags = ("--engines", "1", "--allow-code", "--config", str(settings))
    node = start(tmp_path / "home", *flags)
    register(node)
    base = f"http://{node.rest}"
    with httpx.Client(base_url=base, timeout=30) as rest, contextlib.ExitStack() as open_streams:
        found = []
        for _ in range(2):
            answer = open_streams.enter_context(
                rest.stream("POST", STREAM, json=body(1000, step_s=0.05))
            )
            found.append(events(answer))
            assert next(found[-1])["index"] == 0
        refused = rest.post(STREAM, json=body(1))
        assert refused.status_code == 503
        assert "reads 2 streams of this version already" in refused.json()["error"]
        assert "retry-after" in refused.headers
        # a caller that does not read at all loses its stream as well
        wait_for(lambda: rest.post(STREAM, json=body(1)).status_code == 200, 60)


def test_a_stop_waits_for_streams(start: Callable[..., Node], tmp_path: Path) -> None:
    node = start(tmp_path / "home", "--engines", "1", "--allow-code")
    register(node)
    found: list[int] = []

    def read() -> None:
        with (
            httpx.Client(base_url=f"http://{node.rest}", timeout=30) as rest,
            rest.stream("POST", STREAM, json=body(30, step_s=0.1)) as answer,
        ):
            for event in events(answer):
                found.append(event["index"])  # noqa: PERF401

    reading = threading.Thread(target=read)
    reading.start()
    wait_for(lambda: len(found) > 2)
    assert node.stop() == 0
    reading.join(10)
    assert found == list(range(30))


def test_a_stop_that_cannot_wait_says_so_in_the_stream(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    settings = tmp_path / "augurium.toml"
    settings.write_text("[node]\ndrain_timeout_s = 1\n")
    flags = ("--engines", "1", "--allow-code", "--config", str(settings))
    node = start(tmp_path / "home", *flags)
    register(node)
    with (
        httpx.Client(base_url=f"http://{node.rest}", timeout=30) as rest,
        rest.stream("POST", STREAM, json=body(1000, step_s=0.1)) as answer,
    ):
        found = events(answer)
        next(found)
        node.process.send_signal(signal.SIGTERM)
        last = list(found)[-1]
    assert last == {
        "error": "the server is stopping and ends the stream here; ask again",
        "kind": "not_ready",
    }
    assert node.process.wait(30) == 0


def test_a_stranger_to_http_1_1_gets_its_events_too(yielding: Node) -> None:
    host, port = yielding.rest.split(":")
    content = json.dumps(body(2)).encode()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(
            b"POST %b HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b"
            % (STREAM.encode(), len(content), content)
        )
        said = b""
        while piece := connection.recv(65536):
            said += piece
    head, _, events_sent = said.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"chunked" not in head
    assert events_sent.count(b"data: {") == 2


def test_the_command_line_says_that_a_version_is_streamed(yielding: Node) -> None:
    environment = {**clean_environment(), "AUGURIUM_URL": yielding.management}
    shown = subprocess.run(
        [AUGURIUM, "versions", "show", "words@1"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=True,
    ).stdout
    assert "streamed: any number for a request" in shown


def _counted(yielding: Node, outcome: str) -> int:
    for line in metrics(yielding).splitlines():
        if line.startswith("augurium_requests_total{") and {
            'model="words"',
            f'outcome="{outcome}"',
        } <= set(line.partition("{")[2].partition("}")[0].split(",")):
            return int(float(line.rpartition(" ")[2]))
    return 0


def _resident(pids: list[int]) -> int:
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)
