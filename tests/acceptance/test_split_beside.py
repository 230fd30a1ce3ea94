"""Traffic policies beside what else stands in front of versions: the prediction cache, a fallback,
and engines that hold versions for each other.
"""

from collections.abc import Callable, Iterator

import onnx
import pytest

from augurium.client import Client
from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.core.traffic_slots import rearranged
from augurium.traffic.assignment import Assignment
from tests.support.models import picky_model, table_model
from tests.support.node import Node, Reply

HALVES = TrafficPolicy((Variant(1, 50), Variant(2, 50, name="challenger")))
PLACES = rearranged((), {"v1": 5000, "challenger": 5000})
VALUES = {"v1": 1.0, "challenger": 2.0}
UNITS = [f"customer-{number}" for number in range(40)]
TABLE_BYTES = 1_000_000
# as they are measured, about six in each of two engines
BUDGET = 24 * TABLE_BYTES
MODELS = 16


@pytest.fixture(scope="module")
def sharing(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Two engines that have not enough memory for all models, each two versions by halves."""
    folder = tmp_path_factory.mktemp("split")
    config = folder / "augurium.toml"
    config.write_text(f"[residency]\nmemory_bytes = {BUDGET}\n")
    node = start(folder / "home", "--engines", "2", "--config", str(config))
    with node.client() as client:
        for number in range(MODELS):
            _register(
                client, f"split{number}", table_model(1, TABLE_BYTES), table_model(2, TABLE_BYTES)
            )
        _register(client, "picky", table_model(7, 4096), picky_model())
    return node


@pytest.fixture
def client(sharing: Node) -> Iterator[Client]:
    with sharing.client() as client:
        yield client


def _register(client: Client, name: str, *versions: bytes) -> None:
    for number, content in enumerate(versions, 1):
        client.register(onnx.load_from_string(content), name=name)
        client.deploy(name, number, default=number == 1)
    client.set_traffic(name, HALVES)


def _ask(node: Node, model: str, unit: str, place: int = 3) -> Reply:
    body = {"instances": [[place]]}
    return node.ask(f"/v1/models/{model}:predict", body, {"augurium-unit": unit})


def _variant(model: str, unit: str) -> str:
    return Assignment(model, PLACES).variant(unit)


def test_versions_that_sleep_or_are_elsewhere_are_woken_for_their_units(sharing: Node) -> None:
    for unit in UNITS[:4]:
        for number in range(MODELS):
            model = f"split{number}"
            answer = _ask(sharing, model, unit)
            expected = _variant(model, unit)
            assert answer.headers["augurium-variant"] == expected
            assert answer.json == {"predictions": [[VALUES[expected]]]}


def test_what_is_remembered_of_one_version_answers_for_no_other(
    sharing: Node, client: Client
) -> None:
    client.set_serving("split0", {"cache": {"ttl_s": 600}})
    told = []
    for unit in UNITS * 3:
        answer = _ask(sharing, "split0", unit)
        expected = _variant("split0", unit)
        assert answer.headers["augurium-variant"] == expected
        assert answer.json == {"predictions": [[VALUES[expected]]]}
        told.append(answer.headers["augurium-cache"])
    client.set_serving("split0", {})

    # each version once in each engine, at most
    assert 2 <= told.count("miss") <= 4


def test_a_fallback_answers_for_the_variant_that_was_chosen(sharing: Node, client: Client) -> None:
    step = {"kind": "constant", "outputs": {"found": -1.0}}
    client.set_serving("picky", {"fallback": {"steps": [step]}})
    beyond = 99

    answers = {unit: _ask(sharing, "picky", unit, beyond) for unit in UNITS}

    for unit, answer in answers.items():
        expected = _variant("picky", unit)
        assert answer.headers["augurium-variant"] == expected
        degraded = answer.headers.get("augurium-degraded")
        assert (degraded is not None) == (expected == "challenger")
        assert answer.json["predictions"] == [[-1.0 if degraded else 7.0]]
