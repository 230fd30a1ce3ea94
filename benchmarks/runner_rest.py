"""What a runner costs over REST: `python -m benchmarks.runner_rest`; two minutes.

The same ONNX file is registered twice on one node: one model runs in the engines, the other is
`dedicated` and runs in a process of its own. wrk asks both in turn, round by round.
"""

import argparse
import shutil
import time
from statistics import median

from augurium.client import Client
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.load import Figures
from benchmarks.rest_load import SCRIPT
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

SETTLE_S = 5.0
CONNECTIONS = (1, 16, 64, 256)
IN_ENGINE, IN_RUNNER = "in_engine", "in_runner"


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.runner_rest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2])
    chosen = parser.parse_args()
    return print_and_save(
        "runner_rest",
        lambda: {
            "settings": vars(chosen),
            "engines": {number: _measured(number, chosen) for number in chosen.engines},
        },
    )


def _measured(engines: int, chosen: argparse.Namespace) -> dict[int, dict[str, object]]:
    home, ports = BENCH / "runner-rest" / "home", free_ports()
    shutil.rmtree(home, ignore_errors=True)
    workload = tabular.build(BENCH / "tabular")
    with AuguriumNode(home, ports, engines) as node, Client(node.control_url) as client:
        for name in (IN_ENGINE, IN_RUNNER):
            node.register(workload.ubj, name)
        processes = node.process_count()
        client.set_serving(IN_RUNNER, {"placement": {"isolation": "dedicated"}})
        while node.process_count() == processes:
            time.sleep(0.1)
        # until all engines have turned to it
        time.sleep(SETTLE_S)
        bodies = {"BENCH_BODIES": str(workload.bodies)}
        found = {}
        for connections in CONNECTIONS:
            load = {
                name: Wrk(
                    f"http://127.0.0.1:{ports.rest}/v2/models/{name}/infer",
                    SCRIPT,
                    connections,
                    bodies,
                )
                for name in (IN_ENGINE, IN_RUNNER)
            }
            rounds = []
            for number in range(chosen.rounds):
                names = list(load) if number % 2 == 0 else list(reversed(load))
                rounds.append({name: load[name].send(chosen.seconds) for name in names})
            found[connections] = _row(rounds)
    return found


def _row(rounds: list[dict[str, Figures]]) -> dict[str, object]:
    return {
        "kept": round(median(one[IN_RUNNER].rate / one[IN_ENGINE].rate for one in rounds), 3),
        "added_p50_us": round(
            median(one[IN_RUNNER].p50_ms - one[IN_ENGINE].p50_ms for one in rounds) * 1000
        ),
        "failed": sum(figures.failed for one in rounds for figures in one.values()),
        **{
            name: {
                "per_s": round(median(one[name].rate for one in rounds)),
                "p50_ms": round(median(one[name].p50_ms for one in rounds), 3),
                "p99_ms": round(median(one[name].p99_ms for one in rounds), 3),
            }
            for name in (IN_ENGINE, IN_RUNNER)
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
