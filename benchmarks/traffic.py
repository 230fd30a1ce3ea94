"""What a traffic policy costs, and how soon a change of it holds.

    python -m benchmarks.traffic [--rounds 5] [--seconds 4] [--connections 16] [--changes 50]

One node and the model "tabular" under three names: without a policy; with one that gives every unit
the only version; and as two versions of the same file, half of the units each, which are also asked
by their numbers: two versions run in batches of their own, whoever shares the requests out. Rates,
and CPU time of the engines for a request, are measured in turn, in every round in the other order.
Then the last goes from all for one version to all for the other, again and again: from asking until
the answer that every engine has it, after which none may answer by the policy before. The aims are
at most 5 percent of the rate and 200 ms. Needs wrk.
"""

import argparse
import http.client
import math
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import msgspec
import psutil

from augurium.client import Client
from augurium.core.traffic_policy import TrafficPolicy, Variant
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.load import Figures
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

ENGINES = 2
WARM_UP_S = 1.0
SCRIPT = "split.lua"
WHOLE = "whole"
SPLIT = "split"
UNITS = 10_000
# the model that is asked, and how many of its versions by their numbers; all with the same headers
LOADS = {
    "no policy": (tabular.MODEL, 0),
    "one version": (WHOLE, 0),
    "split": (SPLIT, 0),
    "two versions by number": (SPLIT, 2),
}
# after each change, every one on a connection of its own
ASKED = 16


class Rate(msgspec.Struct, frozen=True):
    """Medians over the rounds. `ratio` is by the rate without a policy of the same round, and
    `cpu_ratio` the same of the engines' CPU time for a request; `ratios` are all rounds'.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    ratio: float
    cpu_ratio: float
    ratios: list[float]


class _Seen(NamedTuple):
    figures: Figures
    cpu_us: float


class Changes(msgspec.Struct, frozen=True):
    """From asking for a change until every engine answers by it, in milliseconds; `late` counts
    answers by the policy before after that.
    """

    median_ms: float
    p95_ms: float
    most_ms: float
    late: int


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.traffic", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--changes", type=int, default=50)
    chosen = parser.parse_args()
    return print_and_save("traffic", lambda: _measured(chosen))


def _measured(chosen: argparse.Namespace) -> Mapping[str, object]:
    workload = tabular.build(BENCH / "tabular")
    with AuguriumNode(BENCH / "traffic" / "home", free_ports(), ENGINES) as node:
        for name in (tabular.MODEL, WHOLE, SPLIT, SPLIT):
            node.register(workload.ubj, name)
        with Client(node.control_url) as client:
            client.set_traffic(WHOLE, TrafficPolicy((Variant(1, 100),)))
            client.set_traffic(SPLIT, _policy(50))
            engines = [psutil.Process(engine.pid) for engine in client.server().engines]
            rounds = [
                _round(node, workload, engines, number, chosen) for number in range(chosen.rounds)
            ]
            changes = _changes(client, node, workload, chosen.changes)
    loads = {load: _rate(load, rounds) for load in LOADS}
    return {"settings": vars(chosen), "loads": loads, "changes": changes}


def _policy(first: float) -> TrafficPolicy:
    return TrafficPolicy((Variant(1, first), Variant(2, 100 - first)))


def _round(
    node: AuguriumNode,
    workload: tabular.Workload,
    engines: list[psutil.Process],
    number: int,
    chosen: argparse.Namespace,
) -> dict[str, _Seen]:
    found = {}
    # whoever is later has a warmer machine
    for load in sorted(LOADS, reverse=bool(number % 2)):
        model, versions = LOADS[load]
        url = f"http://127.0.0.1:{node.ports.rest}/v2/models/{model}/infer"
        variables = {
            "BENCH_BODIES": str(workload.bodies),
            "BENCH_UNITS": str(UNITS),
            "BENCH_VERSIONS": str(versions),
        }
        wrk = Wrk(url, SCRIPT, chosen.connections, variables)
        wrk.send(WARM_UP_S)
        before = _cpu_s(engines)
        figures = wrk.send(chosen.seconds)
        spent_s = _cpu_s(engines) - before
        found[load] = _Seen(figures, spent_s * 1e6 / (figures.rate * chosen.seconds))
    return found


def _cpu_s(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return math.fsum(one.user + one.system for one in times)


def _rate(load: str, rounds: list[dict[str, _Seen]]) -> Rate:
    found, plain = [one[load] for one in rounds], [one["no policy"] for one in rounds]
    pairs = list(zip(found, plain, strict=True))
    ratios = [round(one.figures.rate / other.figures.rate, 3) for one, other in pairs]
    return Rate(
        rate=round(median(one.figures.rate for one in found)),
        p50_ms=round(median(one.figures.p50_ms for one in found), 2),
        p99_ms=round(median(one.figures.p99_ms for one in found), 2),
        cpu_us=round(median(one.cpu_us for one in found), 1),
        ratio=median(ratios),
        cpu_ratio=round(median(one.cpu_us / other.cpu_us for one, other in pairs), 3),
        ratios=ratios,
    )


def _changes(
    client: Client, node: AuguriumNode, workload: tabular.Workload, number: int
) -> Changes:
    body = workload.bodies.read_bytes().splitlines()[0]
    took, late = [], 0
    for turn in range(number):
        version = 1 + turn % 2
        began = time.perf_counter()
        client.set_traffic(SPLIT, _policy(100 if version == 1 else 0))
        took.append((time.perf_counter() - began) * 1000)
        late += sum(_version(node, body) != version for _ in range(ASKED))
    took.sort()
    return Changes(
        round(median(took), 1),
        round(took[int(0.95 * (len(took) - 1))], 1),
        round(took[-1], 1),
        late,
    )


def _version(node: AuguriumNode, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", node.ports.rest, timeout=10)
    try:
        connection.request("POST", f"/v2/models/{SPLIT}/infer", body)
        return int(connection.getresponse().headers["augurium-version"])
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
