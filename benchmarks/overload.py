"""What overload does: `python -m benchmarks.overload` from the root of the checkout; two minutes.

First how much a flood on one model takes from another: a light caller asks B on a schedule, alone,
beside processes that only compute, and while wrk floods A from 64 connections, in turn. Then an
open loop at twice what a slow model can do: how many are answered, how many refused, and how long
either takes.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh

from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.paced_calls import paced
from benchmarks.peer import Ports
from benchmarks.rest_load import SCRIPT
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from benchmarks.wrk import Wrk

ENGINES = 2
LIGHT_RATE = 100
FLOOD_CONNECTIONS = 64
WIDTH, LAYERS = 1024, 96
# until a queue that stands is noticed, and what stood has gone
ONSET_S = 4.0


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.overload", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--engines", type=int, default=ENGINES)
    options = parser.parse_args()
    return print_and_save(
        "overload", lambda: _measured(options.rounds, options.seconds, options.engines)
    )


def _measured(rounds: int, seconds: float, engines: int) -> dict[str, Any]:
    home, ports = BENCH / "augurium" / "overload-home", free_ports()
    shutil.rmtree(home, ignore_errors=True)
    workload = tabular.build(BENCH / "tabular")
    slow = BENCH / "slow.onnx"
    slow.write_bytes(slow_model())
    bodies = BENCH / "slow.jsonl"
    bodies.write_text('{"instances": [[1.0]]}\n')
    with AuguriumNode(home, ports, engines) as node:
        for name in ("a", "b"):
            node.register(workload.ubj, name)
        node.register(slow, "slow")
        kinds: dict[str, Callable[[], AbstractContextManager[Any]]] = {
            "alone": nullcontext,
            "computing": lambda: _computing(engines),
            "flood_fast": lambda: _flood(ports, workload.bodies, "a", seconds + 3),
            "flood_slow": lambda: _flood(ports, bodies, "slow", seconds + 3),
        }
        return {
            "engines": engines,
            "light_rate": LIGHT_RATE,
            "light": _beside(kinds, ports, workload.bodies, rounds, seconds),
            "overload": _overload(ports, bodies, seconds),
        }


def slow_model() -> bytes:
    """Some milliseconds for each row, whatever the batch."""
    rng = np.random.default_rng(0)
    matrix = onnx.numpy_helper.from_array(
        rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 32, "matrix"
    )
    wide = oh.make_tensor("wide", onnx.TensorProto.INT64, [3], [1, 8, WIDTH])
    axes = oh.make_tensor("axes", onnx.TensorProto.INT64, [2], [1, 2])
    nodes = [
        oh.make_node("Unsqueeze", ["x", "last"], ["x3"]),
        oh.make_node("Expand", ["x3", "wide"], ["h0"]),
        *(oh.make_node("MatMul", [f"h{i}", "matrix"], [f"h{i + 1}"]) for i in range(LAYERS)),
        oh.make_node("ReduceMean", [f"h{LAYERS}", "axes"], ["y"], keepdims=0),
    ]
    content = oh.make_graph(
        nodes,
        "slow",
        [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 1])],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch"])],
        [matrix, wide, axes, oh.make_tensor("last", onnx.TensorProto.INT64, [1], [2])],
    )
    model = oh.make_model(content, opset_imports=[oh.make_opsetid("", 18)], ir_version=9)
    serialized: bytes = model.SerializeToString()
    return serialized


def _beside(
    kinds: dict[str, Callable[[], AbstractContextManager[Any]]],
    ports: Ports,
    light: Path,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """B's times beside each kind of other work, all kinds in turn in every round; the first is
    none.
    """
    asked: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    others: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, other in kinds.items():
            with other() as did:
                time.sleep(1)
                asked[kind].append(_light(ports, light, seconds))
            others[kind].append(did)
    alone = [one["p99_ms"] for one in next(iter(asked.values()))]
    return {
        kind: {
            "p50_ms": median(one["p50_ms"] for one in found),
            "p99_ms": median(one["p99_ms"] for one in found),
            "p99_ratio": round(
                median(one["p99_ms"] / base for one, base in zip(found, alone, strict=True)), 2
            ),
            "not_answered": sum(one["refused"] + one["failed"] for one in found),
            **({"flood": others[kind]} if any(others[kind]) else {}),
        }
        for kind, found in asked.items()
    }


@contextmanager
def _computing(processes: int) -> Iterator[None]:
    """So many processes that compute and ask for nothing, while this lasts."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _light(ports: Ports, bodies: Path, seconds: float) -> dict[str, Any]:
    return paced(ports.rest, "/v2/models/b/infer", bodies, LIGHT_RATE, seconds, 8)


@contextmanager
def _flood(ports: Ports, bodies: Path, model: str, seconds: float) -> Iterator[dict[str, Any]]:
    """wrk on a model while this lasts; filled in with what it got when it has ended."""
    path = f"/v2/models/{model}/infer" if model != "slow" else "/v1/models/slow:predict"
    url = f"http://127.0.0.1:{ports.rest}{path}"
    wrk = Wrk(url, SCRIPT, FLOOD_CONNECTIONS, {"BENCH_BODIES": str(bodies)})
    found: dict[str, Any] = {}
    with wrk.beside(seconds) as figures:
        yield found
    said = figures[0]
    found.update(
        per_s=round(said.rate, 1),
        refused_per_s=round(said.failed / said.seconds, 1),
        p99_ms=round(said.p99_ms, 1),
    )


def _overload(ports: Ports, bodies: Path, seconds: float) -> dict[str, Any]:
    """What the slow model can do, and what becomes of twice as much."""
    with _flood(ports, bodies, "slow", seconds) as found:
        time.sleep(seconds)
    path = "/v1/models/slow:predict"
    onset = paced(ports.rest, path, bodies, 2 * found["per_s"], seconds, 2000, 0.0)
    time.sleep(1)
    twice = paced(ports.rest, path, bodies, 2 * found["per_s"], 2 * seconds, 2000, ONSET_S)
    after = paced(ports.rest, path, bodies, 0.5 * found["per_s"], seconds, 200)
    share = twice["per_s"] / found["per_s"]
    return {
        "closed_loop": found,
        "onset": onset,
        "twice": twice,
        "goodput_share": round(share, 3),
        "after": after,
    }


if __name__ == "__main__":
    sys.exit(main())
