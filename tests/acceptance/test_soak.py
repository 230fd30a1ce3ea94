"""A while of traffic on more models than fit into memory, while versions change, models are pinned
and an engine is killed: no answer is wrong, none is missing that was not inside the killed engine,
and memory does not grow. `AUGURIUM_SOAK_S` says how long; `make soak` takes an hour.
"""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import onnx
import pytest

from tests.support.models import table_model
from tests.support.node import Node

SOAK_S = float(os.environ.get("AUGURIUM_SOAK_S", "20"))
MODELS = 12
TABLE_BYTES = 1_000_000
PLACES = TABLE_BYTES // 4
# both engines together: about three in each, as they are measured
BUDGET = 12 * TABLE_BYTES
CALLERS = 6
ENGINES = 2
# engines start beside each other, and a busy machine takes its time
BACK_S = 30.0
MIB = 2**20


def answer_of(model: int, version: int) -> float:
    """What a version answers to every row."""
    return model + 1000.0 * version


class Caller:
    """Asks for models by a law of Zipf, one request after another, and compares every answer."""

    def __init__(self, node: Node, seed: int) -> None:
        self._address = node.rest
        self._chance = random.Random(seed)
        self.answered = 0
        self.wrong: list[str] = []
        self.refused: list[str] = []
        self.lost = 0

    def run(self, ended: threading.Event) -> None:
        connection = self._connect()
        while not ended.is_set():
            try:
                self._ask(connection)
            except (OSError, http.client.HTTPException):
                self.lost += 1
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=30)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        model = min(MODELS - 1, int((MODELS + 1) ** self._chance.random()) - 1)
        place = self._chance.randrange(PLACES)
        tensor = {"name": "place", "shape": [1, 1], "datatype": "INT64", "data": [place]}
        body = json.dumps({"inputs": [tensor]})
        headers = {"content-type": "application/json"}
        connection.request("POST", f"/v2/models/soak{model}/infer", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != http.client.OK:
            self.refused.append(f"{answer.status} {content}")
            return
        self.answered += 1
        found = content["outputs"][0]["data"][0]
        if found != answer_of(model, int(content["model_version"])):
            self.wrong.append(f"model {model}: {content}")


class Traffic:
    """Callers at work, and what they saw; a context manager."""

    def __init__(self, node: Node) -> None:
        self.callers = [Caller(node, seed) for seed in range(CALLERS)]
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=caller.run, args=(self._ended,)) for caller in self.callers
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def lost(self) -> int:
        return sum(caller.lost for caller in self.callers)


@pytest.fixture(scope="module")
def crowd(start: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder: Path = tmp_path_factory.mktemp("soak")
    config = folder / "augurium.toml"
    config.write_text(f"[residency]\nmemory_bytes = {BUDGET}\n")
    node = start(folder / "home", "--engines", str(ENGINES), "--config", str(config))
    for model in range(MODELS):
        deploy(node, model, 1)
    yield node
    node.stop()


def deploy(node: Node, model: int, version: int) -> None:
    with node.client() as client:
        content = table_model(int(answer_of(model, version)), TABLE_BYTES)
        registered = client.register(onnx.load_from_string(content), name=f"soak{model}")
        assert registered.version == version
        client.deploy(f"soak{model}", version)


def kill_an_engine(node: Node) -> float:
    """Kills one without warning; how many seconds until another has taken its place."""
    with node.client() as client:
        pids = {one.engine: one.pid for one in client.server().engines}
        killed = sorted(pids)[0]
        os.kill(pids[killed], signal.SIGKILL)
        began = time.monotonic()
        while time.monotonic() < began + BACK_S:
            (now,) = (one for one in client.server().engines if one.engine == killed)
            if now.connected and now.pid != pids[killed] and client.ready().ready:
                break
            time.sleep(0.02)
        return time.monotonic() - began


def memory_mib(node: Node) -> float:
    with node.client() as client:
        return sum(engine.memory_bytes for engine in client.activity().engines) / MIB


def test_a_while_of_traffic_and_trouble(crowd: Node) -> None:
    with Traffic(crowd) as traffic:
        version = 1
        began = time.monotonic()
        while time.monotonic() < began + SOAK_S / 2:
            version += 1
            with crowd.client() as client:
                client.set_serving("soak7", {"residency": {"pinned": version % 2 == 0}})
            deploy(crowd, 0, version)
            lost = traffic.lost
            assert kill_an_engine(crowd) < BACK_S
            # with the request in it or before the next, and perhaps again while the kernel was
            # closing what the engine had listened on
            assert traffic.lost - lost <= 2 * CALLERS
            time.sleep(min(60.0, SOAK_S / 20))
        memory = []
        began = time.monotonic()
        while time.monotonic() < began + SOAK_S / 2:
            time.sleep(SOAK_S / 40)
            memory.append(memory_mib(crowd))

    assert [wrong for caller in traffic.callers for wrong in caller.wrong] == []
    assert [refused for caller in traffic.callers for refused in caller.refused] == []
    assert all(caller.answered > SOAK_S for caller in traffic.callers)
    half = len(memory) // 2
    assert median(memory[half:]) < median(memory[:half]) + 16, memory
