"""Both clients over both transports against a running node: the same answers everywhere."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from augurium import AsyncClient, Client, Retries
from augurium.client.results import Version
from augurium.client.transport_options import TransportOptions
from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Unauthenticated,
)
from tests.support.models import simple_model, slow_model, text_model
from tests.support.node import Node

TRANSPORTS = ("rest", "grpc")
ROWS = [
    {"city": "rome", "age": 31.0, "income": 1000.0},
    {"city": "oslo", "age": 64.0, "income": 52.5},
    {"city": "atlantis", "age": 18.0, "income": 0.0},
]
Call = Callable[[Any], Any]


def counting(columns: Any, parameters: Any) -> Any:
    """Counts up to what is asked for; fails at what `parameters` say."""
    for number in range(int(columns["count"][0])):
        if number == parameters.get("fail_at"):
            raise ValueError("as told")
        yield {"number": np.array([number])}


@pytest.fixture(scope="module")
def pipeline() -> tuple[Pipeline, pd.DataFrame]:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "city": rng.choice(["rome", "oslo", "lima"], 300).astype(object),
            "age": rng.integers(18, 80, 300).astype(np.float32),
            "income": rng.gamma(2, 20_000, 300).astype(np.float32),
        }
    )
    labels = np.where((table["city"] == "rome") | (table["age"] > 60), "yes", "no")
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("numbers", StandardScaler(), ["age", "income"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(
        table, labels
    ), table


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, pipeline: tuple[Pipeline, pd.DataFrame]
) -> Iterator[Node]:
    model, table = pipeline
    found = Node(tmp_path_factory.mktemp("clients") / "home", "--allow-code")
    try:
        with found.client() as client:
            deployed(client, model, name="mixed", data=table)
            for name, content in (
                ("simple", simple_model()),
                ("text", text_model()),
                ("slow", slow_model()),
            ):
                deployed(client, onnx.load_from_string(content), name=name)
            deployed(client, counting, name="counting", data={"count": [3, 2]}, allow_code=True)
        yield found
    finally:
        found.stop()


def deployed(client: Client, model: object, **details: Any) -> Version:
    version: Version = client.register(model, **details)
    client.deploy(version.model, version.version)
    return version


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, node: Node, transport: Any) -> Callable[[Call], Any]:
    """Calls a method of a client and gives its result, whichever client it is."""

    def sync(call: Call) -> Any:
        with Client(node.management, transport=transport) as client:
            return call(client)

    def asynchronous(call: Call) -> Any:
        async def run() -> Any:
            async with AsyncClient(node.management, transport=transport) as client:
                return await call(client)

        return asyncio.run(run())

    return sync if request.param == "sync" else asynchronous


def predicted(instances: Any, client: Any) -> Any:
    return client.predict("mixed", instances)


def test_named_features_in_any_form_get_the_same_answer(
    ask: Callable[[Call], Any], pipeline: tuple[Pipeline, pd.DataFrame]
) -> None:
    frame = pd.DataFrame(ROWS)
    model, _ = pipeline
    structured = np.array(
        [tuple(row.values()) for row in ROWS],
        dtype=[("city", "U16"), ("age", "f8"), ("income", "f8")],
    )

    for instances in (ROWS, frame, structured, [list(row.values()) for row in ROWS]):
        found = ask(partial(predicted, instances))
        labels = next(values for values in found.to_numpy().values() if values.dtype.kind == "O")
        assert labels.tolist() == model.predict(frame).tolist()
        assert found.version == 1


def test_an_arrow_table_goes_in_and_comes_out(
    ask: Callable[[Call], Any], pipeline: tuple[Pipeline, pd.DataFrame], transport: str
) -> None:
    model, table = pipeline
    features = pa.Table.from_pandas(table)

    # more rows than a version takes in one batch travel over REST only
    rows = features if transport == "rest" else features.slice(0, 200)
    found = ask(partial(predicted, rows))

    labels = next(values for values in found.to_numpy().values() if values.dtype.kind == "O")
    assert found.to_arrow().num_rows == rows.num_rows
    assert labels.tolist() == model.predict(table[: rows.num_rows]).tolist()


def test_tensors_come_back_as_tensors(ask: Callable[[Call], Any]) -> None:
    left = np.arange(32, dtype=np.int32).reshape(2, 16)
    inputs = {"INPUT0": left, "INPUT1": np.ones_like(left)}

    found = ask(lambda client: client.infer("simple", inputs))
    chosen = ask(lambda client: client.infer("simple", inputs, ["OUTPUT1"], version=1))

    np.testing.assert_array_equal(found.outputs["OUTPUT0"], left + 1)
    np.testing.assert_array_equal(found.outputs["OUTPUT1"], left - 1)
    assert list(chosen.outputs) == ["OUTPUT1"]
    assert (found.version, chosen.version) == (1, 1)


def test_texts_come_back_as_texts(ask: Callable[[Call], Any]) -> None:
    texts = np.array([["hé", ""], ["b", "日本"]], object)

    found = ask(lambda client: client.infer("text", {"text": texts}))

    assert found.outputs["same"].tolist() == texts.tolist()


def test_a_request_keeps_its_id(ask: Callable[[Call], Any]) -> None:
    texts = np.array([["a", "b"]], object)

    found = ask(lambda client: client.infer("text", {"text": texts}, request_id="r-17"))

    assert found.request_id == "r-17"


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda c: c.predict("none", [[1]]), NotFound, "none"),
        (lambda c: c.predict("mixed", [{"city": "rome"}]), InvalidArgument, "misses"),
        (lambda c: c.predict("mixed", ROWS, version=9), NotFound, "9"),
        (lambda c: c.predict("mixed", ROWS, alias="gone"), NotFound, "gone"),
        (lambda c: c.infer("simple", {"INPUT0": np.zeros((1, 16))}), InvalidArgument, "INPUT"),
        (
            lambda c: c.infer("text", {"text": np.full((257, 2), "a", object)}),
            InvalidArgument,
            "256",
        ),
        (lambda c: c.infer("none", {"x": np.zeros(1)}), NotFound, "unknown model"),
    ],
    ids=["model", "features", "version", "alias", "tensors", "rows", "tensors of no model"],
)
def test_errors_are_typed(
    ask: Callable[[Call], Any], call: Call, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        ask(call)


def test_a_deadline_reaches_the_server(ask: Callable[[Call], Any]) -> None:
    rows = np.zeros((256, 1, 1), np.float32)
    began = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        ask(lambda client: client.infer("slow", {"x": rows}, timeout_ms=20))

    assert time.monotonic() - began < 10


def test_many_threads_share_a_client(node: Node, transport: Any) -> None:
    with Client(node.management, transport=transport) as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> int:
            row = np.full((1, 16), number, np.int32)
            found = client.infer("simple", {"INPUT0": row, "INPUT1": row}).outputs
            return int(found["OUTPUT0"][0, 0])

        assert list(pool.map(ask, range(300))) == [2 * number for number in range(300)]


async def test_two_hundred_tasks_share_a_client(node: Node, transport: Any) -> None:
    async with AsyncClient(node.management, transport=transport) as client:

        async def ask(number: int) -> int:
            row = np.full((1, 16), number, np.int32)
            found = (await client.infer("simple", {"INPUT0": row, "INPUT1": row})).outputs
            return int(found["OUTPUT0"][0, 0])

        found = await asyncio.gather(*map(ask, range(200)))

    assert found == [2 * number for number in range(200)]


async def test_large_tensors_go_both_ways(node: Node, transport: Any) -> None:
    texts = np.array([[str(number) * 8192, "é"] for number in range(256)], object)
    async with AsyncClient(node.management, transport=transport, timeout_s=60) as client:
        found = await client.infer("text", {"text": texts})

    assert found.outputs["same"].tolist() == texts.tolist()


def test_both_clients_ask_for_the_node(node: Node) -> None:
    async def ask() -> Any:
        async with AsyncClient(node.management) as client:
            return client.url, await client.server(), await client.ready()

    with Client(node.management) as client:
        url, server, ready = asyncio.run(ask())
        assert (url, ready) == (client.url, client.ready())
        assert server.rest_url == client.server().rest_url


async def test_every_model_gives_one_reply_to_a_stream_at_least(node: Node, transport: Any) -> None:
    inputs = {"text": ["a", "é"]}
    with Client(node.management, transport=transport) as client:
        found = [reply.outputs for reply in client.stream("text", inputs)]
    async with AsyncClient(node.management, transport=transport) as asynchronous:
        same = [reply.outputs async for reply in asynchronous.stream("text", inputs)]

    assert found == same == [{"same": ["a", "é"]}]


async def test_a_streamed_model_gives_its_answers_as_they_come(node: Node, transport: Any) -> None:
    with Client(node.management, transport=transport) as client:
        found = [one.outputs["number"] for one in client.stream("counting", {"count": 4})]
    async with AsyncClient(node.management, transport=transport) as asynchronous:
        asked = asynchronous.stream("counting", {"count": 4})
        same = [one.outputs["number"] async for one in asked]

    assert found == same == [0, 1, 2, 3]


def test_a_streamed_model_may_fail_in_the_midst_of_it(node: Node, transport: Any) -> None:
    with Client(node.management, transport=transport) as client:
        asked = client.stream("counting", {"count": 4, "fail_at": 2})

        assert [next(asked).outputs["number"] for _ in range(2)] == [0, 1]
        with pytest.raises(AuguriumError, match="ValueError: as told"):
            next(asked)


@pytest.fixture
def fixed(tmp_path: Path) -> Iterator[Callable[[], Node]]:
    """Starts the same node again and again, in one place and with one home."""
    places = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    flags = ("--port", "--grpc-port", "--control-port")
    numbers = [str(place.getsockname()[1]) for place in places]
    chosen = [word for pair in zip(flags, numbers, strict=True) for word in pair]
    for place in places:
        place.close()
    nodes: list[Node] = []

    def start() -> Node:
        # of a flag that is given twice the last one counts
        nodes.append(Node(tmp_path / "home", *chosen, "--engines", "1"))
        return nodes[-1]

    yield start
    for node in nodes:
        node.stop()


def test_a_server_that_is_killed_and_started_again_is_found_again(
    fixed: Callable[[], Node], transport: Any
) -> None:
    first = fixed()
    with first.client() as client:
        deployed(client, onnx.load_from_string(text_model()), name="text")
    patient = Retries(attempts=500, first_pause_s=0.05, longest_pause_s=0.3, reserve=1000.0)
    row = np.array([["a", "b"]], object)
    with (
        Client(first.management, transport=transport, retries=patient, timeout_s=90) as client,
        ThreadPoolExecutor(4) as pool,
    ):

        def ask(_: int) -> Any:
            return client.infer("text", {"text": row}).outputs["same"].tolist()

        assert ask(0) == row.tolist()
        children = list(first.children().values())
        for pid in (first.process.pid, *children):
            os.kill(pid, signal.SIGKILL)
        first.process.wait(30)
        answers = [pool.submit(ask, number) for number in range(8)]
        time.sleep(0.5)
        fixed()
        assert [answer.result(timeout=90) for answer in answers] == [row.tolist()] * 8


def test_a_key_goes_along(tmp_path: Path, transport: Any) -> None:
    small = ("--engines", "1")
    node = Node(tmp_path / "home", *small)
    try:
        with node.client() as client:
            deployed(client, onnx.load_from_string(text_model()), name="text")
            client.create_key("boss", ["admin"])
            key = client.create_key("app", ["predict", "read"], models=["text"]).key
    finally:
        node.stop()
    node = Node(tmp_path / "home", *small, "--access-required")
    try:
        where: TransportOptions = {"rest_url": f"http://{node.rest}", "grpc_url": node.grpc}
        where["transport"] = transport
        row = np.array([["a", "b"]], object)
        with Client(node.management, key, **where) as client:
            assert client.infer("text", {"text": row}).version == 1
            assert client.predict("text", [["a", "b"]]).predictions == [["a", "b"]]
        with (
            Client(node.management, "wrong", **where) as client,
            pytest.raises(Unauthenticated),
        ):
            client.infer("text", {"text": row})
    finally:
        node.stop()
