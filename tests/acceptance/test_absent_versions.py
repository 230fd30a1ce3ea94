"""Versions that should be loaded and are not: what their model's fallback answers meanwhile."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from tests.acceptance.test_degradation import marks, values
from tests.acceptance.test_overload import check_metric
from tests.support.models import graph, picky_model
from tests.support.node import Node, Reply

SPARE = {"kind": "model", "model": "spare-of-absent"}
CONSTANT = {"kind": "constant", "outputs": {"found": -1.0}}
MARKS = ("not_loaded", "model:spare-of-absent")
INFER = "/v2/models/absent/infer"


def spare_model() -> onnx.ModelProto:
    """Gives its input back as a float."""
    return onnx.load_from_string(
        graph(
            [oh.make_node("Cast", ["place"], ["found"], to=onnx.TensorProto.FLOAT)],
            [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["batch", 1])],
            [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["batch", 1])],
        )
    )


def damage(home: Path, digest: str) -> None:
    file = home / "artifacts/sha256" / digest[:2] / digest
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture(scope="module")
def damaged(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node that was started again after the file of all models but the spare was damaged."""
    home = tmp_path_factory.mktemp("absent") / "home"
    node = start(home, "--engines", "1")
    with node.client() as client:
        model = onnx.load_from_string(picky_model())
        for name, content in (
            ("absent", model),
            ("bare-absent", model),
            ("counted-absent", model),
            ("spare-of-absent", spare_model()),
        ):
            client.register(content, name=name)
            client.deploy(name, 1)
        client.set_alias("absent", "best", 1)
        client.set_serving("absent", {"fallback": {"steps": [SPARE, CONSTANT]}})
        client.set_serving("counted-absent", {"fallback": {"steps": [CONSTANT]}})
        digest = client.version("absent", 1).servable.digest
    node.stop()
    damage(home, digest)
    return start(home, "--engines", "1")


def place(*found: int) -> dict[str, Any]:
    data = {"name": "place", "shape": [len(found), 1], "datatype": "INT64", "data": list(found)}
    return {"inputs": [data]}


@pytest.mark.parametrize("path", ["absent", "absent/versions/1", "absent@best"])
def test_a_version_that_could_not_be_loaded_is_answered_for(damaged: Node, path: str) -> None:
    answer = damaged.ask(f"/v2/models/{path}/infer", place(3, 4))
    assert (values(answer), marks(answer)) == ([3.0, 4.0], MARKS)
    assert (answer.json["model_name"], answer.headers["augurium-version"]) == (SPARE["model"], "1")


def test_every_protocol_over_rest_is_answered(damaged: Node) -> None:
    rows = [{"place": 7}]
    csv = {"content-type": "text/csv"}
    v1 = "/v1/models/absent"
    answers = [
        damaged.ask(f"{v1}:predict", {"instances": rows}),
        damaged.ask(f"{v1}:predict", {"inputs": {"place": [[7]]}}),
        damaged.ask(f"{v1}/invocations", {"dataframe_records": rows}),
        damaged.ask(f"{v1}/invocations", b"place\n7\n", csv),
        damaged.ask("/v2/models/absent/generate", {"place": 7}),
    ]
    assert [answer.status for answer in answers] == [200] * 5, answers
    assert {marks(answer) for answer in answers} == {MARKS}
    assert [answer.json.get("predictions") for answer in answers[2:4]] == [[[7.0]]] * 2
    assert answers[4].json["found"] == 7.0


def test_binary_tensors_and_grpc_are_answered(damaged: Node) -> None:
    asked = np.array([[5], [6]])
    tensor = triton_http.InferInput("place", [2, 1], "INT64").set_data_from_numpy(asked)
    with triton_http.InferenceServerClient(damaged.rest) as client:
        binary = client.infer("absent", [tensor])
    message = triton_grpc.InferInput("place", [2, 1], "INT64").set_data_from_numpy(asked)
    with triton_grpc.InferenceServerClient(damaged.grpc) as called:
        found = called.infer("absent", [message])
        ready = called.is_model_ready("absent")
    said = {name: value.string_param for name, value in found.get_response().parameters.items()}

    assert binary.as_numpy("found").ravel().tolist() == [5.0, 6.0]
    assert found.as_numpy("found").ravel().tolist() == [5.0, 6.0]
    assert said == dict(zip(("augurium-degraded", "augurium-degraded-step"), MARKS, strict=True))
    assert not ready


def test_rows_by_the_thousand_are_answered(damaged: Node) -> None:
    rows = [[row] for row in range(1000)]
    answer = damaged.ask("/v1/models/absent:predict", {"instances": rows})
    lines = b"".join(b"[%d]\n" % row for row in range(1000))
    kind = {"content-type": "application/x-ndjson"}
    found = damaged.ask("/v1/models/absent:predict", lines, kind)
    told = [json.loads(line) for line in found.body.splitlines()]
    mistake = damaged.ask("/v1/models/absent:predict", {"instances": [*rows, ["text"]]})

    assert (answer.json["predictions"], marks(answer)) == ([[float(row[0])] for row in rows], MARKS)
    assert answer.headers["augurium-degraded-rows"] == "0-999"
    assert [line["prediction"] for line in told] == answer.json["predictions"]
    assert {(line["degraded"], line["degraded_step"]) for line in told} == {MARKS}
    assert mistake.status == 400


def test_it_counts_as_failed_for_the_version_that_was_asked(damaged: Node) -> None:
    model = "counted-absent"
    damaged.ask(f"/v2/models/{model}/infer", place(1))
    check_metric(damaged, 1, "augurium_requests_total", model=model, outcome="not_ready")
    check_metric(damaged, 1, "augurium_degraded_total", model=model, reason="not_loaded")


def test_the_next_step_answers_where_the_first_is_not_there(damaged: Node) -> None:
    with damaged.client() as client:
        gone = {"kind": "model", "model": "bare-absent"}
        steps = client.model("absent").serving["fallback"]["steps"]
        client.set_serving("absent", {"fallback": {"steps": [gone, CONSTANT]}})
        answer = damaged.ask(INFER, place(3))
        client.set_serving("absent", {"fallback": {"steps": steps}})
    assert (values(answer), marks(answer)) == ([-1.0], ("not_loaded", "constant"))


def test_mistakes_and_models_without_a_fallback_are_told(damaged: Node) -> None:
    answers = [
        damaged.ask("/v2/models/bare-absent/infer", place(1)),
        damaged.ask("/v2/models/absent/versions/9/infer", place(1)),
        damaged.ask("/v2/models/absent@nobody/infer", place(1)),
        damaged.ask(INFER, {"inputs": []}),
        damaged.ask("/v1/models/absent:predict", {"instances": [{"place": "text"}]}),
        damaged.ask("/v2/models/absent/ready"),
    ]
    assert [answer.status for answer in answers] == [503, 404, 404, 400, 400, 503]
    assert {marks(answer) for answer in answers} == {(None, None)}
    assert "version 1 of model 'bare-absent' is not ready" in answers[0].json["error"]


def test_a_model_is_answered_for_while_its_first_version_is_being_loaded(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    node = start(tmp_path / "home", "--engines", "1", "--allow-code")
    gate = str(tmp_path / "gate")

    def late(columns: Any) -> Any:
        """Takes as long as there is a gate."""
        import os
        import time as clock

        while os.path.exists(gate):  # noqa: PTH110 - runs where this module is not
            clock.sleep(0.02)
        return {"y": columns["x"] * 2}

    def ask(path: str) -> Reply:
        tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [3.0]}
        return node.ask(f"/v2/models/{path}/infer", {"inputs": [tensor]})

    with node.client() as client:
        client.register(late, name="late", data={"x": [1.0, 2.5]}, allow_code=True)
        constant = {"kind": "constant", "outputs": {"y": -1.0}}
        client.set_serving("late", {"fallback": {"steps": [constant]}})
        Path(gate).touch()
        deploying = threading.Thread(target=client.deploy, args=("late", 1))
        deploying.start()
        until = time.monotonic() + 30
        while ask("late").status == 404 and time.monotonic() < until:
            time.sleep(0.05)
        found = [ask("late"), ask("late@1")]
        Path(gate).unlink()
        deploying.join()
    assert [values(answer) for answer in found] == [[-1.0], [-1.0]]
    assert {marks(answer) for answer in found} == {("not_loaded", "constant")}
    own = ask("late")
    assert (values(own), marks(own)) == ([6.0], (None, None))
