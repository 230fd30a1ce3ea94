"""What a new version costs those who ask meanwhile: `python -m benchmarks.swap` from the root.

    python -m benchmarks.swap [--rounds 3] [--seconds 6] [--swaps 3] [--rate 500]

One node and the model "tabular", asked on a schedule. In alternating rounds: a while in which
nothing changes, and as long a while in which versions are deployed at even intervals, each of a
file that no engine has loaded before. The aims are no failed request and a p99 of twice that
without at most. How long it takes from the call of `deploy` to the first answer of the new version
is found by a caller beside, who asks all the time.
"""

import argparse
import http.client
import json
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import onnx

from augurium.client import Client
from augurium.core.errors import AuguriumError
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.paced_calls import paced
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports

ENGINES = 2
CONNECTIONS = 32
WARM_UP_S = 0.5
LOOK_S = 0.002
PATH = f"/v2/models/{tabular.MODEL}/infer"


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.swap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--swaps", type=int, default=3, help="in each round")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    chosen = parser.parse_args()
    return print_and_save("swap", lambda: {"settings": vars(chosen), **_measured(chosen)})


def _measured(chosen: argparse.Namespace) -> dict[str, Any]:
    folder = BENCH / "swap"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    workload = tabular.build(BENCH / "tabular")
    with (
        AuguriumNode(folder / "home", free_ports(), ENGINES) as node,
        Client(node.control_url) as client,
    ):
        for version in range(1, chosen.rounds * chosen.swaps + 2):
            client.register(_variant(workload.onnx, folder, version), name=tabular.MODEL)
        client.deploy(tabular.MODEL, 1)
        return _rounds(node, client, workload.bodies, chosen)


def _variant(file: Path, folder: Path, version: int) -> Path:
    """The same model in other bytes, so that no engine knows it."""
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {"variant": str(version)})
    found = folder / f"variant-{version}.onnx"
    onnx.save(model, found)
    return found


def _rounds(
    node: AuguriumNode, client: Client, bodies: Path, chosen: argparse.Namespace
) -> dict[str, Any]:
    quiet, swapping, visible_s, deployed_s = [], [], [], []
    version = 1
    for _ in range(chosen.rounds):
        quiet.append(_load(node, bodies, chosen))
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(_load, node, bodies, chosen)
            time.sleep(WARM_UP_S)
            for place in range(chosen.swaps):
                version += 1
                due = time.monotonic() + chosen.seconds / chosen.swaps
                took = _swap(node, client, bodies, version)
                visible_s.append(took[0])
                deployed_s.append(took[1])
                if place < chosen.swaps - 1:
                    time.sleep(max(0.0, due - time.monotonic()))
            swapping.append(load.result())
    ratios = [two["p99_ms"] / one["p99_ms"] for one, two in zip(quiet, swapping, strict=True)]
    return {
        "p50_ms": [median(one["p50_ms"] for one in found) for found in (quiet, swapping)],
        "p99_ms": [median(one["p99_ms"] for one in found) for found in (quiet, swapping)],
        "p99_ratios": [round(ratio, 2) for ratio in ratios],
        "p99_ratio": round(median(ratios), 2),
        "answered": [sum(one["answered"] for one in found) for found in (quiet, swapping)],
        "failed": [
            sum(one["failed"] + one["refused"] for one in found) for found in (quiet, swapping)
        ],
        "swaps": len(visible_s),
        "first_answer_s": [round(median(visible_s), 3), round(max(visible_s), 3)],
        "deployed_s": [round(median(deployed_s), 3), round(max(deployed_s), 3)],
    }


def _load(node: AuguriumNode, bodies: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    return paced(node.ports.rest, PATH, bodies, chosen.rate, chosen.seconds, CONNECTIONS, WARM_UP_S)


def _swap(node: AuguriumNode, client: Client, bodies: Path, version: int) -> tuple[float, float]:
    """Seconds until the first answer of the new version, and until `deploy` returns."""
    body = bodies.read_bytes().splitlines()[0]
    began, seen = time.monotonic(), threading.Event()
    found: list[float] = []

    def watch() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", node.ports.rest)) as connection:
            while not seen.is_set():
                connection.request("POST", PATH, body, {"content-type": "application/json"})
                answer = json.loads(connection.getresponse().read())
                if answer.get("model_version") == str(version):
                    found.append(time.monotonic() - began)
                    return
                time.sleep(LOOK_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        client.deploy(tabular.MODEL, version)
        deployed_s = time.monotonic() - began
        watcher.join(10.0)
    finally:
        seen.set()
        watcher.join()
    if not found:
        raise AuguriumError(f"version {version} was deployed and did not answer")
    return found[0], deployed_s


if __name__ == "__main__":
    sys.exit(main())
