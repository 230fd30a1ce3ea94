"""More than can be answered: who is refused, how soon, and what they are told. What is answered is
right.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from augurium.client import Client
from augurium.core.errors import InvalidArgument
from augurium.protocols.generated import inference_pb2 as pb
from tests.acceptance.test_lifecycle import in_the_end, wait_for
from tests.support.node import Node

# a machine that others use as well sends fewer requests than this asks for: few are too many
RUN_S = 0.2
ROWS = 4


def slow(columns: Any) -> Any:
    time.sleep(0.2)
    return {"y": columns["x"] * 2}


def quick(columns: Any) -> Any:
    time.sleep(0.05)
    return {"y": columns["x"] * 2}


@pytest.fixture(scope="module")
def busy(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    """One engine, batches of four rows, and models that take 200 ms for one."""
    folder = tmp_path_factory.mktemp("overload")
    config = folder / "augurium.toml"
    config.write_text(
        f"[batching]\nmax_batch_size = {ROWS}\ntarget_queue_delay_ms = 400\n"
        "overload_interval_ms = 800\n"
    )
    return start(folder / "home", "--engines", "1", "--allow-code", "--config", str(config))


@pytest.fixture
def model(busy: Node, request: pytest.FixtureRequest) -> str:
    name = f"{request.node.originalname}"[5:60]
    with busy.client() as client:
        client.register(slow, name=name, data={"x": [1.0, 2.5, 3.0]}, allow_code=True)
        client.deploy(name, 1)
    return name


class Asked(NamedTuple):
    """One request of a load: what it was, and what came back after which time."""

    priority: str
    status: int
    seconds: float
    retry_after: str | None
    right: bool


async def one(
    client: httpx.AsyncClient, url: str, value: float, priority: str, timeout_ms: float = 0
) -> Asked:
    headers = {"augurium-priority": priority}
    if timeout_ms:
        headers["augurium-timeout-ms"] = str(timeout_ms)
    began = time.monotonic()
    answer = await client.post(url, json={"instances": [{"x": value}]}, headers=headers)
    seconds = time.monotonic() - began
    right = answer.status_code != 200 or answer.json() == {"predictions": [value * 2]}
    return Asked(priority, answer.status_code, seconds, answer.headers.get("retry-after"), right)


async def load(
    node: Node, model: str, rate: float, seconds: float, priorities: tuple[str, ...] = ("normal",)
) -> list[Asked]:
    """Requests on a schedule, whether or not the answers come."""
    url = f"http://{node.rest}/v1/models/{model}:predict"
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        began, tasks = time.monotonic(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            word = priorities[number % len(priorities)]
            tasks.append(asyncio.create_task(one(client, url, float(number), word)))
        return await asyncio.gather(*tasks)


def metric(node: Node, name: str, **pairs: str) -> float:
    """The sum of the samples with these labels."""
    wanted = [f'{key}="{value}"' for key, value in pairs.items()]
    lines = httpx.get(f"{node.management}/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(f"{name}{{")]
    return sum(float(li.rsplit(" ", 1)[1]) for li in found if all(pair in li for pair in wanted))


def check_metric(node: Node, expected: float, name: str, **pairs: str) -> None:
    """That the samples sum up to this, or soon do."""
    assert in_the_end(lambda: metric(node, name, **pairs), expected) == expected


def test_at_twice_the_load_as_many_are_answered_and_soon(busy: Node, model: str) -> None:
    capacity = ROWS / RUN_S
    asyncio.run(load(busy, model, capacity / 2, 1.0))
    began = time.monotonic()
    found = asyncio.run(load(busy, model, 2.5 * capacity, 6.0))
    seconds = time.monotonic() - began
    answered = sorted(asked.seconds for asked in found if asked.status == 200)
    refused = [asked for asked in found if asked.status == 503]

    assert all(asked.right for asked in found)
    assert len(answered) + len(refused) == len(found)
    # the test shares its machine with others
    rate = len(answered) / seconds
    assert rate > 0.3 * capacity
    # if all waited, they would wait for so long in the middle, and twice as long at the end
    unrefused_s = len(found) / 2 / rate - 3.0
    assert answered[len(answered) // 2] < unrefused_s * 2 / 3
    assert all(int(asked.retry_after or 0) >= 1 for asked in refused)
    of = {"model": model, "priority": "normal"}
    check_metric(busy, len(refused), "augurium_refused_total", **of)

    def over() -> bool:
        calm = asyncio.run(load(busy, model, 10, 1.0))
        return {asked.status for asked in calm} == {200} and not metric(
            busy, "augurium_overloaded", model=model
        )

    wait_for(over, 30)


def test_what_matters_least_is_refused_first(busy: Node, model: str) -> None:
    capacity = ROWS / RUN_S
    # what matters is less than half of what it can do, and all together is more
    order = ("critical", "normal", *["batch"] * 18)
    found = asyncio.run(load(busy, model, 4.0 * capacity, 12.0, order))
    asked = Counter(one.priority for one in found)
    answered = Counter(one.priority for one in found if one.status == 200)
    share = {word: answered[word] / asked[word] for word in asked}

    assert all(one.right for one in found)
    assert share["critical"] == 1
    assert share["normal"] > 0.9 > share["batch"]
    refused, of = asked["batch"] - answered["batch"], {"model": model, "priority": "batch"}
    check_metric(busy, refused, "augurium_refused_total", **of)


def test_what_cannot_be_answered_in_time_is_refused_at_once(busy: Node, model: str) -> None:
    with busy.client() as client:
        client.set_serving(model, {"overload": {"target_queue_delay_ms": 0}})

    full = {"instances": [{"x": 1.0}] * ROWS}

    async def ask() -> tuple[Asked, list[int]]:
        url = f"http://{busy.rest}/v1/models/{model}:predict"
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(client.post(url, json=full) for _ in range(6)))
            others = [asyncio.create_task(client.post(url, json=full)) for _ in range(20)]
            await asyncio.sleep(0.3)
            hasty = await one(client, url, 1, "normal", timeout_ms=1000)
            return hasty, [answer.status_code for answer in await asyncio.gather(*others)]

    hasty, others = asyncio.run(ask())
    assert others == [200] * 20
    assert hasty.status == 503
    assert int(hasty.retry_after or 0) >= 1
    check_metric(busy, 1, "augurium_refused_total", model=model, reason="deadline")


def test_a_grpc_caller_is_told_when_to_try_again(busy: Node, model: str) -> None:
    with busy.client() as client:
        client.set_serving(model, {"overload": {"max_concurrency": 1}})
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1])
    request = pb.ModelInferRequest(
        model_name=model, inputs=[tensor], raw_input_contents=[np.array([4.0]).tobytes()]
    )

    async def ask() -> list[Any]:
        async with grpc.aio.insecure_channel(busy.grpc) as channel:
            infer = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelInfer",
                request_serializer=pb.ModelInferRequest.SerializeToString,
                response_deserializer=pb.ModelInferResponse.FromString,
            )
            calls = [infer(request) for _ in range(4)]
            return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(ask())
    refused = [one for one in found if isinstance(one, grpc.aio.AioRpcError)]
    assert [error.code() for error in refused] == [grpc.StatusCode.UNAVAILABLE] * 3
    for error in refused:
        trailers = dict(error.trailing_metadata() or ())
        assert int(trailers["grpc-retry-pushback-ms"]) >= 1
        assert trailers["augurium-error"] == "overloaded"
    (answer,) = (one for one in found if not isinstance(one, Exception))
    assert np.frombuffer(answer.raw_output_contents[0]).tolist() == [8.0]


def metadata(priority: str) -> dict[str, str]:
    return {"augurium-priority": priority}


def test_a_model_has_no_more_at_work_than_its_limit(busy: Node, model: str) -> None:
    with busy.client() as client:
        client.set_serving(model, {"overload": {"max_concurrency": 2}})
    found = asyncio.run(load(busy, model, 100, 0.2))
    refused = sum(asked.status == 503 for asked in found)
    assert {asked.status for asked in found} == {200, 503}
    of = {"model": model, "reason": "concurrency"}
    check_metric(busy, refused, "augurium_refused_total", **of)
    check_metric(busy, 2, "augurium_concurrency_limit", model=model)

    with busy.client() as client:
        client.set_serving(model, {"overload": {"adaptive_concurrency": True}})
    assert {asked.status for asked in asyncio.run(load(busy, model, 50, 0.2))} == {200}
    wait_for(lambda: metric(busy, "augurium_concurrency_limit", model=model) >= 4, 30)


def test_an_unknown_priority_is_a_mistake(busy: Node, model: str) -> None:
    body = {"instances": [{"x": 1}]}
    path = f"/v1/models/{model}:predict"
    answer = busy.ask(path, body, {"augurium-priority": "urgent"})
    tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}
    level = busy.ask(
        f"/v2/models/{model}/infer", {"inputs": [tensor], "parameters": {"priority": -1}}
    )
    good = [
        busy.ask(
            f"/v2/models/{model}/infer", {"inputs": [tensor], "parameters": {"priority": priority}}
        ).status
        for priority in (0, 1, 2, 9, "batch")
    ]
    wire = triton_grpc.InferInput("x", [1], "FP64")
    wire.set_data_from_numpy(np.array([4.0]))

    assert (answer.status, level.status, good) == (400, 400, [200] * 5)
    assert "critical, normal, batch" in answer.json["error"]
    with triton_grpc.InferenceServerClient(busy.grpc) as client:
        with pytest.raises(InferenceServerException, match="urgent") as refused:
            client.infer(model, [wire], headers=metadata("urgent"))
        assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert client.infer(model, [wire], priority=1).as_numpy("y").tolist() == [8.0]


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_the_client_says_how_much_a_call_matters(
    busy: Node, model: str, transport: Literal["rest", "grpc"]
) -> None:
    with Client(busy.management, transport=transport) as client:
        assert client.predict(model, [{"x": 2.0}], priority="critical").predictions == [4.0]
        with pytest.raises(InvalidArgument, match="urgent"):
            client.predict(model, [{"x": 2.0}], priority="urgent")


@pytest.mark.parametrize(
    "overload",
    [
        {"max_concurrency": -1},
        {"interval_ms": 0},
        {"target_queue_delay_ms": -1},
        {"maximum": 1},
    ],
    ids=["negative", "no interval", "negative delay", "unknown"],
)
def test_a_policy_that_cannot_be_meant_is_refused(busy: Node, overload: dict[str, Any]) -> None:
    with busy.client() as client:
        if "plain" not in [model.name for model in client.models()]:
            client.register(slow, name="plain", data={"x": [1.0]}, allow_code=True)
        with pytest.raises(InvalidArgument):
            client.set_serving("plain", {"overload": overload})
        assert client.model("plain").serving == {}


def test_a_flood_on_one_model_leaves_places_for_the_others(
    start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("share")
    config = folder / "augurium.toml"
    # no target: only the room decides
    config.write_text(
        "[limits]\nmax_in_flight = 32\n[batching]\nmax_batch_size = 1\ntarget_queue_delay_ms = 0\n"
    )
    node = start(folder / "home", "--engines", "1", "--allow-code", "--config", str(config))
    with node.client() as client:
        for name in ("flooded", "other"):
            client.register(quick, name=name, data={"x": [1.0, 2.5]}, allow_code=True)
            client.deploy(name, 1)

    async def ask() -> tuple[list[Asked], list[Asked]]:
        flood = asyncio.create_task(load(node, "flooded", 150, 3.0))
        await asyncio.sleep(1.0)
        url = f"http://{node.rest}/v1/models/other:predict"
        async with httpx.AsyncClient(timeout=30) as client:
            # one after another: how many there are at a time does not depend on the machine
            others = [await one(client, url, float(number), "normal") for number in range(15)]
        return await flood, others

    flood, others = asyncio.run(ask())
    assert {asked.status for asked in others} == {200}
    assert {asked.status for asked in flood} == {200, 503}
    assert all(asked.right for asked in (*flood, *others))
    refused = sum(asked.status == 503 for asked in flood)
    of = {"model": "flooded", "reason": "fair_share"}
    check_metric(node, refused, "augurium_refused_total", **of)
    assert metric(node, "augurium_refused_total", model="other") == 0
