"""Shadows that are slow, that fail and that end their process: callers notice nothing of them, and
what they answer is compared row by row.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import httpx
import numpy as np
import pytest

from augurium.client import AsyncClient, Client
from augurium.client.shadow_results import ShadowPair
from tests.acceptance.test_overload import metric
from tests.support.node import AUGURIUM, Node, clean_environment

Transport = Literal["rest", "grpc"]
TRAINING = {"x": [1.0, 2.5, 3.0]}
FIRST, SECOND = 1, 2
# callers give up long before a sleepy shadow has answered
PATIENCE_MS = 3000
WAIT_S = 30.0
ROUNDS = 20


def steady(columns: Any) -> Any:
    """Doubles."""
    return {"y": columns["x"] * 2}


def shifted(columns: Any) -> Any:
    """Doubles; from 100 on there are 10 more."""
    return {"y": columns["x"] * 2 + 10 * (columns["x"] >= 100)}


def sleepy(columns: Any) -> Any:
    """Doubles; from 100 on that takes long."""
    import time as clock

    if (columns["x"] >= 100).any():
        clock.sleep(6.0)
    return {"y": columns["x"] * 2}


def broken(columns: Any) -> Any:
    """Doubles; from 100 on it fails."""
    if (columns["x"] >= 100).any():
        raise ValueError("spoilt")
    return {"y": columns["x"] * 2}


def deadly(columns: Any) -> Any:
    """Doubles; from 100 on it ends its process."""
    import os as system

    if (columns["x"] >= 100).any():
        system._exit(3)
    return {"y": columns["x"] * 2}


@pytest.fixture(scope="module")
def staged(start: Callable[..., Node]) -> Node:
    return start(None, "--engines", "2", "--allow-code")


@pytest.fixture
def model(staged: Node, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name.translate(str.maketrans("[]", "--")).strip("-")[5:60]
    with staged.client() as client:
        client.register(steady, name=name, data=TRAINING, allow_code=True)
        client.deploy(name, FIRST)
    return name


@pytest.fixture
def cast(staged: Node, model: str) -> Iterator[Callable[..., None]]:
    """Makes a function the second version, and that the shadow of the first one."""
    with staged.client() as client:

        def cast(function: Callable[..., Any], **said: Any) -> None:
            client.register(function, name=model, data=TRAINING, allow_code=True)
            client.deploy(model, SECOND, default=False)
            shadow = {"version": SECOND, "percent": 100, **said}
            client.set_traffic(model, {"shadows": [shadow]}, reason="a test")

        yield cast


def call(
    node: Node, model: str, transport: Transport, times: int, *values: float
) -> list[list[float]]:
    """The answers to eight callers, who ask so often together; whoever fails raises."""
    rows = np.array(values)

    def ask(_: int) -> list[float]:
        found = client.infer(model, {"x": rows}, timeout_ms=PATIENCE_MS)
        doubled: list[float] = found.outputs["y"].ravel().tolist()
        return doubled

    with Client(node.management, transport=transport) as client, ThreadPoolExecutor(8) as callers:
        return list(callers.map(ask, range(times)))


def pair(node: Node, model: str, offered: int) -> ShadowPair:
    """What was counted, once there is an end of every copy."""
    until = time.monotonic() + WAIT_S
    with node.client() as client:
        while True:
            found = client.shadow_report(model).pairs
            counted = sum(one.copied + sum(one.dropped.values()) for one in found)
            if counted >= offered or time.monotonic() > until:
                assert counted == offered, found
                return found[0]
            time.sleep(0.1)


def called(
    node: Node, model: str, transport: Transport, times: int, *values: float
) -> tuple[list[list[float]], ShadowPair]:
    """The answers to callers, so often or again and again until there was room for a copy, and what
    was counted of the copies.
    """
    answers: list[list[float]] = []
    for _ in range(ROUNDS):
        answers += call(node, model, transport, times, *values)
        found = pair(node, model, len(answers))
        if found.copied:
            break
    assert found.copied, found
    return answers, found


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_exactly_the_rows_that_differ_are_counted(
    staged: Node, model: str, cast: Callable[..., None], transport: Transport
) -> None:
    cast(shifted)
    rows = [1.0, 2.0, 3.0, 4.0, 100.0, 5.0, 200.0]
    answers, found = called(staged, model, transport, 40, *rows)

    assert answers == [[2 * row for row in rows]] * len(answers)
    assert found.answered > 0
    assert (found.failed, found.rescued, found.both_failed) == ({}, {}, 0)
    assert (found.rows, found.agreeing) == (7 * found.answered, 5 * found.answered)
    (output,) = found.outputs
    assert (output.differing, output.largest_difference) == (2 * found.answered, 10.0)
    assert {example.input for example in found.examples} <= {'{"x":100.0}', '{"x":200.0}'}
    assert {example.shadow for example in found.examples} <= {'{"y":210.0}', '{"y":410.0}'}
    of = {"model": model, "version": f"{SECOND}"}
    assert metric(staged, "augurium_shadow_rows_total", **of, answer="other") == output.differing
    # it has answered nobody
    assert metric(staged, "augurium_requests_total", **of) == 0
    assert metric(staged, "nv_inference_request_success", **of) == 0
    assert metric(staged, "nv_inference_count", **of) == 0
    assert metric(staged, "augurium_pending_requests", **of) == 0


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_callers_do_not_wait_for_a_slow_shadow(
    staged: Node, model: str, cast: Callable[..., None], transport: Transport
) -> None:
    cast(sleepy, most_in_flight=2, timeout_ms=8000)
    answers = call(staged, model, transport, 60, 100.0)
    assert answers == [[200.0]] * 60
    found = pair(staged, model, 60)

    assert sum(found.dropped.values()) >= 50
    assert found.answered <= 4
    assert found.shadow_latency is None or found.shadow_latency.p50_ms > PATIENCE_MS


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_shadow_that_always_fails_fails_nobody(
    staged: Node, model: str, cast: Callable[..., None], transport: Transport
) -> None:
    cast(broken)
    answers, found = called(staged, model, transport, 100, 100.0)

    assert answers == [[200.0]] * len(answers)
    assert (found.answered, found.rows) == (0, 0)
    assert set(found.failed) == {"model_failed"}
    assert metric(staged, "augurium_requests_total", model=model, outcome="ok") == len(answers)
    assert metric(staged, "augurium_requests_total", model=model, outcome="model_failed") == 0


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_shadow_that_ends_its_process_fails_nobody(
    staged: Node, model: str, cast: Callable[..., None], transport: Transport
) -> None:
    cast(deadly)
    answers, found = called(staged, model, transport, 100, 100.0)

    assert answers == [[200.0]] * len(answers)
    assert found.answered == 0
    assert sum(found.failed.values()) > 0
    assert metric(staged, "augurium_runner_exits_total", model=model, version=f"{FIRST}") == 0


def test_copies_go_first_when_there_is_too_much_to_do(
    staged: Node, model: str, cast: Callable[..., None]
) -> None:
    cast(shifted, most_in_flight=1)
    answers = call(staged, model, "rest", 400, 1.0)
    found = pair(staged, model, 400)

    assert answers == [[2.0]] * 400
    assert sum(found.dropped.values()) > 0
    assert metric(staged, "augurium_refused_total", model=model) == 0


def augurium(node: Node, *words: str) -> Any:
    """What a command says with `--json`."""
    done = subprocess.run(
        [AUGURIUM, *words, "--json"],
        env={**clean_environment(), "AUGURIUM_URL": node.management},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_shadow_is_cast_changed_and_taken_away(staged: Node, model: str) -> None:
    with staged.client() as client:
        client.register(shifted, name=model, data=TRAINING, allow_code=True)
        client.deploy(model, SECOND, default=False)
        client.set_traffic(model, {"split": [{"version": FIRST, "weight": 100}]})
    shadow = ("traffic", "shadow", model)
    to = ("--to", f"{SECOND}")
    cast = augurium(staged, *shadow, *to, "--percent", "100", "--absolute", "20")
    changed = augurium(staged, *shadow, *to, "--beside-default", "--examples", "3")
    _, found = called(staged, model, "grpc", 5, 1.0, 100.0)
    async with AsyncClient(staged.management) as client:
        report = await client.shadow_report(model)
    off = augurium(staged, *shadow, "--off")
    with staged.client() as client:
        policy = client.traffic(model).policy or {}
        call(staged, model, "rest", 5, 1.0)
        after = client.shadow_report(model)

    assert [one["percent"] for one in cast["shadows"]] == [100]
    (told,) = changed["shadows"]
    assert (told["baseline"], told["examples"]) == ("default", 3)
    assert (told["percent"], told["compare"]["absolute"]) == (100, 20)
    assert (found.compare.absolute, found.agreeing) == (20, found.rows)
    assert report.pairs == (found,)
    assert off["shadows"] == []
    assert (list(policy), after.pairs) == (["split"], report.pairs)


def test_what_was_counted_outlives_an_engine(
    staged: Node, model: str, cast: Callable[..., None]
) -> None:
    cast(shifted)
    answers, before = called(staged, model, "rest", 20, 1.0, 100.0)
    # counters are told every second
    time.sleep(1.5)
    for pid in staged.children().values():
        os.kill(pid, signal.SIGKILL)
    _until_ready(staged)
    call(staged, model, "rest", 20, 1.0, 100.0)
    after = pair(staged, model, len(answers) + 20)

    assert after.rows >= before.rows
    assert (after.rows, after.agreeing) == (2 * after.answered, after.answered)


def _until_ready(node: Node) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        with node.client() as client:
            if client.ready().ready and _answers(node):
                return
        time.sleep(0.1)
    raise AssertionError("the engines did not come back")


def _answers(node: Node) -> bool:
    try:
        return node.ask("/v2/health/ready").status == httpx.codes.OK
    except OSError:
        return False
