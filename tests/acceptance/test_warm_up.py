"""New versions under load: what cannot answer never replaces what can; none costs a request."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper
import pytest

from augurium.core.errors import AuguriumError
from tests.support.callers import Callers
from tests.support.models import graph
from tests.support.node import AUGURIUM, Node, clean_environment


def table_model(value: float, places: int) -> onnx.ModelProto:
    """Answers `value` to the places it has."""
    return onnx.load_from_string(
        graph(
            [oh.make_node("Gather", ["table", "place"], ["found"])],
            [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["rows", 1])],
            [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["rows", 1])],
            (onnx.numpy_helper.from_array(np.full(places, value, np.float32), "table"),),
        )
    )


def callers_of(node: Node, model: str, row: Any) -> Callers:
    return Callers(node, lambda _: (model, row), number=4)


@pytest.fixture(scope="module")
def own(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    return start(tmp_path_factory.mktemp("warm") / "home", "--engines", "2", "--allow-code")


def deploy_command(node: Node, version: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "AUGURIUM_URL": node.management}
    command = [AUGURIUM, "deploy", version]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_version_that_fails_on_its_example_rows_never_serves(own: Node) -> None:
    def good(inputs: Any) -> Any:
        return {"y": inputs["x"] * 2}

    def bad(inputs: Any) -> Any:
        import sys

        # as one that needs what there is where it was trained, and not where it is served
        if "runner" in " ".join(sys.orig_argv) and (inputs["x"] == 2.5).any():
            raise ValueError("no such table")
        return {"y": inputs["x"] * 2}

    rows = [{"x": 1.5}, {"x": 2.5}]
    with own.client() as client:
        client.register(good, name="doubled", data=rows, allow_code=True)
        client.deploy("doubled", 1)
        assert client.register(bad, name="doubled", data=rows, allow_code=True).examples
        with callers_of(own, "doubled", {"x": 2.5}) as callers:
            done = deploy_command(own, "doubled@2")
            time.sleep(0.5)
        assert client.model("doubled").default_version == 1
    assert done.returncode != 0
    assert "warm-up failed on the example rows" in done.stderr
    assert "no such table" in done.stderr
    assert not callers.failed
    assert len(callers.answers) > 10
    assert all(answer.prediction == 5.0 for answer in callers.answers)


def test_a_version_that_fails_on_what_is_asked_now_never_serves(own: Node) -> None:
    with own.client() as client:
        client.register(table_model(1, places=1000), name="asked")
        client.register(table_model(2, places=100), name="asked")
        client.deploy("asked", 1)
        with callers_of(own, "asked", [500]) as callers:
            time.sleep(1)
            with pytest.raises(AuguriumError, match="warm-up failed on recent requests"):
                client.deploy("asked", 2)
            # nothing was learned from that which would let it pass now
            with pytest.raises(AuguriumError, match="warm-up failed on recent requests"):
                client.deploy("asked", 2)
        assert client.model("asked").default_version == 1
    assert not callers.failed
    assert {tuple(answer.prediction) for answer in callers.answers} == {(1.0,)}


def test_a_new_version_under_load_costs_no_request(own: Node) -> None:
    versions = range(1, 5)
    with own.client() as client:
        for version in versions:
            client.register(table_model(version, places=50_000), name="changing")
        client.deploy("changing", 1)
        with callers_of(own, "changing", [7]) as callers:
            for version in (2, 3, 4, 2):
                time.sleep(0.4)
                client.deploy("changing", version)
            time.sleep(0.4)
    assert not callers.failed
    assert {answer.prediction[0] for answer in callers.answers} == set(map(float, versions))


def test_the_time_of_a_warm_up_is_told_and_its_runs_are_no_traffic(own: Node) -> None:
    with own.client() as client:
        client.register(table_model(1, places=10), name="unasked")
        client.deploy("unasked", 1)
    time.sleep(1.2)
    lines = httpx.get(f"{own.management}/metrics").text.splitlines()
    found = {line.split("{")[0]: float(line.split()[-1]) for line in lines if '"unasked"' in line}
    assert 0 < found["augurium_warm_up_seconds"] < 30
    assert found["augurium_rows_total"] == found["augurium_executions_total"] == 0


def test_recent_rows_outlive_a_restart_only_where_that_is_allowed(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    config = tmp_path / "augurium.toml"
    kept = {}
    for allowed in ("false", "true"):
        config.write_text(f"[warm_up]\nkeep_traffic = {allowed}\n")
        home = tmp_path / allowed
        node = start(home, "--engines", "1", "--config", str(config))
        with node.client() as client:
            client.register(table_model(1, places=1000), name="asked")
            client.register(table_model(2, places=100), name="asked")
            client.deploy("asked", 1)
        reply = node.ask("/v1/models/asked:predict", {"instances": [[500]]})
        assert reply.json["predictions"] == [[1.0]]
        node.stop()
        again = start(home, "--engines", "1", "--config", str(config))
        with again.client() as client:
            try:
                client.deploy("asked", 2)
            except AuguriumError as error:
                kept[allowed] = str(error)
        again.stop()
    assert list(kept) == ["true"]
    assert "warm-up failed on recent requests" in kept["true"]
