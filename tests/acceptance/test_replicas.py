"""A model in runners whose number follows the load: what callers see while replicas come, go, sleep
and die.
"""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from augurium.client.results import ModelScaling
from augurium.core.errors import AuguriumError
from tests.support.node import Node, control_of

BODY = json.dumps({"instances": [{"x": 1.5}]})
SETTINGS = """
[scaling]
interval_s = 0.5
"""
# short windows; what is under way says how many are needed, whatever else the machine does
POLICY = {
    "least": 1,
    "most": 2,
    "target_cpu_utilization": 0.0,
    "target_in_flight": 2.0,
    "up_window_s": 1.0,
    "down_window_s": 2.0,
    "down_period_s": 1.0,
}
PATIENCE_S = 60.0


class Callers:
    """So many callers of a model at the same time, each with a connection of its own."""

    def __init__(self, node: Node, model: str, number: int) -> None:
        self.answers: Counter[int] = Counter()
        self.refusals: list[str] = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call, args=(node.rest, model)) for _ in range(number)
        ]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _call(self, host: str, model: str) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        while not self._end.is_set():
            connection.request("POST", f"/v1/models/{model}:predict", BODY)
            answer = connection.getresponse()
            content = answer.read()
            with self._lock:
                self.answers[answer.status] += 1
                if answer.status != 200:
                    self.refusals.append(content.decode())
        connection.close()


def slow(inputs: Any) -> Any:
    import os
    import time

    time.sleep(0.05)
    return {"process": np.full(len(inputs["x"]), os.getpid())}


@pytest.fixture(scope="module")
def scaled(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "augurium.toml").write_text(SETTINGS)
    config = str(folder / "augurium.toml")
    node = start(folder / "home", "--engines", "2", "--allow-code", "--config", config)
    with node.client() as client:
        client.register(slow, name="replicated", data=[{"x": 1.5}], allow_code=True)
        client.deploy("replicated", 1)
    yield node
    node.stop()


def until(what: Callable[[], Any]) -> Any:
    """What is said once it is something."""
    end = time.monotonic() + PATIENCE_S
    while not (found := what()):
        if time.monotonic() > end:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.1)
    return found


def replicas(node: Node, number: int) -> ModelScaling:
    """The scaling of the model, once so many run and are wanted."""

    def look() -> ModelScaling | None:
        with node.client() as client:
            models = client.scaling().models
        found = next((one for one in models if one.model == "replicated"), None)
        return found if found and found.replicas == found.running == number else None

    found = until(look)
    assert isinstance(found, ModelScaling)
    return found


def process(node: Node) -> int:
    reply = node.ask("/v1/models/replicated:predict", {"instances": [{"x": 1.5}]})
    assert reply.status == 200, reply.body
    return int(reply.json["predictions"][0])


def decide(node: Node, **replicas: Any) -> None:
    with node.client() as client:
        client.set_serving("replicated", {"replicas": POLICY | replicas})


def why(found: ModelScaling, done: str) -> Any:
    return next(entry.decision for entry in found.decisions if entry.done == done)


def test_replicas_follow_the_load_and_cost_no_request(scaled: Node) -> None:
    decide(scaled)
    with Callers(scaled, "replicated", 1) as few:
        replicas(scaled, 1)
        with Callers(scaled, "replicated", 7) as many:
            grown = replicas(scaled, 2)
        shrunk = replicas(scaled, 1)

    answers = few.answers + many.answers
    assert set(answers) == {200}, few.refusals + many.refusals
    up = why(grown, "replica 2 starts")
    assert "in flight per replica" in up.reason
    assert up.numbers["in_flight"] > 2
    assert why(shrunk, "replica 2 finishes and goes").wanted == 1
    with scaled.client() as client:
        (version,) = client.activity().versions
    assert (version.model, version.replicas) == ("replicated", 1)


def test_a_fixed_number_holds_and_one_that_is_killed_costs_its_own_requests(scaled: Node) -> None:
    decide(scaled, least=2, most=2)
    replicas(scaled, 2)
    with Callers(scaled, "replicated", 4) as callers:
        pids = {process(scaled) for _ in range(20)}
        assert len(pids) == 2
        os.kill(min(pids), signal.SIGKILL)
        until(lambda: len({process_or_none(scaled) for _ in range(10)} - {None, *pids}) == 1)

    # two engines had at most four runs under way there, of one caller each
    assert callers.answers[200] > 50
    assert sum(callers.answers.values()) - callers.answers[200] <= 4, callers.refusals


def process_or_none(node: Node) -> int | None:
    reply = node.ask("/v1/models/replicated:predict", {"instances": [{"x": 1.5}]})
    return int(reply.json["predictions"][0]) if reply.status == 200 else None


def test_control_that_comes_back_keeps_the_number(scaled: Node) -> None:
    decide(scaled, least=2, most=2)
    replicas(scaled, 2)
    pids = {process(scaled)}
    control = control_of(scaled)
    with Callers(scaled, "replicated", 4) as callers:
        control.kill()
        until(lambda: control.pid not in psutil.pids() and ready(scaled))
        replicas(scaled, 2)
        pids |= {process(scaled) for _ in range(10)}
    assert len(pids) == 2
    assert set(callers.answers) == {200}


def ready(node: Node) -> bool:
    try:
        with node.client() as client:
            return client.ready().ready
    except AuguriumError:
        return False


def test_what_nobody_asks_for_has_no_runner_and_the_next_request_waits_for_one(
    scaled: Node,
) -> None:
    decide(scaled, least=0, idle_s=1.0)
    first = process(scaled)
    slept = replicas(scaled, 0)
    until(lambda: not Path(f"/proc/{first}").exists())
    assert why(slept, "its runners go until somebody asks").reason.startswith("no request for")

    assert process(scaled) != first
    woken = replicas(scaled, 1)
    assert why(woken, "its runner starts").reason == "requests arrived: it wakes"
    # with at least one again it need not be asked for
    replicas(scaled, 0)
    decide(scaled, least=1)
    replicas(scaled, 1)
