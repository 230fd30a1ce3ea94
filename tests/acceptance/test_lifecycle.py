"""A node that is stopped, killed in parts, and given bad files: what callers see meanwhile."""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import onnx
import psutil
import pytest

from augurium.core.errors import AuguriumError
from tests.support.models import picky_model, simple_model, slow_model
from tests.support.node import AUGURIUM, START_TIMEOUT_S, Node, clean_environment, control_of
from tests.support.processes import children_that_run

T = TypeVar("T")
ONES = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
SIMPLE = {"inputs": [{"name": "INPUT0", **ONES}, {"name": "INPUT1", **ONES}]}
ROWS = 256
SLOW = {"inputs": [{"name": "x", "shape": [ROWS, 1, 1], "datatype": "FP32", "data": [1] * ROWS}]}
# so many take long enough together to be seen at work
SLOW_CALLS = 12
PATIENT = {"overload": {"target_queue_delay_ms": 0}}


@pytest.fixture
def own(start: Callable[..., Node], tmp_path: Path) -> Node:
    """A node of the test's own, with `simple`."""
    node = start(tmp_path / "home", "--engines", "1")
    add(node, "simple", simple_model())
    return node


def add(node: Node, name: str, content: bytes) -> None:
    with node.client() as client:
        client.register(onnx.load_from_string(content), name=name)
        client.deploy(name, 1)


def wait_for(what: Callable[[], Any], seconds: float = 90) -> None:
    """Returns when `what` is true; errors of a part that is down count as not yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return
        except (OSError, http.client.HTTPException, AuguriumError):
            pass
        time.sleep(0.05)
    pytest.fail("it did not come to pass in time")


def in_the_end(read: Callable[[], T], expected: T, seconds: float = 30) -> T:
    """What is read as soon as that is as expected, or after a while: a busy engine is late with
    its numbers.
    """
    end = time.monotonic() + seconds
    while (found := read()) != expected and time.monotonic() < end:
        time.sleep(0.1)
    return found


def alive(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def descendants(node: Node) -> list[int]:
    return [child.pid for child in psutil.Process(node.process.pid).children(recursive=True)]


def test_a_stop_finishes_what_was_accepted_and_leaves_nothing_behind(own: Node) -> None:
    add(own, "slow", slow_model())
    with own.client() as client:
        client.set_serving("slow", PATIENT)
    processes = descendants(own)
    answers: list[int] = []
    callers = [
        threading.Thread(
            target=lambda: answers.append(own.ask("/v2/models/slow/infer", SLOW).status)
        )
        for _ in range(SLOW_CALLS)
    ]
    for caller in callers:
        caller.start()
    # all of them are accepted, most not answered
    wait_for(lambda: len(answers) + pending(own) >= SLOW_CALLS)
    assert own.stop() == 0
    for caller in callers:
        caller.join()
    assert answers == [200] * SLOW_CALLS
    assert not [process for process in processes if alive(process)]


def test_a_killed_supervisor_leaves_no_process_behind(own: Node) -> None:
    processes = descendants(own)
    assert len(processes) >= 2
    own.process.kill()
    wait_for(lambda: not any(alive(process) for process in processes))


def replace_engine(node: Node, slot: str) -> None:
    """Kills an engine, and returns when control knows the one that takes its place."""
    before = node.children()[slot]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: node.children()[slot] != before)


@contextlib.contextmanager
def asked(node: Node, callers: int) -> Iterator[set[int]]:
    """The statuses that callers get who ask `simple` all the while, each on a new connection."""
    statuses: set[int] = set()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            # those in an engine that is killed are lost with it
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.add(node.ask("/v2/models/simple/infer", SIMPLE).status)

    asking = [threading.Thread(target=ask) for _ in range(callers)]
    for caller in asking:
        caller.start()
    try:
        yield statuses
    finally:
        ended.set()
        for caller in asking:
            caller.join()


def test_a_killed_engine_comes_back_and_knows_its_models_from_the_first_moment(own: Node) -> None:
    with asked(own, 4) as statuses, own.client() as client:
        for _ in range(2):
            replace_engine(own, "engine-0")
            wait_for(lambda: own.ask("/v2/models/simple/infer", SIMPLE).status == 200)
            wait_for(lambda: client.ready().ready)
    # not one 404
    assert statuses <= {200, 503}


def test_an_engine_that_comes_back_takes_no_request_before_it_can_answer(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    node = start(tmp_path / "home", "--engines", "2")
    add(node, "simple", simple_model())
    with asked(node, 1) as statuses, node.client() as client:
        replace_engine(node, "engine-1")
        wait_for(lambda: client.ready().ready)
        time.sleep(0.5)
    assert statuses == {200}


def test_an_engine_that_knows_of_no_models_says_so_until_control_has_told_it(
    own: Node, tmp_path: Path
) -> None:
    control = control_of(own)
    control.suspend()
    try:
        (tmp_path / "home" / "state" / "engine-0.snapshot").write_bytes(b"of another release")
        (engine,) = children_that_run("augurium.node.engine", own.process.pid)
        engine.kill()
        wait_for(lambda: own.ask("/v2/health/live").status == 200)
        reply = own.ask("/v2/models/simple/infer", SIMPLE)
        assert (reply.status, own.ask("/v2/health/ready").status) == (503, 503)
        assert "does not know yet which models there are" in reply.json["error"]
        assert reply.headers["retry-after"] == "1"
    finally:
        control.resume()
    wait_for(lambda: own.ask("/v2/health/ready").status == 200)
    assert own.ask("/v2/models/simple/infer", SIMPLE).status == 200


def test_serving_goes_on_without_control_and_after_a_restart_without_it(own: Node) -> None:
    control = control_of(own).pid
    engine = own.children()["engine-0"]
    os.kill(control, signal.SIGSTOP)  # there, but not answering; nobody restarts it
    try:
        assert own.ask("/v2/models/simple/infer", SIMPLE).status == 200
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: own.ask("/v2/models/simple/infer", SIMPLE).status == 200)
    finally:
        os.kill(control, signal.SIGCONT)
    with own.client() as client:
        wait_for(lambda: client.ready().ready)


def test_a_node_serves_what_it_served_before(
    own: Node, start: Callable[..., Node], tmp_path: Path
) -> None:
    own.stop()
    again = start(tmp_path / "home", "--engines", "1")
    assert again.ask("/v2/models/simple/infer", SIMPLE).status == 200


def test_a_damaged_artifact_is_refused_and_the_old_version_serves(
    own: Node, tmp_path: Path
) -> None:
    with own.client() as client:
        second = client.register(onnx.load_from_string(picky_model()), name="simple")
        (file,) = (tmp_path / "home" / "artifacts").rglob(f"*{second.servable.digest}*")
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        with pytest.raises(AuguriumError, match="damaged"):
            client.deploy("simple", second.version)
        assert client.model("simple").default_version == 1
        wait_for(lambda: client.ready().ready)
    assert own.ask("/v2/models/simple/infer", SIMPLE).status == 200


def test_a_new_version_takes_over_without_a_failed_request(own: Node) -> None:
    stop = threading.Event()
    statuses: set[int] = set()
    versions: set[str] = set()

    def caller() -> None:
        while not stop.is_set():
            answer = own.ask("/v2/models/simple/infer", SIMPLE)
            statuses.add(answer.status)
            versions.add(answer.headers["augurium-version"])

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    with own.client() as client:
        second = client.register(onnx.load_from_string(simple_model()), name="simple")
        client.deploy("simple", second.version)
        client.undeploy("simple", 1)
    wait_for(lambda: "2" in versions)
    stop.set()
    for thread in callers:
        thread.join()
    assert (statuses, versions) == ({200}, {"1", "2"})


def test_callers_that_leave_are_cancelled_and_counted(own: Node) -> None:
    add(own, "slow", slow_model())
    connections = []
    for _ in range(SLOW_CALLS):
        connection = http.client.HTTPConnection(own.rest)
        connection.request("POST", "/v2/models/slow/infer", json.dumps(SLOW))
        connections.append(connection)
    wait_for(lambda: pending(own) > 0)
    for connection in connections:
        connection.close()
    wait_for(lambda: 'outcome="cancelled"' in metrics(own))
    assert own.ask("/v2/models/simple/infer", SIMPLE).status == 200


def test_counters_equal_what_callers_saw(own: Node) -> None:
    for _ in range(7):
        own.ask("/v2/models/simple/infer", SIMPLE)
    for _ in range(3):
        own.ask("/v2/models/simple/infer", {"inputs": []})
    own.ask("/v2/models/nobody/infer", SIMPLE)
    own.ask("/v2/models/simple/infer", b"{")
    label = '{model="simple",version="1"'
    expected = {
        f'augurium_requests_total{label},outcome="ok"}} 7',
        f'augurium_requests_total{label},outcome="invalid_argument"}} 4',
        'augurium_unrouted_requests_total{outcome="not_found"} 1',
        f"nv_inference_request_success{label}}} 7",
        f"augurium_rows_total{label}}} 7",
    }
    assert in_the_end(lambda: expected & set(metrics(own).splitlines()), expected) == expected


def test_health_is_answered_and_watched_over_grpc(own: Node) -> None:
    with grpc.insecure_channel(own.grpc) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            check(b"\x0a\x01x", timeout=10)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=20)
        assert next(watch) == b"\x08\x01"
        watch.cancel()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "not a loopback address"),
        (["--port", "99999"], "node.port"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_start_that_cannot_succeed_says_why(tmp_path: Path, flags: list[str], words: str) -> None:
    command = [AUGURIUM, "serve", "--home", str(tmp_path / "home"), *flags]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=clean_environment(), check=False
    )
    assert found.returncode not in (0, None)
    assert words in found.stderr.replace("\n", " ")


def test_a_taken_port_and_a_taken_home_are_told(own: Node, tmp_path: Path) -> None:
    port = own.rest.rpartition(":")[2]
    for flags, words in (
        (["--home", str(tmp_path / "other"), "--port", port], f"port {port}"),
        (["--home", str(tmp_path / "home"), "--port", "0"], "another node runs in"),
    ):
        command = [AUGURIUM, "serve", "--grpc-port", "0", "--control-port", "0", *flags]
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=30,
            env=clean_environment(),
            check=False,
        )
        assert found.returncode == 1
        assert words in found.stderr


def metrics(node: Node) -> str:
    connection = http.client.HTTPConnection(node.management.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def pending(node: Node) -> float:
    lines = [
        line for line in metrics(node).splitlines() if line.startswith("augurium_pending_requests{")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


ON_A_TERMINAL = """
import os, sys, termios
terminal = os.open(sys.argv[1], os.O_RDWR)
modes = termios.tcgetattr(terminal)
modes[3] |= termios.TOSTOP
termios.tcsetattr(terminal, termios.TCSANOW, modes)
for descriptor in (0, 1, 2):
    os.dup2(terminal, descriptor)
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_on_a_terminal_that_stops_background_output_a_node_starts_and_ends_with_ctrl_c(
    tmp_path: Path,
) -> None:
    leader, terminal = os.openpty()
    command = [AUGURIUM, "serve", "--home", str(tmp_path / "home"), "--engines", "1"]
    command += ["--port", "0", "--grpc-port", "0", "--control-port", "0"]
    # the first terminal that a session opens is its own
    serving = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, os.ttyname(terminal), *command],
        start_new_session=True,
        env=clean_environment(),
    )
    try:
        said, deadline = b"", time.monotonic() + START_TIMEOUT_S
        while b"is ready" not in said:
            assert time.monotonic() < deadline, said
            assert select.select([leader], [], [], START_TIMEOUT_S)[0], said
            said += os.read(leader, 4096)
        os.write(leader, b"\x03")
        assert serving.wait(60) == 0
    finally:
        serving.kill()
        serving.wait()
        os.close(terminal)
        os.close(leader)
