"""Bodies that take seconds to be read: others are answered meanwhile."""

import threading
import time
from collections.abc import Callable

import onnx
import pytest

from tests.support.models import graph
from tests.support.node import Node, Reply

ROWS = 2_000_000
CSV = b"x\n" + b"1.5\n" * ROWS + b"abc\n"


def doubling_model() -> bytes:
    kind = onnx.TensorProto.FLOAT
    return graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        [onnx.helper.make_tensor_value_info("x", kind, ["rows", 1])],
        [onnx.helper.make_tensor_value_info("y", kind, ["rows", 1])],
    )


@pytest.fixture(scope="module")
def single(start: Callable[..., Node]) -> Node:
    """A node with one engine, which has one loop for all its callers."""
    node = start(None, "--engines", "1")
    with node.client() as client:
        client.register(onnx.load_from_string(doubling_model()), name="doubled")
        client.deploy("doubled", 1)
    return node


def test_others_are_answered_while_a_large_body_is_read(single: Node) -> None:
    answers: list[Reply] = []
    path, headers = "/v1/models/doubled/invocations", {"content-type": "text/csv"}
    asking = threading.Thread(target=lambda: answers.append(single.ask(path, CSV, headers)))
    waits = []
    began = time.monotonic()
    asking.start()
    while asking.is_alive():
        asked = time.monotonic()
        row = single.ask("/v1/models/doubled:predict", {"instances": [[2]]})
        assert row.json == {"predictions": [[4]]}
        waits.append(time.monotonic() - asked)
    took_s = time.monotonic() - began

    # whatever this machine takes, nobody else waits for the whole of it
    assert max(waits) < took_s / 2, (max(waits), took_s)
    assert answers[0].status == 400, answers[0].body
