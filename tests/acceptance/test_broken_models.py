"""Models that crash, hang, leak or answer nonsense while others are asked: nothing is wrong, and
the others notice nothing.
"""

import http.client
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import onnx
import pytest

from tests.support.models import table_model
from tests.support.node import Node
from tests.support.traffic import Question, Traffic

CONFIG = """
[limits]
request_timeout_s = 5.0
[runners]
memory_bytes = 500_000_000
"""
EXAMPLES = [{"what": 0.25}, {"what": 0.5}]
# what makes the model misbehave
CRASH, HANG, LEAK, SHAPE, TYPE = 1.0, 2.0, 3.0, 4.0, 5.0
NAN = 6.0
WHILE_S = 3.0
PATIENCE_S = 60.0
TABLE = 7.0
ANSWERS = "/v1/models/broken:predict"


def broken(inputs: Any) -> Any:
    import math
    import os
    import signal
    import time

    import numpy as np

    if "kept" not in globals():
        globals()["kept"] = []
    what = inputs["what"]
    if (what == 1.0).any():
        os.kill(os.getpid(), signal.SIGSEGV)
    if (what == 2.0).any():
        time.sleep(3600)
    if (what == 3.0).any():
        globals()["kept"].append(np.ones(20_000_000))
    if (what == 4.0).any():
        return {"twice": np.zeros(len(what) + 1)}
    if (what == 5.0).any():
        return {"twice": np.array(["two"] * len(what))}
    return {"twice": np.where(what == 6.0, math.nan, what * 2)}


def sound(inputs: Any) -> Any:
    return {"thrice": inputs["what"] * 3}


@pytest.fixture(scope="module")
def troubled(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node with a model that misbehaves when it is told to, and two that do not."""
    folder = tmp_path_factory.mktemp("troubled")
    config = folder / "augurium.toml"
    config.write_text(CONFIG)
    node = start(folder / "home", "--engines", "2", "--allow-code", "--config", str(config))
    with node.client() as client:
        client.register(broken, name="broken", data=EXAMPLES, allow_code=True)
        client.register(sound, name="sound", data=EXAMPLES, allow_code=True)
        client.register(onnx.load_from_string(table_model(int(TABLE), 4000)), name="table")
        for name in ("broken", "sound", "table"):
            client.deploy(name, 1)
    return node


def neighbour(chance: random.Random) -> Question:
    """Of a model in the engines, or of one in a runner."""
    if chance.random() < 0.5:
        place = chance.randrange(1000)
        rows = {"instances": [[place]]}
        return Question("/v1/models/table:predict", rows, {"predictions": [[TABLE]]})
    what = chance.randrange(1000) / 4
    body = {"instances": [{"what": what}]}
    return Question("/v1/models/sound:predict", body, {"predictions": [3 * what]})


def good_row(chance: random.Random) -> Question:
    """Of the model that misbehaves, a row that it answers."""
    what = chance.randrange(8, 1000) + 0.25
    return Question(ANSWERS, {"instances": [{"what": what}]}, {"predictions": [2 * what]})


def ask_for(node: Node, what: float) -> int:
    try:
        return node.ask(ANSWERS, {"instances": [{"what": what}]}).status
    except (OSError, http.client.HTTPException):
        return 0


def exits(node: Node, cause: str) -> int:
    """How often the model's runner ended so, as both engines count it."""
    line = f'augurium_runner_exits_total{{model="broken",version="1",cause="{cause}"}} '
    with urllib.request.urlopen(f"{node.management}/metrics", timeout=10) as answer:
        content = str(answer.read().decode())
    return sum(int(float(row[len(line) :])) for row in content.splitlines() if row.startswith(line))


def wait_for(what: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.05)


def answers_again(node: Node) -> bool:
    reply = node.ask(ANSWERS, {"instances": [{"what": 0.5}]})
    return reply.status == http.client.OK and reply.json == {"predictions": [1.0]}


def is_back(node: Node, slot: str, before: int) -> bool:
    return node.children().get(slot, before) != before


@pytest.mark.parametrize(
    ("what", "cause"), [(CRASH, "crash"), (HANG, "hang"), (LEAK, "memory")], ids=str
)
def test_a_model_that_ends_its_runner_costs_only_its_own_requests(
    troubled: Node, what: float, cause: str
) -> None:
    wait_for(lambda: answers_again(troubled))
    before = exits(troubled, cause)
    with Traffic(troubled, neighbour) as others, Traffic(troubled, good_row, 1) as own:
        began = time.monotonic()
        asked = []
        # the runner may rest from what it went through before
        while time.monotonic() < began + WHILE_S or exits(troubled, cause) == before:
            assert time.monotonic() < began + PATIENCE_S
            asked.append(ask_for(troubled, what))
            time.sleep(0.05)
    assert not others.wrong
    assert not others.failed
    assert others.right > 50
    assert not own.wrong
    # refused or failed, and always answered
    assert 0 not in asked
    assert all(code < 400 or code >= 500 for code in asked)
    if what != LEAK:
        assert http.client.OK not in asked
    wait_for(lambda: answers_again(troubled))


@pytest.mark.parametrize("what", [SHAPE, TYPE], ids=["shape", "type"])
def test_an_answer_that_is_not_the_signatures_is_nobodys_answer(
    troubled: Node, what: float
) -> None:
    wait_for(lambda: answers_again(troubled))
    with Traffic(troubled, neighbour) as others, Traffic(troubled, good_row) as own:
        for _ in range(50):
            assert ask_for(troubled, what) == http.client.INTERNAL_SERVER_ERROR
    assert not others.wrong + own.wrong
    # rows that ran together with the broken one were asked again without it
    assert not others.failed + own.failed
    assert own.right > 20


def test_a_number_that_is_none_stays_in_its_own_row(troubled: Node) -> None:
    wait_for(lambda: answers_again(troubled))
    with Traffic(troubled, neighbour) as others, Traffic(troubled, good_row) as own:
        for _ in range(50):
            reply = troubled.ask(ANSWERS, {"instances": [{"what": NAN}, {"what": 0.5}]})
            assert reply.status == http.client.OK
            first, second = json.loads(reply.body)["predictions"]
            assert first is None or first != first
            assert second == 1.0
    assert not others.wrong + own.wrong
    assert not others.failed + own.failed


def test_a_killed_engine_costs_what_it_held_and_is_back_soon(troubled: Node) -> None:
    wait_for(lambda: answers_again(troubled))
    with Traffic(troubled, neighbour) as traffic:
        for slot, pid in sorted(troubled.children().items()):
            lost = len(traffic.failed)
            os.kill(pid, signal.SIGKILL)
            wait_for(partial(is_back, troubled, slot, pid))
            # each caller may lose its connection, and find the listener closing once more
            assert len(traffic.failed) - lost <= 6
            time.sleep(0.5)
    assert not traffic.wrong
    assert traffic.right > 50
