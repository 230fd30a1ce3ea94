"""Models that stream their answers and have a fallback: asked as long as nothing has been given."""

import json
import queue
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

from augurium.core.errors import InvalidArgument
from tests.acceptance.test_overload import check_metric
from tests.support.node import Node

MARKS = {"augurium-degraded": "error", "augurium-degraded-step": "model:halting-spare"}
PATIENT = {"least_requests": 1_000_000}


def halting(columns: Any, parameters: Any) -> Any:
    """Counts to `count`; `parameters` say where it fails, or waits and for how long."""
    import time

    for index in range(columns["count"][0]):
        if parameters.get("fail_at") == index:
            raise ValueError("as told")
        if parameters.get("wait_at") == index:
            time.sleep(parameters["wait_s"])
        yield {"index": columns["count"][:1] * 0 + index}


def spare(columns: Any) -> Any:
    """Counts from a hundred, at most three times."""
    for index in range(min(columns["count"][0], 3)):
        yield {"index": columns["count"][:1] * 0 + 100 + index}


@pytest.fixture(scope="module")
def halts(start: Callable[..., Node]) -> Node:
    node = start(None, "--engines", "1", "--allow-code")
    with node.client() as client:
        for name, function in (
            ("halting", halting),
            ("halting-spare", spare),
            ("halting-one", lambda columns: {"index": columns["count"] * 0 + 50}),
        ):
            client.register(function, name=name, data={"count": [3, 2]}, allow_code=True)
            client.deploy(name, 1)
    return node


def degrade(node: Node, *steps: dict[str, Any], **said: Any) -> None:
    with node.client() as client:
        policy = {"steps": list(steps), "breaker": PATIENT, **said}
        client.set_serving("halting", {"fallback": policy})


SPARE = {"kind": "model", "model": "halting-spare"}
ONE = {"kind": "model", "model": "halting-one"}
CONSTANT = {"kind": "constant", "outputs": {"index": [-1]}}


def ask(node: Node, count: int, **parameters: Any) -> tuple[dict[str, str], list[Any]]:
    """What is marked, and the answers; the last may be an error."""
    url = f"http://{node.rest}/v2/models/halting/generate_stream"
    answer = httpx.post(url, json={"count": count, "parameters": parameters}, timeout=30)
    assert answer.status_code == 200, answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    marked = {name: answer.headers[name] for name in MARKS if name in answer.headers}
    return marked, [event.get("index", event.get("error")) for event in events]


def test_a_stream_that_fails_before_its_first_answer_is_another_models(halts: Node) -> None:
    degrade(halts, SPARE)
    assert ask(halts, 4) == ({}, [0, 1, 2, 3])
    assert ask(halts, 2, fail_at=0) == (MARKS, [100, 101])
    marked, answers = ask(halts, 4, fail_at=2)
    assert (marked, answers[:2]) == ({}, [0, 1])
    assert "as told" in answers[2]
    check_metric(halts, 1, "augurium_degraded_total", model="halting", reason="error")
    check_metric(halts, 2, "augurium_requests_total", model="halting", outcome="model_failed")


@pytest.mark.parametrize(("step", "answer"), [(ONE, 50), (CONSTANT, -1)])
def test_one_answer_may_stand_for_a_stream(halts: Node, step: Any, answer: int) -> None:
    degrade(halts, step)
    marked, answers = ask(halts, 4, fail_at=0)
    assert (marked["augurium-degraded"], answers) == ("error", [answer])


def test_the_first_answer_has_its_time_and_the_others_theirs(halts: Node) -> None:
    degrade(halts, SPARE, timeout_ms=3000)
    assert ask(halts, 2, wait_at=1, wait_s=3.5) == ({}, [0, 1])
    marked, answers = ask(halts, 2, wait_at=0, wait_s=6.0)
    assert (marked["augurium-degraded"], answers) == ("timeout", [100, 101])


def test_every_answer_over_grpc_is_marked(halts: Node) -> None:
    degrade(halts, SPARE)
    found: queue.Queue[tuple[Any, Any]] = queue.Queue()
    count = triton.InferInput("count", [1], "INT64").set_data_from_numpy(np.array([2]))
    with triton.InferenceServerClient(halts.grpc) as client:
        client.start_stream(lambda result, error: found.put((result, error)))
        client.async_stream_infer("halting", [count], parameters={"fail_at": 0})
        for index in (100, 101):
            result, error = found.get(timeout=30)
            assert error is None
            said = result.get_response().parameters
            assert {name: said[name].string_param for name in MARKS} == MARKS
            assert result.as_numpy("index").tolist() == [index]
        client.stop_stream(cancel_requests=True)


def test_without_a_step_that_answers_the_failure_is_told(halts: Node) -> None:
    degrade(halts)
    url = f"http://{halts.rest}/v2/models/halting/generate_stream"
    body = {"count": 1, "parameters": {"fail_at": 0}}
    assert httpx.post(url, json=body, timeout=30).status_code == 500


def test_what_is_known_of_no_stream_is_no_step(halts: Node) -> None:
    steps = [{"kind": "stale", "max_age_s": 9}]
    policy = {"cache": {"ttl_s": 5}, "fallback": {"steps": steps}}
    with halts.client() as client, pytest.raises(InvalidArgument, match="nothing is remembered"):
        client.set_serving("halting", policy)
