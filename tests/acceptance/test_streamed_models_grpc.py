"""Models that give several answers, over `ModelStreamInfer`, as `tritonclient[grpc]` sees them."""

import os
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.support.node import Node

WAIT_S = 30
Answers = queue.Queue[tuple[Any, Any]]


def count(columns: Any, parameters: Any) -> Any:
    """Counts to `count`; `parameters` say how slow it is, and where it fails."""
    for index in range(columns["count"][0]):
        if parameters.get("fail_at") == index:
            raise ValueError("as told")
        time.sleep(parameters.get("step_s", 0))
        yield {"index": np.array([index]), "process": np.array([os.getpid()])}


@pytest.fixture(scope="module")
def counting(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    home = tmp_path_factory.mktemp("counting") / "home"
    node = start(home, "--engines", "1", "--allow-code")
    with node.client() as client:
        client.register(count, name="count", data={"count": [3, 2]}, allow_code=True)
        client.register(
            lambda columns: {"double": columns["x"] * 2},
            name="double",
            data={"x": [1.0, 2.0, 3.0]},
            allow_code=True,
        )
        for name in ("count", "double"):
            client.deploy(name, 1)
    return node


@pytest.fixture
def client(counting: Node) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(counting.grpc) as client:
        yield client
        client.stop_stream(cancel_requests=True)


@pytest.fixture
def answers(client: triton.InferenceServerClient) -> Answers:
    """The answers of a stream that has begun."""
    found: Answers = queue.Queue()
    client.start_stream(lambda result, error: found.put((result, error)))
    return found


def one(name: str, value: Any, datatype: str) -> list[triton.InferInput]:
    kind = {"INT64": np.int64, "FP64": np.float64}[datatype]
    array = np.array([value], kind)
    return [triton.InferInput(name, array.shape, datatype).set_data_from_numpy(array)]


def number(value: int) -> list[triton.InferInput]:
    return one("count", value, "INT64")


def indices(answers: Answers, size: int) -> list[int]:
    found = []
    for _ in range(size):
        result, error = answers.get(timeout=WAIT_S)
        assert error is None, error
        assert not result.get_response().parameters["triton_final_response"].bool_param
        found.append(int(result.as_numpy("index")[0]))
    return found


def test_every_answer_comes_in_its_order(
    client: triton.InferenceServerClient, answers: Answers
) -> None:
    client.async_stream_infer("count", number(500), request_id="a")
    assert indices(answers, 500) == list(range(500))


@pytest.mark.parametrize("size", [0, 3])
def test_an_empty_answer_tells_the_end_to_who_asked_for_it(
    client: triton.InferenceServerClient, answers: Answers, size: int
) -> None:
    client.async_stream_infer(
        "count", number(size), request_id="a", enable_empty_final_response=True
    )
    assert indices(answers, size) == list(range(size))
    last = answers.get(timeout=WAIT_S)[0].get_response()
    assert (last.id, last.model_name, len(last.outputs)) == ("a", "count", 0)
    assert last.parameters["triton_final_response"].bool_param


def test_requests_are_answered_side_by_side(
    client: triton.InferenceServerClient, answers: Answers
) -> None:
    client.async_stream_infer("count", number(500), request_id="slow", parameters={"step_s": 0.05})
    result, _ = answers.get(timeout=WAIT_S)
    assert result.get_response().id == "slow"
    client.async_stream_infer("double", one("x", 4.0, "FP64"), request_id="quick")
    ids = []
    while "quick" not in ids:
        result, error = answers.get(timeout=WAIT_S)
        assert error is None
        ids.append(result.get_response().id)
    # the ordinary model's answer did not wait for the end of the stream
    assert len(ids) < 450


def test_an_error_after_answers_leaves_the_stream_open(
    client: triton.InferenceServerClient, answers: Answers
) -> None:
    client.async_stream_infer("count", number(5), parameters={"fail_at": 2})
    assert indices(answers, 2) == [0, 1]
    assert "as told" in answers.get(timeout=WAIT_S)[1].message()
    client.async_stream_infer("count", number(1))
    assert indices(answers, 1) == [0]


def test_the_timeout_of_a_request_ends_its_answers(
    client: triton.InferenceServerClient, answers: Answers
) -> None:
    client.async_stream_infer("count", number(500), parameters={"step_s": 0.1}, timeout=500_000)
    began = time.monotonic()
    while (found := answers.get(timeout=WAIT_S))[1] is None:
        pass
    assert "expired" in found[1].message()
    # all of them take 50 s
    assert time.monotonic() - began < 20


def test_a_call_with_a_single_answer_needs_a_model_with_one(
    client: triton.InferenceServerClient,
) -> None:
    found = client.infer("count", number(1))
    assert found.as_numpy("index").tolist() == [0]
    with pytest.raises(InferenceServerException) as caught:
        client.infer("count", number(2))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
