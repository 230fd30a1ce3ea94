"""A node whose engines follow the load: what callers see while they come, go and die."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import psutil
import pytest
import tritonclient.grpc as triton

from augurium.client.results import Scaling
from augurium.core.errors import AuguriumError
from tests.acceptance.test_lifecycle import in_the_end
from tests.support.models import simple_model
from tests.support.node import AUGURIUM, Node, clean_environment, control_of

ONES = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
BODY = json.dumps({"inputs": [{"name": "INPUT0", **ONES}, {"name": "INPUT1", **ONES}]})
SETTINGS = """
[scaling]
max_engines = 2
target_cpu_utilization = 0.0
target_requests_per_s = 25.0
interval_s = 0.5
up_window_s = 0.0
down_window_s = 2.0
down_period_s = 1.0
"""
QUIET, BUSY = 8.0, 150.0
PATIENCE_S = 90.0


class Traffic:
    """Callers of the node's REST port, `rate` requests per second together, until closed.

    Half of them keep their connections, the others make one per request.
    """

    def __init__(self, node: Node, callers: int = 4) -> None:
        self.rate = QUIET
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.wrong = 0
        self._host = node.rest
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call, args=(callers, number % 2 == 0))
            for number in range(callers)
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _call(self, callers: int, keeps: bool) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=10)
        while not self._end.wait(callers / self.rate):
            try:
                connection.request(
                    "POST",
                    "/v2/models/simple/infer",
                    BODY,
                    {"content-type": "application/json"},
                )
                answer = connection.getresponse()
                content = answer.read()
                with self._lock:
                    self.answers[answer.status] += 1
                    self.wrong += answer.status == 200 and b'"data":[2,2,2' not in content
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.failures.append(repr(error))
            if not keeps:
                connection.close()
        connection.close()


@pytest.fixture(scope="module")
def scaled(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("scaled")
    (folder / "augurium.toml").write_text(SETTINGS)
    node = start(folder / "home", "--config", str(folder / "augurium.toml"))
    with node.client() as client:
        client.register(onnx.load_from_string(simple_model()), name="simple")
        client.deploy("simple", 1)
    yield node
    node.stop()


def until(node: Node, true: Callable[[Scaling], bool]) -> Scaling:
    """The scaling of the node once something is true of it."""
    end = time.monotonic() + PATIENCE_S
    found = None
    while time.monotonic() < end:
        with contextlib.suppress(AuguriumError), node.client() as client:
            found = client.scaling()
            if true(found):
                return found
        time.sleep(0.05)
    pytest.fail(f"it did not come to pass in time: {found}")


def serving(number: int) -> Callable[[Scaling], bool]:
    return lambda found: list(found.engines.values()) == ["serving"] * number


def answered(node: Node) -> int:
    """The requests that were answered, as the node counts them over all engines there were."""
    management = node.management.removeprefix("http://")
    connection = http.client.HTTPConnection(management, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(
        r'^augurium_requests_total\{model="simple",.*outcome="ok"\} (\d+)', page, re.M
    )
    return sum(map(int, found))


def ready(node: Node) -> bool:
    with node.client() as client:
        return client.ready().ready


def test_engines_follow_the_traffic_and_cost_no_request(scaled: Node) -> None:
    before = answered(scaled)
    not_ready = 0
    with Traffic(scaled) as traffic:
        until(scaled, serving(1))
        traffic.rate = BUSY
        grown = until(scaled, serving(2))
        traffic.rate = QUIET
        while not serving(1)(shrunk := until(scaled, lambda found: True)):
            not_ready += not ready(scaled)
        time.sleep(0.5)

    assert traffic.failures == []
    assert set(traffic.answers) == {200}
    assert traffic.wrong == 0
    # the node as a whole was ready all the time, and counts those that have left
    assert not_ready == 0
    right = before + traffic.answers[200]
    assert in_the_end(lambda: answered(scaled), right) == right
    up = next(entry for entry in grown.decisions if entry.done)
    down = next(entry for entry in shrunk.decisions if entry.done)
    assert up.done == "engine-1 starts"
    assert "request rate per replica" in up.decision.reason
    assert up.decision.numbers["request_rate"] > 25
    assert down.done == "engine-1 drains"
    assert down.decision.wanted == 1
    with scaled.client() as client:
        assert [engine.engine for engine in client.server().engines] == ["engine-0"]


def test_open_connections_are_shared_with_an_engine_that_joined(scaled: Node) -> None:
    """gRPC callers keep one connection for ever; without being asked, none would ever move."""
    until(scaled, serving(1))
    inputs = [triton.InferInput(f"INPUT{number}", [1, 16], "INT32") for number in range(2)]
    end, failures, calls = threading.Event(), [], Counter[str]()

    def call() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with triton.InferenceServerClient(scaled.grpc, channel_args=options) as client:
            while not end.wait(0.02):
                try:
                    client.infer("simple", inputs)
                    calls["ok"] += 1
                except (grpc.RpcError, triton.InferenceServerException) as error:
                    failures.append(str(error))

    for one in inputs:
        one.set_data_from_numpy(np.ones((1, 16), np.int32))
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        until(scaled, serving(2))
        # connections come to both: each engine's own share of what is under way says so
        joined = scaled.children()["engine-1"]
        until(scaled, lambda _: _established(scaled.grpc, joined) > 0)
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert calls["ok"] > 100
    until(scaled, serving(1))


def _established(address: str, process_id: int) -> int:
    """How many connections a process has accepted on a port."""
    port = int(address.rpartition(":")[2])
    return sum(
        one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
        for one in psutil.Process(process_id).net_connections("tcp")
    )


def test_an_engine_that_is_killed_while_it_joins_or_serves_comes_back(scaled: Node) -> None:
    until(scaled, serving(1))
    with Traffic(scaled) as traffic:
        traffic.rate = BUSY
        until(scaled, lambda found: found.engines.get("engine-1") == "starting")
        until(scaled, lambda _: "engine-1" in scaled.children())
        os.kill(scaled.children()["engine-1"], signal.SIGKILL)
        until(scaled, serving(2))
        first = scaled.children()["engine-0"]
        os.kill(first, signal.SIGKILL)
        until(scaled, lambda _: scaled.children().get("engine-0") not in (None, first))
        until(scaled, lambda found: serving(2)(found) and ready(scaled))
        traffic.rate = QUIET
        until(scaled, serving(1))

    # each caller has one request under way, and lost at most that one, with each engine
    assert len(traffic.failures) <= 8
    assert set(traffic.answers) == {200}
    assert traffic.wrong == 0


def test_without_control_the_number_stays_and_the_log_comes_back(scaled: Node) -> None:
    with Traffic(scaled) as traffic:
        traffic.rate = BUSY
        before = until(scaled, serving(2))
        engines = scaled.children()
        control = control_of(scaled)
        control.suspend()
        # long enough for the down window to pass twice, with nothing to answer
        traffic.rate = QUIET
        time.sleep(5.0)
        present = {child.pid for child in psutil.Process(scaled.process.pid).children()}
        assert set(engines.values()) <= present
        control.kill()
        after = until(scaled, lambda found: bool(found.decisions))
        known = {entry.number for entry in after.decisions}
        assert {entry.number for entry in before.decisions} <= known
        until(scaled, serving(1))

    assert traffic.failures == []
    assert set(traffic.answers) == {200}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("min_engines = 3\nmax_engines = 2", "expected 1 <= min_engines <= max_engines"),
        ("min_engines = 3", "set that too"),
        ("max_engines = 1000000", "scaling.max_engines = 1000000 is not valid"),
        ('max_engines = 2\nschedules = ["weekdays 8-18 min 2"]', "expected DAYS HH:MM-HH:MM"),
        ("max_engines = 2\ntarget_cpu_utilization = -1", "target_cpu_utilization = -1 is not"),
        ("max_engines = 2\n[node]\nengines = 4", "scaling allows 1 to 2"),
    ],
    ids=["bounds", "off", "many", "schedule", "target", "engines"],
)
def test_scaling_that_cannot_be_meant_is_refused_at_the_start(
    settings: str, said: str, tmp_path: Path
) -> None:
    config = tmp_path / "augurium.toml"
    config.write_text(f"[scaling]\n{settings}\n")
    command = [AUGURIUM, "serve", "--home", str(tmp_path / "home"), "--config", str(config)]
    command += ["--port", "0", "--grpc-port", "0", "--control-port", "0"]

    ended: Any = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
    )

    assert ended.returncode in (1, 2)
    assert said in re.sub(r"[│\s]+", " ", ended.stderr)
