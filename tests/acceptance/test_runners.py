"""Versions that live in runners: served over REST and gRPC, back after a crash, gone when told."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
from xgboost import XGBRegressor

from tests.support.node import Node

RESTARTS = 'augurium_runner_restarts_total{model="describe",version="1"}'
EXITS = 'augurium_runner_exits_total{model="describe",version="1",cause="crash"}'
INSTANCES = [{"x": 1.5, "city": "rome"}, {"x": 2.5, "city": "oslo"}]


def wait_for(what: Callable[[], Any], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.05)


def runners(home: Path) -> list[int]:
    """The runners of a node: they work in folders of its own."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(home)) and process.status() != "zombie":
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def metrics(node: Node) -> str:
    with urllib.request.urlopen(f"{node.management}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def deploy_function(node: Node, version: int = 1) -> None:
    def describe(inputs: Any) -> Any:
        import os

        return {
            "double": inputs["x"] * 2,
            "place": [city.upper() for city in inputs["city"]],
            "process": np.full(len(inputs["x"]), os.getpid()),
        }

    with node.client() as client:
        client.register(describe, name="describe", data=INSTANCES, allow_code=True)
        client.deploy("describe", version)


def ask(node: Node) -> dict[str, Any]:
    reply = node.ask("/v1/models/describe:predict", {"instances": INSTANCES})
    assert reply.status == 200, reply.body
    return dict(reply.json["predictions"][0])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def own(start: Callable[..., Node], home: Path) -> Node:
    """A node of the test's own, with a Python function."""
    node = start(home, "--engines", "2", "--allow-code")
    deploy_function(node)
    return node


def test_a_python_function_answers_over_rest_and_grpc_from_one_process(
    own: Node, home: Path
) -> None:
    (runner,) = runners(home)
    assert ask(own) == {"double": 3.0, "place": "ROME", "process": runner}
    client = triton_grpc.InferenceServerClient(own.grpc)
    numbers = triton_grpc.InferInput("x", [2], "FP64")
    numbers.set_data_from_numpy(np.array([1.5, 2.5]))
    texts = triton_grpc.InferInput("city", [2], "BYTES")
    texts.set_data_from_numpy(np.array([b"rome", b"oslo"], np.object_))
    answer = client.infer("describe", [numbers, texts])
    assert answer.as_numpy("double").tolist() == [3.0, 5.0]
    assert answer.as_numpy("place").tolist() == [b"ROME", b"OSLO"]
    assert answer.as_numpy("process").tolist() == [runner, runner]
    client.close()


def test_a_runner_that_is_killed_comes_back_and_is_counted(own: Node, home: Path) -> None:
    (first,) = runners(home)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(first))
    second = ask(own)["process"]
    assert second != first
    assert runners(home) == [second]

    wait_for(lambda: f"{RESTARTS} 1" in metrics(own))
    assert f"{EXITS} 1" in metrics(own)


def test_undeploying_ends_the_runner_and_deploying_starts_another(own: Node, home: Path) -> None:
    (first,) = runners(home)
    deploy_function(own, version=2)
    with own.client() as client:
        client.undeploy("describe", 1)
        wait_for(lambda: not psutil.pid_exists(first))
        (second,) = runners(home)
        assert ask(own)["process"] == second
        client.deploy("describe", 1)
    assert len(runners(home)) == 2
    assert ask(own)["process"] not in (first, second)


def test_engines_that_are_killed_find_their_runner_again(
    start: Callable[..., Node], home: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "augurium.toml"
    # longer than engines take to come back on a busy machine
    settings.write_text("[runners]\nidle_s = 60\n")
    node = start(home, "--engines", "2", "--allow-code", "--config", str(settings))
    deploy_function(node)
    (runner,) = runners(home)
    killed = node.children()
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(node.children().get(slot, pid) != pid for slot, pid in killed.items()))
    with node.client() as client:
        wait_for(lambda: client.ready().ready)
    for _ in range(20):
        assert ask(node)["process"] == runner


def test_a_node_that_stops_leaves_no_runner(own: Node, home: Path) -> None:
    assert len(runners(home)) == 1
    assert own.stop() == 0
    assert not runners(home)
    assert not list((home / "run").glob("runner-*.sock"))


def test_a_node_that_is_killed_leaves_no_runner(own: Node, home: Path) -> None:
    assert len(runners(home)) == 1
    processes = [own.process.pid, *own.children().values()]
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    # a runner waits for engines to come back
    wait_for(lambda: not runners(home))


def test_a_native_framework_answers_from_a_runner(own: Node, home: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4)).astype(np.float32)
    model = XGBRegressor(booster="gblinear", n_estimators=10, n_jobs=1).fit(rows, rows.sum(axis=1))
    with own.client() as client:
        version = client.register(model, name="linear")
        assert version.runtime == "xgboost"
        client.deploy("linear", 1)
    assert len(runners(home)) == 2
    reply = own.ask("/v1/models/linear:predict", {"instances": rows[:8].tolist()})
    assert reply.status == 200, reply.body
    np.testing.assert_allclose(reply.json["predictions"], model.predict(rows[:8]), rtol=1e-5)
