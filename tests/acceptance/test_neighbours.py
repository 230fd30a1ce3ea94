"""Engines that hold different models for each other: all answer, hot ones are in both, and one that
is killed takes nothing with it but what it was working on.
"""

import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from functools import partial

import onnx
import pytest

from tests.support.models import table_model
from tests.support.node import Node
from tests.support.traffic import Question, Traffic
from tests.support.waiting import until

MODELS = 16
TABLE_BYTES = 1_000_000
# as they are measured, about six in each of two engines
BUDGET = 24 * TABLE_BYTES
PASSED_ON = "augurium_passed_on_requests_total"
ENGINES = "augurium_resident_engines"


@pytest.fixture(scope="module")
def sharing(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("neighbours")
    config = folder / "augurium.toml"
    config.write_text(f"[residency]\nmemory_bytes = {BUDGET}\n")
    node = start(folder / "home", "--engines", "2", "--config", str(config))
    with node.client() as client:
        for value in range(MODELS):
            content = table_model(value, TABLE_BYTES)
            client.register(onnx.load_from_string(content), name=f"shared{value}")
            client.deploy(f"shared{value}", 1)
    return node


def question_about(value: int, chance: random.Random) -> Question:
    body = {"instances": [[chance.randrange(TABLE_BYTES // 4)]]}
    return Question(f"/v1/models/shared{value}:predict", body, {"predictions": [[value]]})


def any_model(chance: random.Random) -> Question:
    return question_about(chance.randrange(MODELS), chance)


def hot_model(chance: random.Random) -> Question:
    return question_about(7, chance)


def metric(node: Node, name: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{node.management}/metrics", timeout=10) as answer:
        lines = str(answer.read().decode()).splitlines()
    found = [line for line in lines if line.startswith(f'{name}{{model="shared')]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


def is_back(node: Node, slot: str, before: int) -> bool:
    return node.children().get(slot, before) != before


def test_a_model_need_not_be_in_every_engine_to_be_answered_by_all(sharing: Node) -> None:
    # a connection of its own for each request: both engines are asked for everything
    for _ in range(3):
        for value in range(MODELS):
            question = question_about(value, random.Random(value))
            assert sharing.ask(question.path, question.body).json == question.right
    assert until(lambda: sum(metric(sharing, PASSED_ON).values()) > MODELS / 2)


def test_what_is_asked_all_the_time_is_in_both_engines(sharing: Node) -> None:
    with Traffic(sharing, hot_model, 8) as traffic:
        assert until(lambda: metric(sharing, ENGINES)["shared7"] == 2)
    assert not traffic.wrong + traffic.failed


def test_a_killed_engine_takes_only_its_own_callers_with_it(sharing: Node) -> None:
    with Traffic(sharing, any_model, 8) as traffic:
        for slot, pid in sorted(sharing.children().items()):
            time.sleep(1)
            os.kill(pid, signal.SIGKILL)
            assert until(partial(is_back, sharing, slot, pid))
    assert not traffic.wrong
    # what each caller had with each engine, perhaps again while the kernel was closing what that
    # had listened on, and nothing that another engine had to answer
    assert len(traffic.failed) <= 32
    assert not [failure for failure in traffic.failed if failure[0].isdigit()]
    assert traffic.right > 100
