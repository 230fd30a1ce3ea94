"""A thousand models on one node: `python -m benchmarks.crowd` from the root of the checkout.

    python -m benchmarks.crowd [--models 1000] [--budget-gb 2] [--zipf-s 60] [--rounds 3]
                               [--engines 2] [--no-neighbours]

Models of 1 to 10 MB, all different, twice as many bytes as may be in memory. Measures the time to
ready, without a past and after a restart; the first hit of every cold model; the rate of a warm
model among all the others against that of one alone on its node, in alternating rounds; and a while
of requests by a law of Zipf, with the memory of the engines and every answer of a second caller
checked. Needs wrk.
"""

import argparse
import http.client
import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles

import msgspec
import numpy as np

from augurium.client import Client
from benchmarks.augurium_node import AuguriumNode
from benchmarks.crowd_models import Crowd, expected, name_of, settle
from benchmarks.load import Figures
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

CONNECTIONS = 16
ROUND_S = 4.0
WARM_UP_S = 1.0
QUIET_S = 2.0
SAMPLES = 20
SCRIPT = "crowd.lua"
TIMEOUT_S = 30
BODY = json.dumps(
    {"inputs": [{"name": "things", "shape": [1, 4], "datatype": "INT64", "data": [1, 2, 3, 4]}]}
)
MIB = 2**20


class FirstHits(msgspec.Struct, frozen=True):
    """Milliseconds of the first request to each model; `wrong` counts answers of another model."""

    models: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    wrong: int


class Warm(msgspec.Struct, frozen=True):
    """Requests/s to one model in memory, among the others and alone; medians over the rounds."""

    among_all: float
    alone: float
    ratio: float


class Zipf(msgspec.Struct, frozen=True):
    """A while of traffic on all models. `growth_mib_per_hour` is the slope of a line through the
    memory of the engines in the second half; `checked` answers were compared, `wrong` differed.
    """

    seconds: float
    rate: float
    failed: int
    p50_ms: float
    p99_ms: float
    checked: int
    wrong: int
    memory_mib: list[float]
    growth_mib_per_hour: float


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    chosen = _parsed()
    return print_and_save("crowd", lambda: _measured(chosen))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.crowd", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--budget-gb", type=float, default=2.0)
    parser.add_argument("--zipf-s", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--no-neighbours", action="store_true")
    return parser.parse_args()


def _measured(chosen: argparse.Namespace) -> dict[str, object]:
    folder = BENCH / "crowd"
    folder.mkdir(parents=True, exist_ok=True)
    crowd = settle(folder / "home", chosen.models)
    settle(folder / "alone", 1)
    config = folder / "augurium.toml"
    config.write_text(
        f"[residency]\nmemory_bytes = {round(chosen.budget_gb * 1e9)}\n"
        f"neighbours = {str(not chosen.no_neighbours).lower()}\n"
    )
    shutil.rmtree(folder / "home" / "state", ignore_errors=True)
    with _node(folder / "home", config, chosen.engines) as node:
        without_past_s = node.ready_s
        first_hits = _first_hits(node, crowd)
    with (
        _node(folder / "home", config, chosen.engines) as node,
        _node(folder / "alone", config, chosen.engines) as alone,
    ):
        _wait_until_quiet(node)
        warm = _warm(node, alone, chosen.rounds)
        zipf = _zipf(node, crowd, chosen.zipf_s)
        after_restart_s = node.ready_s
    return {
        "models": crowd.models,
        "model_bytes": crowd.bytes,
        "engines": chosen.engines,
        "neighbours": not chosen.no_neighbours,
        "budget_bytes": round(chosen.budget_gb * 1e9),
        "ready_without_past_s": round(without_past_s, 2),
        "ready_after_restart_s": round(after_restart_s, 2),
        "first_hits": first_hits,
        "warm": warm,
        "zipf": zipf,
    }


def _node(home: Path, config: Path, engines: int) -> AuguriumNode:
    return AuguriumNode(home, free_ports(), engines, "--config", str(config))


@contextmanager
def _connection(node: AuguriumNode) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", node.ports.rest, timeout=60)) as http_:
        yield http_


def _right(connection: http.client.HTTPConnection, number: int) -> bool:
    """Asks one model; whether the answer is its own."""
    headers = {"content-type": "application/json"}
    connection.request("POST", f"/v2/models/{name_of(number)}/infer", BODY, headers)
    answer = json.loads(connection.getresponse().read())
    found: float = answer["outputs"][0]["data"][0]
    return abs(found - expected(number)) < 1e-6


def _first_hits(node: AuguriumNode, crowd: Crowd) -> FirstHits:
    order = list(range(crowd.models))
    random.Random(1).shuffle(order)
    wrong, milliseconds = 0, []
    with _connection(node) as connection:
        for number in order:
            began = time.perf_counter()
            wrong += not _right(connection, number)
            milliseconds.append(1e3 * (time.perf_counter() - began))
    return FirstHits(
        crowd.models,
        round(median(milliseconds), 1),
        round(quantiles(milliseconds, n=100)[-1], 1),
        round(max(milliseconds), 1),
        wrong,
    )


def _wait_until_quiet(node: AuguriumNode) -> None:
    """Returns when what was in memory before the restart is there again."""
    with Client(node.control_url) as client:
        loads, before = _loads(client), -1
        while loads != before:
            time.sleep(QUIET_S)
            loads, before = _loads(client), loads


def _loads(client: Client) -> int:
    return sum(version.loads for version in client.activity().versions)


def _warm(node: AuguriumNode, alone: AuguriumNode, rounds: int) -> Warm:
    rates: dict[str, list[float]] = {"among": [], "alone": []}
    for _ in range(rounds):
        for name, one in (("among", node), ("alone", alone)):
            _send(one, WARM_UP_S, 0, 0)
            rates[name].append(_send(one, ROUND_S, 0, 0).rate)
    pairs = zip(rates["among"], rates["alone"], strict=True)
    return Warm(
        round(median(rates["among"])),
        round(median(rates["alone"])),
        round(median(ours / theirs for ours, theirs in pairs), 2),
    )


def _send(node: AuguriumNode, seconds: float, first: int, last: int) -> Figures:
    """Keeps the connections busy with requests for the models `first` to `last`."""
    url = f"http://127.0.0.1:{node.ports.rest}"
    variables = {"BENCH_FIRST": str(first), "BENCH_LAST": str(last)}
    return Wrk(url, SCRIPT, CONNECTIONS, variables, TIMEOUT_S).send(seconds)


def _zipf(node: AuguriumNode, crowd: Crowd, seconds: float) -> Zipf:
    checks, memory, ended = _Checks(node, crowd), _Memory(node), threading.Event()
    watchers = [
        threading.Thread(target=checks.run, args=(ended,)),
        threading.Thread(target=memory.run, args=(ended, seconds / SAMPLES)),
    ]
    for watcher in watchers:
        watcher.start()
    try:
        figures = _send(node, seconds, 0, crowd.models - 1)
    finally:
        ended.set()
        for watcher in watchers:
            watcher.join()
    return Zipf(
        round(figures.seconds, 1),
        round(figures.rate),
        figures.failed,
        round(figures.p50_ms, 2),
        round(figures.p99_ms, 1),
        checks.done,
        checks.wrong,
        [round(size, 1) for _, size in memory.sizes],
        round(memory.slope() * 3600, 1),
    )


class _Checks:
    """A caller that asks for models by chance, and looks at the answers."""

    def __init__(self, node: AuguriumNode, crowd: Crowd) -> None:
        self._node = node
        self._models = crowd.models
        self.done = 0
        self.wrong = 0

    def run(self, ended: threading.Event) -> None:
        chance = random.Random(3)
        with _connection(self._node) as connection:
            while not ended.wait(0.01):
                number = int((self._models + 1) ** chance.random()) - 1
                self.wrong += not _right(connection, min(number, self._models - 1))
                self.done += 1


class _Memory:
    """What the engines take, from time to time, as they say themselves: seconds and MiB."""

    def __init__(self, node: AuguriumNode) -> None:
        self._url = node.control_url
        self.sizes: list[tuple[float, float]] = []

    def run(self, ended: threading.Event, interval_s: float) -> None:
        began = time.monotonic()
        with Client(self._url) as client:
            while not ended.wait(interval_s):
                size = sum(engine.memory_bytes for engine in client.activity().engines)
                self.sizes.append((time.monotonic() - began, size / MIB))

    def slope(self) -> float:
        """MiB per second in the second half."""
        half = self.sizes[len(self.sizes) // 2 :]
        if len(half) < 2:
            return 0.0
        times, sizes = zip(*half, strict=True)
        return float(np.polyfit(times, sizes, 1)[0])


if __name__ == "__main__":
    sys.exit(main())
