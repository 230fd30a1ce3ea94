"""Many rows at once: Arrow tables and JSON Lines, and payloads of megabytes, on a running node."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import onnx
import psutil
import pyarrow as pa
import pytest
import tritonclient.grpc as grpcclient
from pyarrow import ipc

from tests.support.grpc_models import image_model
from tests.support.memory import peak_bytes
from tests.support.models import Mixed, Tabular
from tests.support.node import Node

ARROW, LINES = "application/vnd.apache.arrow.stream", "application/x-ndjson"
TABULAR, MIXED = "/v1/models/tabular:predict", "/v1/models/mixed:predict"
# more than fit in a batch, and no multiple of it
ROWS = 3001
TIMEOUT_S = 60.0


def stream(table: Any, rows_per_batch: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, rows_per_batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def post(node: Node, path: str, body: bytes, kind: str, accept: str | None = None) -> Any:
    headers = {"content-type": kind} | ({"accept": accept} if accept else {})
    return httpx.post(f"http://{node.rest}{path}", content=body, headers=headers, timeout=TIMEOUT_S)


def many(tabular: Tabular) -> Any:
    return np.resize(tabular.rows, (ROWS, tabular.rows.shape[1])).astype(np.float32)


def test_a_table_of_many_rows_is_answered_as_a_table(node: Node, tabular: Tabular) -> None:
    rows = many(tabular)
    table = pa.table({f"f{i}": rows[:, i] for i in reversed(range(rows.shape[1]))})
    answer = post(node, TABULAR, stream(table, 700), ARROW)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    assert answer.headers["augurium-version"] == "1"
    found = ipc.open_stream(answer.content).read_all()
    expected = tabular.model.predict_proba(rows)
    probabilities = np.vstack(found.column("probabilities").to_pylist())
    assert np.abs(probabilities - expected).max() < 1e-5
    assert found.column("label").to_pylist() == tabular.model.predict(rows).tolist()


def test_a_matrix_may_be_one_column_and_the_answer_json(node: Node, tabular: Tabular) -> None:
    rows = many(tabular)[:5]
    matrix = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    name = node.ask("/v2/models/tabular").json["inputs"][0]["name"]
    answer = post(node, TABULAR, stream(pa.table({name: matrix})), ARROW, "application/json")

    assert answer.status_code == 200, answer.text
    plain = node.ask(TABULAR, {"instances": rows.astype(float).tolist()})
    expected = [{**one} for one in plain.json["predictions"]]
    assert answer.json()["predictions"] == expected


def test_texts_and_missing_values_are_those_of_json(node: Node, mixed: Mixed) -> None:
    table = pa.Table.from_pandas(mixed.rows, preserve_index=False)
    coded = table.set_column(0, "city", table.column("city").dictionary_encode())
    rows = json.loads(mixed.rows.to_json(orient="records"))
    expected = node.ask(MIXED, {"instances": rows}).json["predictions"]

    for given in (table, coded):
        answer = post(node, MIXED, stream(given), ARROW, "application/json")
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == expected


def test_json_may_be_answered_with_a_table(node: Node, tabular: Tabular) -> None:
    body = json.dumps({"instances": many(tabular)[:3].astype(float).tolist()}).encode()
    answer = post(node, TABULAR, body, "application/json", ARROW)

    assert answer.status_code == 200, answer.text
    assert ipc.open_stream(answer.content).read_all().num_rows == 3


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (pa.table({"f0": [1.0]}), "misses the columns ['f1'"),
        (pa.table({f"f{i}": [1.0] for i in range(11)}), "unknown columns ['f10']"),
        (pa.table({f"f{i}": ["high"] for i in range(10)}), "f0"),
        (pa.table({f"f{i}": pa.array([], pa.float32()) for i in range(10)}), "no rows"),
    ],
)
def test_a_table_that_does_not_fit_is_told_what_would(node: Node, table: Any, text: str) -> None:
    answer = post(node, TABULAR, stream(table), ARROW)

    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_a_body_that_is_no_arrow_stream_is_refused(node: Node, tabular: Tabular) -> None:
    rows = many(tabular)
    whole = stream(pa.table({f"f{i}": rows[:, i] for i in range(10)}))
    for body in (b"", b"ARROW1", b"\xff" * 1000, whole[: len(whole) // 2], whole[8:]):
        assert post(node, TABULAR, body, ARROW).status_code == 400, body[:20]
    # what is damaged inside is refused, or answered as the numbers it now holds
    for place in range(0, 1200, 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        assert post(node, TABULAR, bytes(damaged), ARROW).status_code in (200, 400, 413), place


def test_lines_are_answered_line_by_line(node: Node, tabular: Tabular) -> None:
    rows = many(tabular)[:1000]
    plain = [[None if np.isnan(value) else float(value) for value in row] for row in rows]
    body = b"\n".join(json.dumps(row).encode() for row in plain)
    answer = post(node, TABULAR, body, LINES)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == LINES
    found = [json.loads(line) for line in answer.text.splitlines()]
    labels = [line["label"] for line in found]
    assert labels == tabular.model.predict(rows).tolist()


def test_a_bad_line_is_an_error_and_after_answers_the_last_line(
    node: Node, tabular: Tabular
) -> None:
    good = json.dumps(many(tabular)[0].astype(float).tolist()).encode()
    early = post(node, TABULAR, b"nonsense\n" + good, LINES)
    late = post(node, TABULAR, b"\n".join([good] * 2000 + [b"[1]"]), LINES)

    assert early.status_code == 400
    assert "line 1 is not JSON" in early.json()["error"]
    assert late.status_code == 200, late.text
    *answers, last = (json.loads(line) for line in late.text.splitlines())
    assert 256 <= len(answers) < 2000
    assert "in the rows after the first 1792" in last["error"]


@pytest.fixture(scope="module")
def image(node: Node) -> Any:
    """Of 38.5 MB, and a model that gives it back."""
    with node.client() as client:
        client.register(onnx.load_from_string(image_model()), name="large_image")
        client.deploy("large_image", 1)
    return np.random.default_rng(3).random((64, 3, 224, 224), np.float32)


def rest_identity(node: Node, image: Any) -> None:
    """Sends the image as raw bytes and checks that it comes back."""
    described = {
        "name": "x",
        "shape": image.shape,
        "datatype": "FP32",
        "parameters": {"binary_data_size": image.nbytes},
    }
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    answer = httpx.post(
        f"http://{node.rest}/v2/models/large_image/infer",
        content=head + image.tobytes(),
        headers={"inference-header-content-length": str(len(head))},
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 200, answer.text[:300]
    length = int(answer.headers["inference-header-content-length"])
    assert answer.content[length:] == image.tobytes()


def grpc_identity(node: Node, image: Any) -> None:
    """The same over gRPC."""
    tensor = grpcclient.InferInput("x", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image)
    with grpcclient.InferenceServerClient(node.grpc) as client:
        found = client.infer("large_image", [tensor]).as_numpy("y")
    assert np.array_equal(found, image)


@pytest.mark.parametrize("identity", [rest_identity, grpc_identity])
def test_a_large_payload_is_held_at_most_three_times_and_then_given_back(
    node: Node, image: Any, identity: Callable[[Node, Any], None]
) -> None:
    # what an engine keeps for itself after its first large request is not the payload's; which
    # engine takes a connection is up to the kernel, and each shall have had its first
    for _ in range(16):
        identity(node, image)
    engines = [psutil.Process(pid) for pid in node.children().values()]

    def measured() -> int:
        return sum(process.memory_info().rss for process in engines)

    before = measured()

    def copies_left() -> float:
        """How many are held, a moment after they were answered."""
        end = time.monotonic() + 10
        while (left := (measured() - before) / image.nbytes) >= 0.5 and time.monotonic() < end:
            time.sleep(0.05)
        return float(left)

    for _ in range(3):
        assert copies_left() < 0.5
        peak = peak_bytes(measured, lambda: identity(node, image))[0]
        # two for most of the time; the third is an answer that the caller wants compressed
        assert (peak - before) / image.nbytes < 3.4
    assert copies_left() < 0.5
