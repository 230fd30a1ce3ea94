"""What a shadow takes from callers: `python -m benchmarks.shadow` from the root of the checkout; a
minute and a half.

A model in the engines is asked on a schedule and by wrk from 16 connections: without a shadow, and
with another version that is given a copy of a tenth of the requests and of all of them, in turn.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from augurium.client import Client
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.paced_calls import paced
from benchmarks.peer import Ports
from benchmarks.rest_load import SCRIPT
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

RATE = 300
CONNECTIONS = 16
MODEL = "price"
PERCENTS = (0.0, 10.0, 100.0)
COPIES = 64


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.shadow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--engines", type=int, default=2)
    options = parser.parse_args()
    return print_and_save(
        "shadow", lambda: _measured(options.rounds, options.seconds, options.engines)
    )


def _measured(rounds: int, seconds: float, engines: int) -> dict[str, Any]:
    home, ports = BENCH / "augurium" / "shadow-home", free_ports()
    shutil.rmtree(home, ignore_errors=True)
    workload = tabular.build(BENCH / "tabular")
    found: dict[float, list[dict[str, Any]]] = {percent: [] for percent in PERCENTS}
    with AuguriumNode(home, ports, engines) as node, Client(node.control_url) as client:
        node.register(workload.ubj, MODEL)
        client.register(workload.ubj, name=MODEL)
        client.deploy(MODEL, 2, default=False)
        for _ in range(rounds):
            for percent in PERCENTS:
                _cast(client, percent)
                found[percent].append(_asked(client, ports, workload.bodies, seconds))
    return {
        "engines": engines,
        "rate": RATE,
        "connections": CONNECTIONS,
        "shadows": {f"{percent:g} %": _medians(rounds) for percent, rounds in found.items()},
    }


def _cast(client: Client, percent: float) -> None:
    if percent:
        shadow = {"version": 2, "percent": percent, "most_in_flight": COPIES}
        client.set_traffic(MODEL, {"shadows": [shadow]})
    else:
        client.clear_traffic(MODEL)


def _asked(client: Client, ports: Ports, bodies: Path, seconds: float) -> dict[str, Any]:
    path = f"/v2/models/{MODEL}/infer"
    before = _copies(client)
    on_schedule = paced(ports.rest, path, bodies, RATE, seconds, 8)
    between = _copies(client)
    wrk = Wrk(f"http://127.0.0.1:{ports.rest}{path}", SCRIPT, CONNECTIONS, _told(bodies))
    flood = wrk.send(seconds)
    after = _copies(client)
    return {
        "p50_ms": on_schedule["p50_ms"],
        "p99_ms": on_schedule["p99_ms"],
        "copied": between["copied"] - before["copied"],
        "dropped": between["dropped"] - before["dropped"],
        "flood_per_s": flood.rate,
        "flood_p99_ms": flood.p99_ms,
        "flood_copied": after["copied"] - between["copied"],
        "flood_dropped": after["dropped"] - between["dropped"],
        "failed": on_schedule["failed"] + on_schedule["refused"] + flood.failed,
    }


def _told(bodies: Path) -> Mapping[str, str]:
    return {"BENCH_BODIES": str(bodies)}


def _copies(client: Client) -> dict[str, int]:
    pairs = client.shadow_report(MODEL).pairs
    return {
        "copied": sum(pair.copied for pair in pairs),
        "dropped": sum(sum(pair.dropped.values()) for pair in pairs),
    }


def _medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: round(median(one[name] for one in rounds), 2) for name in rounds[0]}


if __name__ == "__main__":
    sys.exit(main())
