"""Rollouts on a running node, under load over REST and gRPC: a good version is promoted, a bad one
is rolled back, and a control that is killed at any moment changes neither.
"""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from augurium.client import Client
from augurium.core.errors import AuguriumError, Conflict
from tests.acceptance.test_lifecycle import in_the_end
from tests.support.models import table_model
from tests.support.node import AUGURIUM, Node, clean_environment, control_of

PLACES = 1000
# a version with so few places fails for all others
FEW = 10
QUICK = {
    "hold_s": 1.0,
    "least_requests": 100,
    "tick_s": 1.0,
    "warm_up_s": 1.0,
    "warm_up_requests": 20,
    "margin_pp": 20.0,
    # answers take less than a millisecond: what else the machine does is a large share of that
    "relative_percent": 1000.0,
    "deadline_s": 300.0,
}
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def canaries(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    return start(tmp_path_factory.mktemp("rollouts") / "home", "--engines", "2")


def register(client: Client, name: str, folder: Path, value: int, places: int) -> int:
    file = folder / f"{name}-{value}.onnx"
    file.write_bytes(table_model(value, 4 * places))
    return client.register(file, name=name).version


@pytest.fixture
def model(canaries: Node, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A model whose version 1 is good and the default; version 2 is good, 3 is bad."""
    name = request.node.originalname[5:60].replace("[", "-").replace("]", "")
    with canaries.client() as client:
        for value, places in ((1, PLACES), (2, PLACES), (3, FEW)):
            version = register(client, name, tmp_path, value, places)
            client.deploy(name, version, default=value == 1)
        yield name
        for rollout in client.rollouts(name, active=True):
            client.order_rollout(rollout.id, "abort")


class Load:
    """Callers over REST and gRPC, who remember who answered when."""

    def __init__(self, node: Node, model: str) -> None:
        self.answers: list[tuple[float, str]] = []
        self.failures: Counter[str] = Counter()
        # when the last request was sent that failed: only a bad version does that
        self.failed_at = 0.0
        self._node = node
        self._model = model
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._rest, args=(0,)),
            threading.Thread(target=self._rest, args=(1,)),
            threading.Thread(target=self._grpc),
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def last(self, variant: str) -> float:
        """When the last request that this variant answered was sent."""
        return max((at for at, found in self.answers if found == variant), default=0.0)

    def _rest(self, caller: int) -> None:
        connection = http.client.HTTPConnection(self._node.rest, timeout=30)
        for number in self._numbers():
            place = {"name": "place", "shape": [1, 1], "datatype": "INT64"}
            body = json.dumps({"inputs": [place | {"data": [number % PLACES]}]})
            headers = {"augurium-unit": f"rest-{caller}-{number}"}
            sent = time.time()
            connection.request("POST", f"/v2/models/{self._model}/infer", body, headers)
            answer = connection.getresponse()
            answer.read()
            self._count(sent, answer.getheader("augurium-variant") or "", answer.status)
        connection.close()

    def _grpc(self) -> None:
        # it needs no answer of control, which may be killed
        node = self._node
        with Client(node.management, transport="grpc", grpc_url=node.grpc) as client:
            for number in self._numbers():
                rows, sent = np.array([[number % PLACES]], np.int64), time.time()
                try:
                    reply = client.infer(self._model, {"place": rows}, unit=f"grpc-{number}")
                    self._count(sent, reply.variant or "", 200)
                except AuguriumError as error:
                    self._count_failure(sent, str(error.kind))

    def _numbers(self) -> Iterator[int]:
        number = 0
        while not self._ended.is_set():
            yield number
            number += 7
            time.sleep(0.002)

    def _count(self, sent: float, variant: str, status: int) -> None:
        if status == 200:
            self.answers.append((sent, variant))
        else:
            self._count_failure(sent, str(status))

    def _count_failure(self, sent: float, kind: str) -> None:
        self.failures[kind] += 1
        self.failed_at = max(self.failed_at, sent)


def ended(client: Client, rollout: str) -> Any:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            found = client.rollout(rollout)
        except AuguriumError:
            # control may just be killed
            time.sleep(0.1)
            continue
        if found.ended_at is not None:
            return found
        time.sleep(0.1)
    return pytest.fail(f"the rollout did not end: {client.rollout(rollout)}")


def test_a_good_version_is_promoted_under_load(canaries: Node, model: str) -> None:
    with canaries.client() as client, Load(canaries, model) as load:
        started = client.start_rollout(model, {"version": 2, "steps": [10, 50, 100]} | QUICK)
        found = ended(client, started.id)
        kinds = [event.kind for event in client.rollout_events(started.id)]

        assert found.status == "promoted", found.reason
        assert client.model(model).default_version == 2
        assert client.traffic(model).policy is None
    assert kinds == [*("started", "warmup", "analyzing", "step", "step", "decided", "promoted")]
    assert not load.failures
    assert {variant for _, variant in load.answers} >= {"v1", "v2"}


def test_a_bad_version_is_rolled_back_and_answers_nobody_any_more(
    canaries: Node, model: str
) -> None:
    with canaries.client() as client, Load(canaries, model) as load:
        started = client.start_rollout(model, {"version": 3, "steps": [20, 100]} | QUICK)
        found, over = ended(client, started.id), time.time()
        # callers go on
        assert in_the_end(lambda: any(at > over + 1.0 for at, _ in load.answers), True)

        assert found.status == "rolled_back"
        assert found.verdict["cause"] in ("errors", "error_limit", "error_rate")
        assert client.model(model).default_version == 1
        decided = next(
            event for event in client.rollout_events(started.id) if event.kind == "decided"
        )
    assert load.failures
    last = max(load.failed_at, load.last("v3"))
    # and it was soon, for a machine that does much else
    assert last <= min(over, decided.at.timestamp() + 10.0)


def test_a_control_that_is_killed_at_every_step_still_brings_it_to_its_end(
    canaries: Node, model: str
) -> None:
    with canaries.client() as client, Load(canaries, model) as load:
        started = client.start_rollout(model, {"version": 2, "steps": [20, 60, 100]} | QUICK)
        seen: dict[str, float] = {}
        kills = 0
        until = time.monotonic() + 300.0
        while time.monotonic() < until:
            try:
                found = client.rollout(started.id)
                if found.ended_at is not None:
                    break
                if found.weights != seen:
                    seen = found.weights
                    os.kill(control_of(canaries).pid, signal.SIGKILL)
                    kills += 1
            except (AuguriumError, AssertionError, psutil.Error):
                pass
            time.sleep(0.02)
        assert found.status == "promoted", found.reason
        assert client.model(model).default_version == 2
    assert kills >= 3
    assert not load.failures


def test_a_second_start_is_refused_with_who_and_when(canaries: Node, model: str) -> None:
    with canaries.client() as client:
        outcomes: list[object] = []

        def begin() -> None:
            try:
                outcomes.append(client.start_rollout(model, {"version": 2} | QUICK).id)
            except Conflict as error:
                outcomes.append(str(error))

        callers = [threading.Thread(target=begin) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        (active,) = client.rollouts(model, active=True)

    assert outcomes.count(active.id) == 1
    assert sum("started by local" in str(one) for one in outcomes) == 3


def test_an_experiment_counts_every_unit_and_tells_a_peek(canaries: Node, model: str) -> None:
    design = {
        "version": 2,
        "hypothesis": "both are the same",
        "variants": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50}],
        "metrics": [{"name": "score", "kind": "continuous", "source": "score"}],
    }
    with canaries.client() as client, Load(canaries, model) as load:
        started = client.start_rollout(model, design, "experiment")
        until = time.monotonic() + PATIENCE_S
        peeked = client.rollout(started.id, peek=True).verdict
        while time.monotonic() < until and peeked["units"] < 1000:
            time.sleep(0.5)
            peeked = client.rollout(started.id, peek=True).verdict
        asked = Counter(variant for _, variant in load.answers)
        aborted = client.order_rollout(started.id, "abort", "seen")

    counted = peeked["sample_ratio"]["units"]
    assert peeked["outcome"] == "running"
    assert not peeked["sample_ratio"]["mismatch"]
    assert all(100 < counted[label] <= asked[label] for label in ("v1", "v2"))
    values = {one["variant"]: one["value"] for one in peeked["metrics"][0]["variants"]}
    assert values == pytest.approx({"v1": 1.0, "v2": 2.0})
    assert (aborted.status, aborted.weights) == ("rolled_back", {})


def augurium(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"AUGURIUM_URL": node.management}
    return subprocess.run(
        [AUGURIUM, *words], capture_output=True, text=True, timeout=180, env=environment
    )


def test_the_command_line_starts_watches_and_draws_a_canary(
    canaries: Node, model: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("\n".join(f"{key} = {value}" for key, value in QUICK.items()))
    with Load(canaries, model):
        started = augurium(
            canaries, "rollout", "start", f"{model}@3", "--plan", str(plan), "--steps", "20,100"
        )
        watched = augurium(canaries, "rollout", "watch", model)
        drawn = augurium(canaries, "rollout", "status", model, "--plot", str(tmp_path / "out.svg"))
    history = augurium(canaries, "rollout", "history", model)
    events = augurium(canaries, "events", "--json")

    assert started.returncode == 0, started.stderr
    assert watched.returncode == 1
    assert "rolled_back" in watched.stdout
    assert drawn.returncode == 0, drawn.stderr
    assert "<svg" in (tmp_path / "out.svg").read_text()
    assert "rolled_back" in history.stdout
    assert any(json.loads(line)["model"] == model for line in events.stdout.splitlines())
