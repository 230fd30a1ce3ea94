"""Where native models run: one process for many, and another place without a failed request."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from xgboost import XGBRegressor

from augurium.core.errors import AuguriumError
from augurium.serving.placement import version_key
from augurium.serving.runner_suspects import Suspects, forget_suspects
from augurium.serving.snapshot import load_snapshot
from tests.acceptance.test_runners import runners, wait_for
from tests.support.node import Node

MODELS = 4
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("placement") / "home"


@pytest.fixture(scope="module")
def placed(start: Callable[..., Node], home: Path) -> Node:
    """A node with several models that XGBoost itself serves: linear ones do not convert."""
    started = start(home, "--engines", "2", "--allow-code")
    with started.client() as client:
        for number in range(MODELS):
            model = XGBRegressor(booster="gblinear", n_estimators=20, n_jobs=1)
            client.register(
                model.fit(ROWS, (number + 1) * ROWS.sum(axis=1)), name=f"placed{number}"
            )
            client.deploy(f"placed{number}", 1)
    return started


@pytest.fixture(scope="module")
def expected() -> dict[int, Any]:
    return {
        number: XGBRegressor(booster="gblinear", n_estimators=20, n_jobs=1)
        .fit(ROWS, (number + 1) * ROWS.sum(axis=1))
        .predict(ROWS[:3])
        for number in range(MODELS)
    }


def ask(node: Node, number: int) -> Any:
    reply = node.ask(f"/v1/models/placed{number}:predict", {"instances": ROWS[:3].tolist()})
    assert reply.status == 200, reply.body
    return reply.json["predictions"]


def test_models_of_one_framework_are_in_one_process(
    placed: Node, home: Path, expected: dict[int, Any]
) -> None:
    assert len(runners(home)) == 1
    for number in range(MODELS):
        np.testing.assert_allclose(ask(placed, number), expected[number], rtol=1e-4)


def test_a_model_gets_another_place_without_a_failed_request(
    placed: Node, home: Path, expected: dict[int, Any]
) -> None:
    (shared,) = runners(home)
    failed: list[Any] = []
    stop = threading.Event()

    def keep_asking(number: int) -> None:
        while not stop.is_set():
            try:
                np.testing.assert_allclose(ask(placed, number), expected[number], rtol=1e-4)
            except AssertionError as error:
                failed.append(error)

    asking = [threading.Thread(target=keep_asking, args=(number,)) for number in range(MODELS)]
    for thread in asking:
        thread.start()
    cpu = min(psutil.Process().cpu_affinity())
    try:
        with placed.client() as client:
            client.set_serving("placed0", {"placement": {"isolation": "dedicated"}})
            wait_for(lambda: len(runners(home)) == 2, 100)
            client.set_serving("placed0", {"placement": {"threads": 2, "cpus": str(cpu)}})
            wait_for(lambda: any(pinned(pid, cpu) for pid in runners(home)), 100)
            client.set_serving("placed0", {})
            wait_for(lambda: runners(home) == [shared], 100)
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert not failed


def test_an_onnx_model_gets_a_process_of_its_own_without_a_failed_request(
    placed: Node, home: Path
) -> None:
    model = XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1).fit(ROWS, ROWS.sum(axis=1))
    before, expected = runners(home), model.predict(ROWS[:3])
    with placed.client() as client:
        assert client.register(model, name="graph").runtime == "onnx"
        client.deploy("graph", 1)
        found: list[Any] = []
        stop = threading.Event()

        def keep_asking() -> None:
            body = {"instances": ROWS[:3].tolist()}
            while not stop.is_set():
                found.append(placed.ask("/v1/models/graph:predict", body))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            client.set_serving("graph", {"placement": {"isolation": "dedicated"}})
            wait_for(lambda: len(runners(home)) == len(before) + 1, 100)
            (alone,) = set(runners(home)) - set(before)
            client.set_serving("graph", {})
            wait_for(lambda: runners(home) == before, 100)
        finally:
            stop.set()
            asking.join()
    assert alone not in runners(home)
    assert {reply.status for reply in found} == {200}
    answers = [reply.json["predictions"] for reply in found]
    np.testing.assert_allclose(answers, [expected] * len(answers), rtol=1e-4)


def pinned(pid: int, cpu: int) -> bool:
    try:
        return bool(psutil.Process(pid).cpu_affinity() == [cpu])
    except psutil.Error:
        return False


def test_a_place_that_is_none_leaves_the_model_as_it_was_and_says_why(
    placed: Node, home: Path, expected: dict[int, Any]
) -> None:
    before = runners(home)
    with placed.client() as client:
        client.set_serving("placed1", {"placement": {"cpus": "4000"}})
        wait_for(lambda: "names CPU 4000" in said_of(client, "placed1"), 30)
        np.testing.assert_allclose(ask(placed, 1), expected[1], rtol=1e-4)
        # also after the engines were started again
        client.set_serving("placed1", {})
        wait_for(lambda: not said_of(client, "placed1"), 30)
    assert runners(home) == before


def test_who_was_accused_of_ending_a_shared_runner_is_shown(placed: Node, home: Path) -> None:
    snapshot = load_snapshot(home / "state" / "engine-0.snapshot")
    (desired,) = next(model.versions for model in snapshot.models if model.name == "placed3")
    try:
        Suspects(home / "run").was_loading(version_key(desired))
        with placed.client() as client:
            assert "has one of its own" in said_of(client, "placed3")
            assert said_of(client, "placed2") == ""
    finally:
        forget_suspects(home / "run")


def said_of(client: Any, model: str) -> str:
    (version,) = (one for one in client.activity().versions if one.model == model)
    return str(version.reason)


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        ({"cpus": "3-1"}, "is no list of CPUs"),
        ({"threads": 5000}, "threads"),
        ({"isolation": "alone"}, "isolation"),
    ],
)
def test_what_is_no_placement_is_refused(placed: Node, placement: Any, words: str) -> None:
    with placed.client() as client, pytest.raises(AuguriumError, match=words):
        client.set_serving("placed2", {"placement": placement})


def test_a_function_may_not_be_put_beside_others(placed: Node) -> None:
    with placed.client() as client:
        client.register(
            lambda inputs: {"y": inputs["x"]}, name="code", data=[{"x": 1.0}], allow_code=True
        )
        with pytest.raises(AuguriumError, match=r"runs code of its file .*'dedicated'"):
            client.set_serving("code", {"placement": {"isolation": "shared"}})
        client.set_serving("code", {"placement": {"isolation": "dedicated", "threads": 2}})
