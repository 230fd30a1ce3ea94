"""Recorded predictions: what was sent over every protocol, and nothing that was to be left out."""

import csv
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc

from augurium.client import AsyncClient
from augurium.client.recorded_predictions import RecordedPrediction
from tests.support.models import simple_model
from tests.support.node import AUGURIUM, Node, clean_environment

SECRET = "someone@example.com"
PATIENCE_S = 90.0


def judged(columns: Any) -> Any:
    """Doubles, and fails on a certain row."""
    if (columns["x"] == 13.0).any():
        raise ValueError("an unlucky number")
    return {"y": columns["x"] * 2}


def counted(columns: Any) -> Any:
    """One answer after another."""
    for number in range(int(columns["count"][0])):
        yield {"number": np.array([number + 7])}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recording") / "home"


@pytest.fixture(scope="module")
def recording(start: Callable[..., Node], home: Path) -> Node:
    settings = home.parent / "augurium.toml"
    settings.write_text(
        "[prediction_log]\nflush_interval_s = 0.3\nsample = 1.0\nring_records = 100\n"
    )
    node = start(home, "--engines", "1", "--allow-code", "--config", str(settings))
    data = {"x": [1.0, 2.5, 3.0], "email": ["a@x.org", "b@x.org", "c@x.org"]}
    with node.client() as client:
        client.register(judged, name="judged", data=data, allow_code=True)
        client.deploy("judged", 1)
        (home.parent / "simple.onnx").write_bytes(simple_model())
        client.register(home.parent / "simple.onnx", name="simple")
        client.deploy("simple", 1)
        version = client.register(counted, name="counted", data={"count": [3, 2]}, allow_code=True)
        assert version.signature.streamed
        client.deploy("counted", 1)
    return node


def ask(node: Node, x: float, id_: str, email: str = "a@x.org") -> int:
    rows = {"instances": [{"x": x, "email": email}]}
    return node.ask("/v1/models/judged:predict", rows, {"x-request-id": id_}).status


def found(node: Node, *ids: str, model: str = "judged") -> dict[str, RecordedPrediction]:
    """The records of these ids, which may take a moment to come."""
    deadline = time.monotonic() + PATIENCE_S
    with node.client() as client:
        while True:
            records = {
                record.prediction_id: record for record in client.predictions(model, limit=1000)
            }
            if set(ids) <= records.keys() or time.monotonic() > deadline:
                return records
            time.sleep(0.1)


def counter(node: Node, name: str, **labels: str) -> float:
    page = httpx.get(f"{node.management}/metrics").text
    said = ",".join(f'{key}="{value}"' for key, value in labels.items())
    start = f"{name}{{{said}}} " if said else f"{name} "
    return sum(
        float(line.removeprefix(start)) for line in page.splitlines() if line.startswith(start)
    )


def grows(node: Node, name: str, **labels: str) -> bool:
    """Whether a counter leaves 0, which may take a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while not counter(node, name, **labels):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def on_disk(home: Path, model: str) -> list[Path]:
    return sorted((home / "records" / "predictions" / f"model={model}").rglob("*.parquet"))


def content(home: Path, model: str) -> str:
    """Everything that Parquet files say, as text."""
    files = [str(file) for file in on_disk(home, model)]
    with duckdb.connect(":memory:") as database:
        return repr(database.execute("SELECT * FROM read_parquet(?)", [files]).fetchall())


def test_a_record_says_what_was_sent_and_answered_over_rest(recording: Node) -> None:
    assert ask(recording, 2.5, "rest-1") == 200

    record = found(recording, "rest-1")["rest-1"]

    assert record.inputs == {"instances": [{"x": 2.5, "email": "a@x.org"}]}
    assert record.outputs == {"y": [5.0]}
    assert (record.score, record.outcome, record.version) == (5.0, "ok", 1)
    assert record.sampled
    assert 0 < record.seconds < 30


def test_a_record_says_what_was_sent_and_answered_over_grpc(recording: Node) -> None:
    names = ("INPUT0", "INPUT1")
    tensors = [triton_grpc.InferInput(name, [1, 16], "INT32") for name in names]
    values = [np.arange(16, dtype=np.int32).reshape(1, 16), np.ones((1, 16), np.int32)]
    for tensor, array in zip(tensors, values, strict=True):
        tensor.set_data_from_numpy(array)

    with triton_grpc.InferenceServerClient(recording.grpc) as client:
        named = client.infer("simple", tensors, request_id="grpc-1").get_response()
        client.infer("simple", tensors, headers={"x-request-id": "grpc-2"})
        unnamed = client.infer("simple", tensors).get_response()

    issued = unnamed.parameters["x-request-id"].string_param
    records = found(recording, "grpc-1", "grpc-2", issued, model="simple")
    assert "x-request-id" not in named.parameters
    for id_ in ("grpc-1", "grpc-2", issued):
        record = records[id_]
        assert record.inputs == {n: v.tolist() for n, v in zip(names, values, strict=True)}
        assert record.outputs is not None
        assert record.outputs["OUTPUT0"] == (values[0] + values[1]).tolist()
        assert record.score == 1.0


def test_the_id_that_an_answer_names_is_that_of_its_record(recording: Node) -> None:
    rows = {"instances": [{"x": 1.0, "email": "a@x.org"}]}
    issued = recording.ask("/v1/models/judged:predict", rows).headers["x-request-id"]
    tensors = [
        {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]},
        {"name": "email", "shape": [1], "datatype": "BYTES", "data": ["a@x.org"]},
    ]
    body = {"id": "in-the-body", "inputs": tensors}
    assert recording.ask("/v2/models/judged/infer", body).json["id"] == "in-the-body"

    records = found(recording, issued, "in-the-body")

    assert records[issued].score == 2.0
    assert records["in-the-body"].inputs == {"x": [1.0], "email": ["a@x.org"]}


def test_a_failed_request_is_recorded_with_its_kind(recording: Node) -> None:
    assert ask(recording, 13.0, "unlucky") == 500
    assert (
        recording.ask(
            "/v1/models/judged:predict", {"instances": [{"y": 1}]}, {"x-request-id": "wrong"}
        ).status
        == 400
    )

    records = found(recording, "unlucky", "wrong")

    assert records["unlucky"].outcome == "model_failed"
    assert records["unlucky"].inputs == {"instances": [{"x": 13.0, "email": "a@x.org"}]}
    assert records["unlucky"].outputs is None
    assert records["unlucky"].score is None
    assert records["wrong"].outcome == "invalid_argument"


def test_many_rows_are_one_record_with_the_first_answers(recording: Node) -> None:
    lines = "".join(f'{{"x": {number}.0, "email": "a@x.org"}}\n' for number in range(2, 13))
    headers = {"content-type": "application/jsonl", "x-request-id": "many"}
    answer = recording.ask("/v1/models/judged:predict", lines.encode(), headers)
    assert answer.status == 200, answer.body

    record = found(recording, "many")["many"]

    assert record.outcome == "ok"
    assert record.inputs is None
    assert record.outputs is not None
    assert record.outputs["y"][:3] == [4.0, 6.0, 8.0]


def test_a_stream_is_one_record_with_its_first_answer(recording: Node) -> None:
    answer = recording.ask(
        "/v2/models/counted/generate_stream", {"count": 3}, {"x-request-id": "stream"}
    )
    assert answer.body.count(b"data: ") == 3, answer.body

    record = found(recording, "stream", model="counted")["stream"]

    assert (record.outcome, record.score) == ("ok", 7.0)
    assert record.outputs == {"number": [7]}
    assert record.inputs is not None


@pytest.fixture
def redacted(recording: Node) -> Iterator[Node]:
    with recording.client() as client:
        client.set_serving("judged", {"log": {"redact": ["email"]}})
        yield recording
        client.set_serving("judged", {})


def test_a_redacted_value_is_nowhere_on_the_disk(redacted: Node, home: Path) -> None:
    assert ask(redacted, 3.0, "secret-1", SECRET) == 200
    tensors = [
        {"name": "x", "shape": [1], "datatype": "FP64", "data": [3.0]},
        {"name": "email", "shape": [1], "datatype": "BYTES", "data": [SECRET]},
    ]
    headers = {"x-request-id": "secret-2"}
    assert redacted.ask("/v2/models/judged/infer", {"inputs": tensors}, headers).status == 200
    records = found(redacted, "secret-1", "secret-2")

    assert records["secret-1"].inputs == {"instances": [{"x": 3.0, "email": "[redacted]"}]}
    assert records["secret-2"].inputs == {"x": [3.0], "email": "[redacted]"}
    assert "secret-1" in content(home, "judged")
    assert SECRET not in content(home, "judged")


def test_everything_can_be_redacted(recording: Node) -> None:
    with recording.client() as client:
        client.set_serving("judged", {"log": {"redact": ["*"]}})
        assert ask(recording, 3.0, "nothing", SECRET) == 200
        client.set_serving("judged", {})

    record = found(recording, "nothing")["nothing"]

    assert record.inputs == {"instances": ["[redacted]"]}
    assert record.outputs == {}
    assert record.score is None


def test_exposures_have_no_values(recording: Node) -> None:
    with recording.client() as client:
        client.set_serving("judged", {"log": {"sample": 0.0, "exposures": True}})
        assert ask(recording, 4.0, "exposed") == 200
        client.set_serving("judged", {})

    record = found(recording, "exposed")["exposed"]

    assert (record.score, record.outcome, record.sampled) == (8.0, "ok", False)
    assert record.inputs is None
    assert record.outputs is None


def test_a_model_may_be_left_out(recording: Node) -> None:
    with recording.client() as client:
        client.set_serving("judged", {"log": {"sample": 0.0}})
        assert ask(recording, 4.0, "unseen") == 200
        client.set_serving("judged", {})
    assert ask(recording, 4.0, "seen") == 200

    assert "unseen" not in found(recording, "seen")


def test_records_are_told_apart_by_outcome_and_version(recording: Node) -> None:
    ask(recording, 13.0, "unlucky-2")
    found(recording, "unlucky-2")
    with recording.client() as client:
        failed = client.predictions("judged", outcome="model_failed")
        assert {record.outcome for record in failed} == {"model_failed"}
        assert client.predictions("judged", version=2) == ()
        assert client.predictions("judged", variant="b") == ()
        assert len(client.predictions("judged", limit=1)) == 1


async def test_tasks_can_ask_too(recording: Node) -> None:
    ask(recording, 1.0, "async")
    found(recording, "async")
    async with AsyncClient(recording.management) as client:
        records = await client.predictions("judged", limit=1000)
    assert "async" in {record.prediction_id for record in records}


def run(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "AUGURIUM_URL": node.management}
    return subprocess.run(
        [AUGURIUM, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_the_command_shows_records_as_a_table_csv_and_json(recording: Node) -> None:
    ask(recording, 6.0, "shown")
    found(recording, "shown")

    table = run(recording, "predictions", "judged", "--limit", "1000")
    lines = csv.DictReader(io.StringIO(run(recording, "predictions", "judged", "--csv").stdout))
    told = json.loads(run(recording, "predictions", "judged", "--json", "--since", "1d").stdout)

    assert "shown" in table.stdout
    (line,) = (line for line in lines if line["prediction_id"] == "shown")
    assert json.loads(line["outputs"]) == {"y": [12.0]}
    assert "shown" in {record["prediction_id"] for record in told["predictions"]}
    assert run(recording, "predictions", "judged", "--since", "soon").returncode == 2
    assert "Nothing" in run(recording, "predictions", "judged", "--variant", "b").stderr


def test_the_command_says_what_is_recorded(recording: Node) -> None:
    options = ["--log-sample", "0.5", "--log-redact", "email", "--log-exposures", "--json"]
    told = json.loads(run(recording, "serving", "judged", *options).stdout)
    assert told["log"] == {"sample": 0.5, "redact": ["email"], "exposures": True}
    assert "without email" in run(recording, "serving", "judged").stdout

    options = ["--log-redact", "none", "--no-log-exposures", "--log-sample", "1", "--json"]
    told = json.loads(run(recording, "serving", "judged", *options).stdout)
    assert told["log"] == {"sample": 1.0}


def test_requests_go_on_while_control_stands_still(recording: Node) -> None:
    pid = control_pid(recording)
    values = list(range(100 * 16))
    rows = [
        {"name": name, "shape": [100, 16], "datatype": "INT32", "data": values}
        for name in ("INPUT0", "INPUT1")
    ]
    os.kill(pid, signal.SIGSTOP)
    try:
        answers = [
            recording.ask("/v2/models/simple/infer", {"id": f"still-{number}", "inputs": rows})
            for number in range(400)
        ]
    finally:
        os.kill(pid, signal.SIGCONT)

    assert {answer.status for answer in answers} == {200}
    records = found(recording, "still-0", model="simple")
    assert records["still-0"].outcome == "ok"
    assert grows(recording, "augurium_prediction_log_dropped_total", place="engine")
    assert grows(recording, "augurium_prediction_log_records_total")


def test_what_control_wrote_outlives_it(recording: Node) -> None:
    assert ask(recording, 1.0, "before") == 200
    found(recording, "before")
    control = psutil.Process(control_pid(recording))
    control.kill()
    control.wait(20)
    assert ask(recording, 1.0, "meanwhile") == 200
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{recording.management}/api/v1/ready").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.1)
    assert ask(recording, 1.0, "after") == 200

    assert {"before", "meanwhile", "after"} <= found(recording, "after", "meanwhile").keys()


def control_pid(node: Node) -> int:
    """The control process among the children of the supervisor."""
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text()
    for pid in map(int, children.split()):
        if b"augurium.control" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    pytest.fail("there is no control process")
