"""A real node, from the command line alone: a file becomes a version, serves, and leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from augurium.client import Client
from augurium.core.errors import Conflict, NotFound

COMMAND = [sys.executable, "-m", "augurium.cli"]
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The management URL of a node with one engine of each kind."""
    ports = ["--port", "0", "--grpc-port", "0", "--control-port", "0"]
    process = subprocess.Popen(
        [*COMMAND, "serve", "--home", "home", "--engines", "1", *ports],
        cwd=tmp_path_factory.mktemp("node"),
        stdout=subprocess.PIPE,
        text=True,
    )
    # a node that never becomes ready must not stop the tests for ever
    watchdog = threading.Timer(START_TIMEOUT_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    announcement = process.stdout.readline()
    watchdog.cancel()
    try:
        address = re.search(r"is ready .* management (http://\S+)", announcement)
        assert address is not None, announcement
        yield address[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=STOP_TIMEOUT_S)
    assert process.returncode == 0


@pytest.fixture
def run(node_url: str) -> Run:
    """Runs `augurium` with these arguments as a process, against the node."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "AUGURIUM_URL": node_url}
        return subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, env=environment
        )

    return run


@pytest.fixture
def json_of(run: Run) -> Callable[..., Any]:
    """Runs `augurium ... --json` and reads what it printed."""

    def json_of(*arguments: str) -> Any:
        result = run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return json_of


@pytest.fixture(scope="module")
def doubling_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An ONNX model that adds every value to itself."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="test"
    )
    file = tmp_path_factory.mktemp("models") / "doubling.onnx"
    onnx.save(model, file)
    return str(file)


def test_a_file_becomes_a_version_that_predicts(
    json_of: Callable[..., Any], doubling_file: str
) -> None:
    registered = json_of(
        *("register", doubling_file, "--name", "doubling", "--deploy"),
        *("--metric", "loss=0.5", "--tag", "team=risk", "--trained-at", "2026-01-31"),
    )

    predicted = json_of("predict", "doubling", "--input", "[[1, 2], [3, 4]]")

    assert registered["deployment"]["state"] == "ready"
    assert (registered["metrics"], registered["tags"]) == ({"loss": 0.5}, {"team": "risk"})
    assert predicted["predictions"] == [[2.0, 4.0], [6.0, 8.0]]
    assert predicted["version"] == registered["version"]


def test_versions_move_in_and_out_of_service(
    json_of: Callable[..., Any], run: Run, doubling_file: str
) -> None:
    for _ in range(2):
        json_of("register", doubling_file, "--name", "moving")
    json_of("deploy", "moving@1")
    json_of("deploy", "moving@2", "--no-default")
    json_of("alias", "moving@challenger", "2")

    by_default = json_of("predict", "moving", "--input", "[[1, 2]]")
    by_alias = json_of("predict", "moving@challenger", "--input", "[[1, 2]]")
    (model,) = (model for model in json_of("models")["models"] if model["name"] == "moving")
    refused = run("undeploy", "moving@2")
    json_of("alias", "moving@challenger", "--remove")
    undeployed = json_of("undeploy", "moving@2")

    assert (by_default["version"], by_alias["version"]) == (1, 2)
    assert (model["default_version"], model["aliases"]) == (1, {"challenger": 2})
    assert model["deployed_versions"] == [1, 2]
    assert refused.returncode == 1
    assert "challenger" in refused.stderr
    assert undeployed["state"] == "undeployed"


def test_pages_for_people_can_be_read(run: Run, doubling_file: str) -> None:
    summary = run("register", doubling_file, "--name", "paged").stdout
    page = run("versions", "show", "paged@1").stdout
    status = run("status")

    assert "paged@1" in summary
    assert "parity error" in summary
    assert "Import report" in page
    assert "doubling.onnx" in page
    assert status.returncode == 0
    assert "engine-0" in status.stdout


def test_the_report_of_an_import_is_kept_with_the_version(
    json_of: Callable[..., Any], run: Run, doubling_file: str
) -> None:
    json_of("register", doubling_file, "--name", "reported")

    page = run("versions", "show", "reported@1").stdout
    report = json_of("versions", "show", "reported@1")["report"]

    tried = report["engines"]["onnx"]
    assert (report["chosen"], tried["outcome"]) == ("onnx", "ok")
    assert tried["latency_ms"].keys() == {"1", "64", "1024"}
    assert tried["memory_bytes"] >= 0
    assert tried["parity"]["max_abs_error"] == 0
    assert "onnx *" in page
    assert report["chosen_because"] in page


def test_an_engine_that_cannot_serve_a_file_is_refused_with_those_that_can(
    run: Run, doubling_file: str
) -> None:
    for engine, says in (("tensorrt", "is not known"), ("treelite", "expected one of onnx")):
        result = run("register", doubling_file, "--name", "wanted", "--engine", engine)

        assert (result.returncode, result.stdout) == (1, "")
        assert f"engine {engine}" in result.stderr.replace("'", "")
        assert says in result.stderr


def test_a_file_that_runs_code_is_refused_with_a_way_out(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(b"\x80\x04K\x01.")

    result = run("register", str(file), "--name", "pickled")

    assert (result.returncode, result.stdout) == (1, "")
    assert "code" in result.stderr


def test_the_client_speaks_tensors_with_a_real_engine(node_url: str, doubling_file: str) -> None:
    with Client(node_url) as client:
        version = client.register(doubling_file, name="tensors")
        client.deploy("tensors", version.version)
        values = np.array([[1.5, 0.1], [np.inf, -2.0]], np.float32)

        binary = client.infer("tensors", {"x": values}).outputs["y"]
        text = client.infer("tensors", {"x": np.ones((1, 2), np.float32)}, ["y"], binary=False)

    np.testing.assert_array_equal(binary, values * 2)
    assert text.outputs["y"].tolist() == [[2.0, 2.0]]


def test_a_pipeline_goes_from_memory_to_predictions_like_its_own(node_url: str) -> None:
    rows = pd.DataFrame(
        {"age": [31.0, np.nan, 52.0, 40.0] * 10, "city": ["Rome", "Oslo", "Rome", "Bern"] * 10}
    )
    features = make_column_transformer(
        (SimpleImputer(), ["age"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    pipeline = make_pipeline(features, LogisticRegression()).fit(rows, [0, 1, 0, 1] * 10)

    with Client(node_url) as client:
        version = client.register(pipeline, name="pipeline", data=rows, metrics={"auc": 1.0})
        client.deploy("pipeline", version.version)
        found = client.predict("pipeline", rows.head(4)).predictions

    expected = pipeline.predict_proba(rows.head(4))
    assert [entry["label"] for entry in found] == [0, 1, 0, 1]
    np.testing.assert_allclose([entry["probabilities"] for entry in found], expected, atol=1e-5)


def test_refusals_of_a_real_node_come_as_errors(node_url: str, doubling_file: str) -> None:
    with Client(node_url) as client:
        client.register(doubling_file, name="refusing")

        with pytest.raises(NotFound):
            client.deploy("refusing", 9)
        with pytest.raises(Conflict):
            client.set_alias("refusing", "champion", 1)
        with pytest.raises(NotFound):
            client.predict("absent", [[1.0, 2.0]])


def test_how_a_model_is_served_is_shown_and_changed(run: Run, doubling_file: str) -> None:
    run("register", doubling_file, "--name", "remembered")
    before = run("serving", "remembered")
    after = run("serving", "remembered", "--cache-ttl", "60", "--cache-stale", "600")
    kept = run("serving", "remembered", "--cache-ttl", "5", "--json")

    assert before.stdout.splitlines()[0].split() == ["prediction", "cache", "off"]
    assert before.stdout.splitlines()[-1].split() == ["fallback", "none"]
    assert "remembered for 60 s" in after.stdout
    assert "600 s more" in after.stdout
    assert json.loads(kept.stdout) == {"cache": {"ttl_s": 5.0, "stale_if_error_s": 600.0}}
    refused = run("serving", "remembered", "--cache-ttl", "-1")
    unknown = run("serving", "nobody")
    assert (refused.returncode, unknown.returncode) == (2, 1)
    assert "does not exist" in unknown.stderr


def test_where_a_model_runs_is_shown_and_changed(run: Run, doubling_file: str) -> None:
    run("register", doubling_file, "--name", "placed")
    before = run("serving", "placed")
    changed = run(
        "serving", "placed", "--isolation", "dedicated", "--threads", "4", "--cpus", "0-1"
    )
    back = run("serving", "placed", "--isolation", "auto", "--threads", "0", "--cpus", "", "--json")
    refused = run("serving", "placed", "--isolation", "alone")
    no_list = run("serving", "placed", "--cpus", "1-0")

    assert "as its framework is" in before.stdout
    assert "dedicated runner, 4 threads in a run, on CPUs 0-1" in changed.stdout
    assert back.returncode == 0, back.stderr
    assert not json.loads(back.stdout).get("placement")
    assert (refused.returncode, no_list.returncode) == (2, 1)
    assert "is no list of CPUs" in no_list.stderr


def test_a_model_is_sent_to_a_device_and_back(run: Run, doubling_file: str) -> None:
    run("register", doubling_file, "--name", "sent")
    there = run("serving", "sent", "--device", "cuda:0", "--compile", "graphs")
    refused = run("serving", "sent", "--compile", "inductor")
    wrong = run("serving", "sent", "--device", "gpu0")
    back = run("serving", "sent", "--device", "cpu", "--compile", "off", "--json")

    assert "cuda:0, graphs" in there.stdout
    assert "is torch.compile, and this version runs in onnx" in refused.stderr
    assert (refused.returncode, wrong.returncode) == (1, 1)
    device = json.loads(back.stdout)["device"]
    assert (device.get("name", "cpu"), device.get("compile", "off")) == ("cpu", "off")
