"""What the prediction cache gives: `python -m benchmarks.cache` from the root of the checkout.

    python -m benchmarks.cache [--rounds 5] [--seconds 4] [--connections 16]

One node and the model "tabular" under two names, with and without a cache. In alternating rounds:
rows that are all new, with and without it (a miss costs the difference); known rows in requests
that differ in their bytes; and requests that come again byte by byte. The aim is 1.5 times the rate
of a miss. Needs wrk.
"""

import argparse
import sys
from statistics import median

import msgspec

from augurium.client import Client
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.load import Figures
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

ENGINES = 2
WARM_UP_S = 1.0
TTL_S = 3600.0
SCRIPT = "cache.lua"
CACHED = "cached"
# the model that is asked, and what is new in each request
LOADS = {
    "no cache": (tabular.MODEL, "row"),
    "miss": (CACHED, "row"),
    "hit, other bytes": (CACHED, "id"),
    "hit, same bytes": (CACHED, ""),
}


class Row(msgspec.Struct, frozen=True):
    """Medians over the rounds; `ratio` is by the misses of the same round."""

    rate: float
    p50_ms: float
    p99_ms: float
    ratio: float


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=16)
    chosen = parser.parse_args()
    return print_and_save("cache", lambda: {"settings": vars(chosen), "loads": _measured(chosen)})


def _measured(chosen: argparse.Namespace) -> dict[str, Row]:
    workload = tabular.build(BENCH / "tabular")
    rounds: list[dict[str, Figures]] = []
    with AuguriumNode(BENCH / "cache" / "home", free_ports(), ENGINES) as node:
        for name in (tabular.MODEL, CACHED):
            node.register(workload.ubj, name)
        with Client(node.control_url) as client:
            client.set_serving(CACHED, {"cache": {"ttl_s": TTL_S}})
        for number in range(chosen.rounds):
            found = {}
            for load, (model, change) in LOADS.items():
                for seed, seconds in ((2 * number, WARM_UP_S), (2 * number + 1, chosen.seconds)):
                    found[load] = _send(node, workload, model, change, seed, seconds, chosen)
            rounds.append(found)
    return {load: _row(load, rounds) for load in LOADS}


def _row(load: str, rounds: list[dict[str, Figures]]) -> Row:
    return Row(
        round(median(one[load].rate for one in rounds)),
        round(median(one[load].p50_ms for one in rounds), 2),
        round(median(one[load].p99_ms for one in rounds), 2),
        round(median(one[load].rate / one["miss"].rate for one in rounds), 2),
    )


def _send(
    node: AuguriumNode,
    workload: tabular.Workload,
    model: str,
    change: str,
    seed: int,
    seconds: float,
    chosen: argparse.Namespace,
) -> Figures:
    url = f"http://127.0.0.1:{node.ports.rest}/v2/models/{model}/infer"
    variables = {
        "BENCH_BODIES": str(workload.bodies),
        "BENCH_CHANGE": change,
        "BENCH_SEED": str(seed),
    }
    return Wrk(url, SCRIPT, chosen.connections, variables).send(seconds)


if __name__ == "__main__":
    sys.exit(main())
