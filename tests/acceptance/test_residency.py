"""More models than fit into memory: all of them answer, rightly, within what they may take."""

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import onnx
import pytest

from augurium.core.errors import AuguriumError
from tests.support.models import table_model
from tests.support.node import Node
from tests.support.waiting import until

MODELS = 10
TABLE_BYTES = 2_000_000
# three of them, as they are measured: about twice the size of their files
BUDGET = 6 * TABLE_BYTES + 1_000_000


def flags(folder: Path, memory_bytes: int) -> list[str]:
    config = folder / "augurium.toml"
    config.write_text(f"[residency]\nmemory_bytes = {memory_bytes}\n")
    return ["--engines", "1", "--config", str(config)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("residency")


@pytest.fixture(scope="module")
def crowded(start: Callable[..., Node], folder: Path) -> Node:
    """More models than there is memory for."""
    node = start(folder / "home", *flags(folder, BUDGET))
    with node.client() as client:
        for value in range(MODELS):
            client.register(
                onnx.load_from_string(table_model(value, TABLE_BYTES)), name=f"table{value}"
            )
            client.deploy(f"table{value}", 1)
    return node


def predict(node: Node, value: int) -> float:
    place = random.randrange(TABLE_BYTES // 4)
    answer = node.ask(f"/v1/models/table{value}:predict", {"instances": [[place]]})
    assert answer.status == 200, answer.body
    found: float = answer.json["predictions"][0][0]
    return found


def metric(node: Node, name: str) -> dict[str, float]:
    """A metric of each model, as it is a little later: engines report once a second."""
    lines = httpx.get(f"{node.management}/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(f'{name}{{model="table')]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


def test_every_model_answers_though_not_all_are_in_memory(crowded: Node) -> None:
    for value in [*range(MODELS), *reversed(range(MODELS))]:
        assert predict(crowded, value) == value
    resident = metric(crowded, "augurium_resident_bytes")
    assert 0 < sum(resident.values()) <= BUDGET
    assert 0 < sum(size > 0 for size in resident.values()) < MODELS
    assert sum(metric(crowded, "augurium_evictions_total").values()) > 0
    with crowded.client() as client:
        assert client.ready().ready


def test_under_load_nothing_fails_and_nothing_is_wrong(crowded: Node) -> None:
    answers: list[bool] = []
    failures: list[str] = []
    until = time.monotonic() + 4

    def ask(seed: int) -> None:
        chosen = random.Random(seed)
        while time.monotonic() < until:
            value = min(MODELS - 1, int(chosen.expovariate(0.6)))
            try:
                answers.append(predict(crowded, value) == value)
            except AssertionError as error:
                failures.append(str(error))

    callers = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures
    assert len(answers) > 50
    assert all(answers)
    # what was in use when another turned out to be larger than its files goes with the next load
    assert sum(metric(crowded, "augurium_resident_bytes").values()) <= 2 * BUDGET


def test_a_bad_request_wakes_nobody(crowded: Node) -> None:
    for value in range(4):
        predict(crowded, value)
    time.sleep(1.2)
    before = metric(crowded, "augurium_loads_total")
    for value in range(MODELS):
        path = f"/v1/models/table{value}:predict"
        assert crowded.ask(path, {"instances": [["x"]]}).status == 400
        assert crowded.ask(f"/v2/models/table{value}").status == 200
    time.sleep(1.2)
    assert metric(crowded, "augurium_loads_total") == before


def test_a_model_larger_than_the_budget_is_refused_and_the_others_answer(crowded: Node) -> None:
    with crowded.client() as client:
        model = onnx.load_from_string(table_model(1, 2 * BUDGET))
        client.register(model, name="huge")
        with pytest.raises(AuguriumError, match=r"raise residency\.memory_bytes"):
            client.deploy("huge", 1)
    assert [predict(crowded, value) for value in range(MODELS)] == list(range(MODELS))


def states(node: Node) -> dict[str, str]:
    """Where each model is."""
    with node.client() as client:
        return {one.model: one.state for one in client.activity().versions}


def resident(node: Node) -> set[str]:
    return {model for model, state in states(node).items() if state == "resident"}


def test_where_every_model_is_can_be_seen(crowded: Node) -> None:
    for value in (1, 2, 3):
        predict(crowded, value)
    with crowded.client() as client:
        seen = client.activity()
    (engine,) = seen.engines
    assert engine.budget_bytes == BUDGET
    assert 0 < engine.resident_bytes <= BUDGET
    assert engine.memory_bytes > engine.resident_bytes
    assert engine.cpu_s > 0
    by_name = {one.model: one for one in seen.versions}
    assert by_name["table3"].state == "resident"
    assert by_name["table3"].resident_bytes >= TABLE_BYTES
    assert by_name["table3"].load_s > 0
    assert by_name["table3"].requests["ok"] > 0
    assert 0 < sum(one.state == "asleep" for one in seen.versions) < MODELS


def test_a_pinned_model_stays_in_memory(crowded: Node) -> None:
    with crowded.client() as client:
        client.set_serving("table5", {"residency": {"pinned": True}})
        # it is loaded without being asked for
        assert until(lambda: "table5" in resident(crowded))
        loads = {one.model: one.loads for one in client.activity().versions}
        for _ in range(2):
            for value in (0, 1, 2, 3, 4, 6, 7, 8, 9):
                assert predict(crowded, value) == value
        (pinned,) = (one for one in client.activity().versions if one.model == "table5")
        assert (pinned.state, pinned.pinned, pinned.loads) == ("resident", True, loads["table5"])
        client.set_serving("table5", {})
        for value in (0, 1, 2, 3, 4, 6, 7, 8, 9):
            predict(crowded, value)
        assert "table5" not in resident(crowded)


def test_a_node_takes_up_what_was_in_memory_and_is_ready_before(
    crowded: Node, start: Callable[..., Node], folder: Path
) -> None:
    for value in (1, 4, 6):
        predict(crowded, value)
    before = resident(crowded)
    crowded.stop()
    again = start(folder / "home", *flags(folder, BUDGET))
    assert again.ask("/v2/health/ready").status == 200
    # the last used first; as many as there is room for, as they are measured this time
    assert until(lambda: "table6" in resident(again))
    assert resident(again) <= before
    assert [predict(again, value) for value in range(MODELS)] == list(range(MODELS))
    again.stop()


def test_an_engine_without_a_past_is_ready_before_anything_is_loaded(
    crowded: Node, start: Callable[..., Node], folder: Path
) -> None:
    crowded.stop()
    shutil.rmtree(folder / "home" / "state")
    again = start(folder / "home", *flags(folder, BUDGET))
    assert again.ask("/v2/health/ready").status == 200
    assert not resident(again)
    assert [predict(again, value) for value in range(MODELS)] == list(range(MODELS))


def test_a_file_that_was_damaged_while_its_model_slept_is_not_served(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    node = start(tmp_path / "home", *flags(tmp_path, BUDGET))
    with node.client() as client:
        for value in range(2):
            client.register(
                onnx.load_from_string(table_model(value, TABLE_BYTES)), name=f"table{value}"
            )
            client.deploy(f"table{value}", 1)
        digest = client.version("table1", 1).servable.digest
    node.stop()
    file = tmp_path / "home/artifacts/sha256" / digest[:2] / digest
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again = start(tmp_path / "home", *flags(tmp_path, BUDGET))

    answer = again.ask("/v1/models/table1:predict", {"instances": [[0]]})
    assert answer.status == 503
    assert "cannot be loaded: the artifact is damaged" in answer.json["error"]
    assert predict(again, 0) == 0
