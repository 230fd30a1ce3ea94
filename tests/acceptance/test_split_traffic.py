"""A model's traffic among its versions, over REST and gRPC: who gets which, what changes move."""

import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import grpc
import httpx
import msgspec
import onnx
import pytest

from augurium.client import AsyncClient, Client
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, Variant
from augurium.core.traffic_slots import SlotRun
from augurium.protocols.generated import inference_pb2 as pb
from augurium.traffic.assignment import Assignment
from tests.support.models import table_model
from tests.support.node import Node, control_of
from tests.support.traffic import Question, Traffic

MODEL = "split"
TABLE_BYTES = 4096
UNITS = [f"customer-{number}" for number in range(300)]
NOBODY: Mapping[str, str] = {}


class Told(NamedTuple):
    """Who answered, and the value that only this version has."""

    version: int
    variant: str | None
    value: float


Ask = Callable[..., Told]


def ask_rest(node: Node, headers: Mapping[str, str] = NOBODY, version: int | None = None) -> Told:
    name = MODEL if version is None else f"{MODEL}/versions/{version}"
    tensor = {"name": "place", "datatype": "INT64", "shape": [1, 1], "data": [7]}
    answer = node.ask(f"/v2/models/{name}/infer", {"inputs": [tensor]}, dict(headers))
    assert answer.status == 200, answer.body
    value = answer.json["outputs"][0]["data"][0]
    told = answer.headers
    return Told(int(told["augurium-version"]), told.get("augurium-variant"), value)


def ask_grpc(node: Node, headers: Mapping[str, str] = NOBODY, version: int | None = None) -> Told:
    request = pb.ModelInferRequest(model_name=MODEL, model_version=str(version or ""))
    request.inputs.add(name="place", datatype="INT64", shape=[1, 1]).contents.int64_contents.append(
        7
    )
    # a connection of its own for each: all engines are asked
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(node.grpc, options) as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelInferResponse.FromString,
        )
        answer = call(request, metadata=tuple(headers.items()), timeout=30)
    variant = None
    if "augurium-variant" in answer.parameters:
        variant = answer.parameters["augurium-variant"].string_param
    return Told(int(answer.model_version), variant, answer.outputs[0].contents.fp32_contents[0])


BOTH = pytest.mark.parametrize("ask", [ask_rest, ask_grpc])


@pytest.fixture(scope="module")
def splitting(start: Callable[..., Node]) -> Node:
    """Two engines; version 1 is the default, 2 and 3 are deployed, 4 is registered only."""
    node = start(None, "--engines", "2")
    with node.client() as client:
        for version in (1, 2, 3, 4):
            content = table_model(version, TABLE_BYTES)
            client.register(onnx.load_from_string(content), name=MODEL)
        for version in (1, 2, 3):
            client.deploy(MODEL, version, default=version == 1)
    return node


@pytest.fixture
def client(splitting: Node) -> Iterator[Client]:
    with splitting.client() as client:
        yield client
        client.clear_traffic(MODEL)


def unit(name: str) -> dict[str, str]:
    return {"augurium-unit": name}


def two(first: float, second: float) -> TrafficPolicy:
    return TrafficPolicy((Variant(1, first), Variant(2, second, name="challenger")))


def places(client: Client) -> Assignment:
    return Assignment(MODEL, client.traffic(MODEL).slots)


def assigned(client: Client) -> list[str]:
    found = places(client)
    return [found.variant(name) for name in UNITS]


@BOTH
def test_every_engine_gives_a_unit_the_variant_that_its_hash_says(
    splitting: Node, client: Client, ask: Ask
) -> None:
    client.set_traffic(MODEL, two(70, 30))

    told = [ask(splitting, unit(name)) for name in UNITS]

    assert [one.variant for one in told] == assigned(client)
    assert {(one.variant, one.version, one.value) for one in told} == {
        ("v1", 1, 1.0),
        ("challenger", 2, 2.0),
    }
    # 300 units: six standard deviations are 48
    assert abs(Counter(one.variant for one in told)["challenger"] - 90) <= 48


@BOTH
def test_requests_without_a_unit_are_shared_out_too(
    splitting: Node, client: Client, ask: Ask
) -> None:
    client.set_traffic(MODEL, two(50, 50))

    found = Counter(ask(splitting).variant for _ in range(200))

    # six standard deviations are 42
    assert set(found) == {"v1", "challenger"}
    assert abs(found["v1"] - 100) <= 42


@BOTH
def test_a_version_in_the_request_is_stronger_and_rules_come_before_shares(
    splitting: Node, client: Client, ask: Ask
) -> None:
    rules = (TrafficRule("header:country", 3, values=("DE", "AT")),)
    client.set_traffic(MODEL, TrafficPolicy((Variant(2, 100),), rules=rules))

    assert ask(splitting, {"country": "AT", **unit("ada")}) == Told(3, "v3", 3.0)
    assert ask(splitting, {"country": "FR"}) == Told(2, "v2", 2.0)
    assert ask(splitting, {"country": "DE"}, version=1) == Told(1, None, 1.0)


@BOTH
def test_without_a_policy_the_default_answers(splitting: Node, client: Client, ask: Ask) -> None:
    client.set_traffic(MODEL, two(0, 100))
    client.clear_traffic(MODEL, "done")

    assert ask(splitting, unit("ada")) == Told(1, None, 1.0)


@BOTH
def test_a_change_of_shares_moves_as_few_units_as_it_can(
    splitting: Node, client: Client, ask: Ask
) -> None:
    client.set_traffic(MODEL, two(90, 10))
    before = [ask(splitting, unit(name)).variant for name in UNITS]
    client.set_traffic(MODEL, two(70, 30))
    after = [ask(splitting, unit(name)).variant for name in UNITS]
    moved = Counter((one, other) for one, other in zip(before, after, strict=True) if one != other)

    assert set(moved) == {("v1", "challenger")}
    # a fifth of 300; six standard deviations are 42
    assert abs(moved["v1", "challenger"] - 60) <= 42
    client.revert_traffic(MODEL)
    assert [ask(splitting, unit(name)).variant for name in UNITS] == before


def test_a_variant_stays_through_restarts_of_engines_and_of_control(
    splitting: Node, client: Client
) -> None:
    client.set_traffic(MODEL, two(40, 60))
    expected = assigned(client)
    control, old = control_of(splitting), splitting.children()

    control.kill()
    while_away = [ask_rest(splitting, unit(name)).variant for name in UNITS[:50]]
    assert while_away == expected[:50]
    control.wait(20)
    _until(lambda: _is_ready(splitting))
    for slot, pid in old.items():
        os.kill(pid, signal.SIGKILL)
        _until(partial(_is_back, splitting, slot, pid))
    _until(lambda: _is_ready(splitting))

    assert [ask_rest(splitting, unit(name)).variant for name in UNITS] == expected
    assert client.traffic(MODEL).policy == _as_told(two(40, 60))


def test_an_engine_that_starts_while_control_is_away_knows_the_policy(
    splitting: Node, client: Client
) -> None:
    client.set_traffic(MODEL, two(40, 60))
    expected = assigned(client)
    control, engines = control_of(splitting), splitting.children()

    control.suspend()
    try:
        # what it kept on disk is all it has
        for pid in engines.values():
            os.kill(pid, signal.SIGKILL)
        # which of them answers is up to the kernel
        _until(lambda: all(_answers(splitting) for _ in range(20)))
        found = [ask_rest(splitting, unit(name)).variant for name in UNITS[:100]]
    finally:
        control.resume()

    assert found == expected[:100]
    _until(lambda: _is_ready(splitting))


def test_changes_under_load_lose_nothing(splitting: Node, client: Client) -> None:
    first = client.set_traffic(MODEL, two(50, 50)).revision
    weights = itertools.cycle([(90, 10), (10, 90), (0, 100), (50, 50)])

    with Traffic(splitting, _explicit, 2) as explicit, Callers(splitting) as callers:
        for shares in itertools.islice(weights, 12):
            told = client.set_traffic(MODEL, two(*shares))
            assert told.applied
            time.sleep(0.1)
        client.clear_traffic(MODEL)
        client.revert_traffic(MODEL)
        _until(lambda: callers.right > 100)

    assert not explicit.wrong + explicit.failed + callers.wrong
    assert client.traffic(MODEL).revision > first + 10


def test_what_cannot_be_is_refused_and_changes_nothing(splitting: Node, client: Client) -> None:
    now = client.set_traffic(MODEL, two(50, 50)).revision
    client.delete(MODEL, 4)
    refused = {
        "no version 9": TrafficPolicy((Variant(9, 100),)),
        "add up to 90": TrafficPolicy((Variant(1, 90),)),
        "no feature 'size'": TrafficPolicy((Variant(1, 100),), unit="feature:size"),
    }
    for message, policy in refused.items():
        with pytest.raises(InvalidArgument, match=message):
            client.set_traffic(MODEL, policy)
    with pytest.raises(Conflict, match="version 4 of 'split' is deleted"):
        client.set_traffic(MODEL, TrafficPolicy((Variant(4, 100),)))
    client.restore(MODEL, 4)
    with pytest.raises(Conflict, match="not deployed"):
        client.set_traffic(MODEL, TrafficPolicy((Variant(4, 100),)))
    with pytest.raises(Conflict, match=f"revision {now} by local"):
        client.set_traffic(MODEL, two(10, 90), based_on_revision=now - 1)
    with pytest.raises(Conflict, match="traffic policy"):
        client.undeploy(MODEL, 2)
    for body in (b"{", b"[]", b'{"policy": 7}', json.dumps({"policy": {"split": "all"}}).encode()):
        headers = {"content-type": "application/json"}
        url = f"{splitting.management}/api/v1/models/{MODEL}/traffic"
        assert httpx.put(url, content=body, headers=headers).status_code == 400

    assert client.traffic(MODEL).revision == now
    assert ask_rest(splitting, unit("ada")).variant == places(client).variant("ada")


async def test_the_client_for_tasks_does_the_same(splitting: Node, client: Client) -> None:
    async with AsyncClient(splitting.management) as tasks:
        made = await tasks.set_traffic(MODEL, two(100, 0), "all to the first")
        answer = await tasks.predict(MODEL, [[7]], unit="ada")
        back = await tasks.set_traffic(MODEL, _as_told(two(0, 100)), "", made.revision)
        again = await tasks.revert_traffic(MODEL, made.revision)
        with pytest.raises(Conflict):
            await tasks.clear_traffic(MODEL, "", made.revision)
        gone = await tasks.clear_traffic(MODEL, "done")
        history = await tasks.traffic_history(MODEL, 4)
        now = await tasks.traffic(MODEL)

    assert (answer.variant, answer.version) == ("v1", 1)
    assert made.slots == (SlotRun("v1", 10_000),)
    assert [one.revision for one in history] == [one.revision for one in (gone, again, back, made)]
    assert now.policy is None


class Callers(Traffic):
    """Callers that name no version: every answer is that of one of the two."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, _any_unit, 2)


def _any_unit(chance: random.Random) -> Question:
    body = {"instances": [[chance.randrange(100)]]}
    return Question(f"/v1/models/{MODEL}:predict", body, _OneOf())


class _OneOf:
    """Equal to the answer of either version."""

    def __eq__(self, other: object) -> bool:
        return other in ({"predictions": [[1.0]]}, {"predictions": [[2.0]]})

    __hash__ = object.__hash__


def _explicit(chance: random.Random) -> Question:
    body = {"instances": [[chance.randrange(100)]]}
    return Question(f"/v1/models/{MODEL}/versions/3:predict", body, {"predictions": [[3.0]]})


def _as_told(policy: TrafficPolicy) -> dict[str, object]:
    told: dict[str, object] = msgspec.json.decode(msgspec.json.encode(policy))
    return told


def _is_back(node: Node, slot: str, before: int) -> bool:
    return node.children().get(slot, before) != before


def _is_ready(node: Node) -> bool:
    try:
        with node.client() as client:
            return client.ready().ready
    except AuguriumError:
        return False


def _answers(node: Node) -> bool:
    try:
        return node.ask("/v2/health/ready").status == 200
    except OSError:
        return False


def _until(condition: Callable[[], bool], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
