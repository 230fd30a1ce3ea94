"""What requests say beside their tensors, told to Python functions by every protocol."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from tests.support.node import Node

CALLERS, ASKED = 8, 12


def told(columns: Any, parameters: Any) -> Any:
    """The inputs times `factor`, and what was said."""
    import time

    time.sleep(parameters.get("pause_s", 0))
    rows = len(columns["x"])
    return {
        "scaled": columns["x"] * parameters.get("factor", 1),
        "said": np.array([repr(sorted(parameters.items()))] * rows),
    }


@pytest.fixture(scope="module")
def telling(start: Callable[..., Node]) -> Node:
    node = start(None, "--engines", "1", "--allow-code")
    with node.client() as client:
        version = client.register(told, name="told", data={"x": [1.0, 2.5, 3.0]}, allow_code=True)
        assert version.signature.takes_parameters
        client.deploy("told", version.version)
    return node


@pytest.fixture
def rest(telling: Node) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{telling.rest}", timeout=30) as client:
        yield client


@pytest.fixture(params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, telling: Node) -> Iterator[Any]:
    module = {"http": triton_http, "grpc": triton_grpc}[request.param]
    place = {"http": telling.rest.removeprefix("http://"), "grpc": telling.grpc}[request.param]
    with module.InferenceServerClient(place) as client:
        yield module, client


def infer(triton: Any, parameters: dict[str, Any] | None, **how: Any) -> Any:
    module, client = triton
    given = module.InferInput("x", [1], "FP64")
    given.set_data_from_numpy(np.array([2.0]))
    return client.infer("told", [given], parameters=parameters, **how)


def test_triton_clients_say_parameters(triton: Any) -> None:
    found = infer(triton, {"factor": 3, "word": "a", "yes": True})
    assert found.as_numpy("scaled").tolist() == [6.0]
    assert found.as_numpy("said").tolist() == [b"[('factor', 3), ('word', 'a'), ('yes', True)]"]
    # a client says to the server how it wants the answer, which is nothing to the model
    found = infer(triton, None, timeout=5_000_000)
    assert found.as_numpy("said").tolist() == [b"[]"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["x"], "data": [[2.0], [3.0]]}},
        {"inputs": {"x": [2.0, 3.0]}},
        {"instances": [2.0, 3.0]},
    ],
)
def test_mlflow_params_reach_the_function(rest: httpx.Client, body: Any) -> None:
    said = {"factor": 10, "stops": ["a", "b"]}
    found = rest.post("/invocations", json=body | {"params": said})
    assert found.status_code == 200, found.text
    rows = found.json()["predictions"]
    assert [row["scaled"] for row in rows] == [20.0, 30.0]
    assert rows[0]["said"] == "[('factor', 10), ('stops', ['a', 'b'])]"


def test_params_of_many_rows_are_told_with_each_batch(rest: httpx.Client) -> None:
    rows = {"inputs": {"x": [1.0] * 1000}, "params": {"factor": 4}}
    found = rest.post("/invocations", json=rows).json()["predictions"]
    assert [row["scaled"] for row in found] == [4.0] * 1000


def test_what_cannot_be_told_is_refused(rest: httpx.Client) -> None:
    for wrong in ({"a": None}, {"a": {"b": 1}}, {"a": [[1]]}, {"a": 2**70}):
        found = rest.post("/invocations", json={"inputs": {"x": [1.0]}, "params": wrong})
        assert found.status_code == 400, found.text
        assert "parameter 'a'" in found.json()["message"]


def test_generate_has_parameters_among_its_fields(rest: httpx.Client) -> None:
    found = rest.post("/v2/models/told/generate", json={"x": 2.0, "factor": 5}).json()
    assert found["scaled"] == 10.0


def runs(telling: Node) -> tuple[int, int]:
    """Rows and runs of the model so far."""
    (found,) = telling.ask("/v2/models/told/stats").json["model_stats"]
    return found["inference_count"], found["execution_count"]


def test_requests_share_a_run_with_their_equals_only(telling: Node) -> None:
    """Callers of four kinds at once, whose parameters are equal to Python and not to a model."""
    kinds = [{"factor": 1}, {"factor": True}, {"factor": 1.0}, {"factor": 2}]
    wrong: list[Any] = []
    before = runs(telling)

    def ask(kind: dict[str, Any]) -> None:
        said = f"[('factor', {kind['factor']!r}), ('pause_s', 0.002)]"
        with httpx.Client(base_url=f"http://{telling.rest}", timeout=30) as client:
            for _ in range(ASKED):
                tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [2.0]}
                body = {"inputs": [tensor], "parameters": kind | {"pause_s": 0.002}}
                answer = client.post("/v2/models/told/infer", json=body).json()
                outputs = {one["name"]: one["data"][0] for one in answer["outputs"]}
                if outputs != {"said": said, "scaled": 2.0 * kind["factor"]}:
                    wrong.append(outputs)

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in kinds * CALLERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    rows, executions = (after - was for after, was in zip(runs(telling), before, strict=True))
    assert rows == len(threads) * ASKED
    assert executions < rows
