"""Many rows of which some batches fail: the fallback answers these, and what they are is marked."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import onnx
import pyarrow as pa
import pytest
from pyarrow import ipc

from tests.acceptance.test_absent_versions import spare_model
from tests.acceptance.test_many_rows import ARROW, LINES, stream
from tests.acceptance.test_overload import check_metric
from tests.support.models import picky_model
from tests.support.node import Node

# batches grow to 4096 rows: the bad one is never in the first
ROWS, BAD = 10_000, 9900
STEPS = [
    {"kind": "model", "model": "spare-of-rows"},
    {"kind": "constant", "outputs": {"found": -1}},
]
MARKS = {"augurium-degraded": "error", "augurium-degraded-step": "model:spare-of-rows"}


@pytest.fixture(scope="module")
def rows_node(start: Callable[..., Node]) -> Node:
    node = start(None, "--engines", "1")
    with node.client() as client:
        client.register(spare_model(), name="spare-of-rows")
        client.deploy("spare-of-rows", 1)
        patient = {"least_requests": 1_000_000}
        for name in ("picky-rows", "counted-rows"):
            client.register(onnx.load_from_string(picky_model()), name=name)
            client.deploy(name, 1)
            client.set_serving(name, {"fallback": {"steps": STEPS, "breaker": patient}})
    return node


def places() -> list[int]:
    """Each of them known to the model but one, which is in a later batch."""
    found = [row % 10 for row in range(ROWS)]
    found[BAD] = 99
    return found


def check(values: list[float], degraded: range) -> None:
    own = [10.0 * place for place in places()]
    for row in degraded:
        own[row] = float(places()[row])
    assert values == own


def rows_in(header: str) -> range:
    first, last = header.split("-")
    return range(int(first), int(last) + 1)


def marks(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in MARKS if name in answer.headers}


def post(
    node: Node, body: bytes, kind: str = "application/json", path: str = ":predict"
) -> httpx.Response:
    url = f"http://{node.rest}/v1/models/picky-rows{path}"
    return httpx.post(url, content=body, headers={"content-type": kind}, timeout=60)


@pytest.mark.parametrize("form", ["instances", "inputs", "records"])
def test_json_says_which_rows_are_the_fallbacks(rows_node: Node, form: str) -> None:
    column = [[place] for place in places()]
    bodies: dict[str, tuple[Any, str, str]] = {
        "instances": ({"instances": column}, ":predict", "predictions"),
        "inputs": ({"inputs": {"place": column}}, ":predict", "outputs"),
        "records": (
            {"dataframe_records": [{"place": place} for place in places()]},
            "/invocations",
            "predictions",
        ),
    }
    body, path, key = bodies[form]
    answer = post(rows_node, json.dumps(body).encode(), path=path)

    assert answer.status_code == 200, answer.text
    degraded = rows_in(answer.headers["augurium-degraded-rows"])
    assert BAD in degraded
    assert 0 not in degraded
    assert marks(answer) == MARKS
    check([row[0] for row in answer.json()[key]], degraded)


def test_record_batches_of_the_fallback_are_marked(rows_node: Node) -> None:
    answer = post(rows_node, stream(pa.table({"place": places()})), ARROW)
    assert answer.status_code == 200, answer.text
    reader = ipc.open_stream(answer.content)
    values: list[float] = []
    marked = []
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            break
        if metadata is not None:
            assert {k.decode(): v.decode() for k, v in metadata.items()} == MARKS
            marked.append(range(len(values), len(values) + batch.num_rows))
        values += batch.column(0).to_pylist()
    assert marked == [rows_in(answer.headers["augurium-degraded-rows"])]
    check(values, marked[0])


def test_lines_of_the_fallback_are_marked(rows_node: Node) -> None:
    answer = post(rows_node, b"".join(b"[%d]\n" % place for place in places()), LINES)
    assert answer.status_code == 200, answer.text
    assert marks(answer) == {}
    lines = [json.loads(line) for line in answer.text.splitlines()]
    degraded = [row for row, line in enumerate(lines) if isinstance(line, dict)]
    assert degraded == list(range(degraded[0], degraded[-1] + 1))
    assert {(lines[row]["degraded"], lines[row]["degraded_step"]) for row in degraded} == {
        tuple(MARKS.values())
    }
    values = [line["prediction"] if isinstance(line, dict) else line for line in lines]
    check([value[0] for value in values], range(degraded[0], degraded[-1] + 1))


def test_the_client_is_told_which_rows(rows_node: Node) -> None:
    with rows_node.client() as client:
        found = client.predict("picky-rows", pa.table({"place": places()}))
        whole = client.predict("picky-rows", [[3]] * ROWS)
    assert found.degraded == "error"
    assert BAD in rows_in(found.degraded_rows or "")
    assert (whole.degraded, whole.degraded_rows) == (None, None)


def test_the_request_counts_as_failed_once(rows_node: Node) -> None:
    model = "counted-rows"
    body = {"instances": [[place] for place in places()]}
    assert rows_node.ask(f"/v1/models/{model}:predict", body).status == 200
    check_metric(rows_node, 1, "augurium_requests_total", model=model, outcome="model_failed")


def test_a_mistake_in_a_later_row_is_told_with_its_place(rows_node: Node) -> None:
    answer = post(rows_node, json.dumps({"instances": [*[[3]] * 700, ["text"]]}).encode())
    assert answer.status_code == 400
    assert "augurium-degraded" not in answer.headers


def test_all_rows_are_the_fallbacks_while_the_circuit_is_open(rows_node: Node) -> None:
    breaker = {"least_requests": 1, "open_s": 60, "failure_rate": 0.01}
    with rows_node.client() as client:
        policy = client.model("picky-rows").serving
        client.set_serving("picky-rows", {"fallback": {"steps": STEPS[1:], "breaker": breaker}})
        rows_node.ask("/v1/models/picky-rows:predict", {"instances": [[99]]})
        answer = post(rows_node, json.dumps({"instances": [[3]] * ROWS}).encode())
        client.set_serving("picky-rows", policy)
    assert answer.json()["predictions"] == [[-1.0]] * ROWS
    assert answer.headers["augurium-degraded"] == "breaker"
    assert rows_in(answer.headers["augurium-degraded-rows"]) == range(ROWS)


def test_without_a_step_that_answers_the_failure_is_told(rows_node: Node) -> None:
    with rows_node.client() as client:
        policy = client.model("picky-rows").serving
        itself = {"kind": "stale", "max_age_s": 10}
        client.set_serving("picky-rows", {"cache": {"ttl_s": 5}, "fallback": {"steps": [itself]}})
        answer = post(rows_node, json.dumps({"instances": [[p] for p in places()]}).encode())
        client.set_serving("picky-rows", policy)
    assert answer.status_code == 500
    assert "augurium-degraded" not in answer.headers


def test_numbers_of_rows_are_those_of_the_whole_request(rows_node: Node) -> None:
    many = np.resize(places(), 20_000)
    answer = post(rows_node, stream(pa.table({"place": many})), ARROW)
    assert answer.status_code == 200, answer.text
    found = ipc.open_stream(answer.content).read_all().column(0).to_numpy()
    marked = np.zeros(len(many), bool)
    for one in answer.headers["augurium-degraded-rows"].split(","):
        marked[rows_in(one)] = True
    assert marked[BAD::ROWS].all()
    assert (found == np.where(marked, many, 10.0 * many)).all()
