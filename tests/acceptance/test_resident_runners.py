"""Versions in runners share the memory of a node with all others: a runner whose version sleeps is
gone, its memory with it, and the next request brings it back.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support.node import Node
from tests.support.waiting import until

FUNCTIONS = 4
# about two runners with what each function holds
BUDGET = 260_000_000
HELD_BYTES = 50_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resident-runners") / "home"


@pytest.fixture(scope="module")
def limited(start: Callable[..., Node], home: Path) -> Node:
    home.mkdir()
    config = home.parent / "augurium.toml"
    config.write_text(f"[residency]\nmemory_bytes = {BUDGET}\n")
    node = start(home, "--engines", "1", "--allow-code", "--config", str(config))
    with node.client() as client:
        for number in range(FUNCTIONS):
            client.register(
                function(number), name=f"held{number}", data=[{"x": 1.5}], allow_code=True
            )
            client.deploy(f"held{number}", 1)
    return node


def function(number: int) -> Callable[[Any], Any]:
    held: list[Any] = []

    def answer(inputs: Any) -> Any:
        if not held:
            held.append(np.ones(HELD_BYTES, np.uint8))
        return {"y": inputs["x"] * 10 + number}

    return answer


def runners(home: Path) -> dict[int, int]:
    """The runners of a node and what each takes."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(home)) and process.status() != "zombie":
                found[process.pid] = process.memory_info().rss
        except (psutil.Error, OSError):
            continue
    return found


def ask(node: Node, number: int) -> Any:
    reply = node.ask(f"/v1/models/held{number}:predict", {"instances": [{"x": 2.0}]})
    assert reply.status == 200, reply.body
    return reply.json["predictions"][0]


def test_all_of_them_answer_though_few_are_there(limited: Node, home: Path) -> None:
    for number in [*range(FUNCTIONS), *reversed(range(FUNCTIONS))]:
        assert ask(limited, number) == 20 + number
    with limited.client() as client:
        seen = {one.model: one for one in client.activity().versions}
    resident = [one for one in seen.values() if one.state == "resident"]
    assert 0 < len(resident) < FUNCTIONS
    # as measured: a runner is its framework, its libraries and what the model holds
    assert all(one.resident_bytes > HELD_BYTES for one in resident)
    assert sum(one.resident_bytes for one in seen.values()) <= BUDGET
    assert sum(one.evictions for one in seen.values()) > 0
    # who sleeps has no process, so all of its memory is back
    assert until(lambda: len(runners(home)) == len(resident))
    assert sum(runners(home).values()) <= 1.2 * BUDGET


def test_a_pinned_one_keeps_its_runner(limited: Node, home: Path) -> None:
    with limited.client() as client:
        client.set_serving("held0", {"residency": {"pinned": True}})
        assert until(
            lambda: (
                {one.model: one for one in client.activity().versions}["held0"].state == "resident"
            )
        )
        loads = {one.model: one.loads for one in client.activity().versions}["held0"]
        for number in (1, 2, 3, 1):
            assert ask(limited, number) == 20 + number
        (kept,) = (one for one in client.activity().versions if one.model == "held0")
        assert (kept.state, kept.pinned, kept.loads) == ("resident", True, loads)
        client.set_serving("held0", {})


def test_after_a_restart_it_is_ready_before_any_runner_is_there(
    limited: Node, start: Callable[..., Node], home: Path
) -> None:
    limited.stop()
    config = home.parent / "augurium.toml"
    again = start(home, "--engines", "1", "--allow-code", "--config", str(config))
    assert again.ask("/v2/health/ready").status == 200
    for number in range(FUNCTIONS):
        assert ask(again, number) == 20 + number
