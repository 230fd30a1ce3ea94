"""What a runner costs: the same small ONNX model in this process, as in an engine, and in a runner.

    python -m benchmarks.runner_path [--seconds 1] [--rounds 3]

Callers on one event loop ask a batcher for one row at a time, as the hosts of an engine do. What a
host costs comes on top of either and is left out: the added milliseconds are exact, and the share
of the rate that is kept is the worst there can be. Both take turns, round by round.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import onnx
import uvloop
from onnx import TensorProto, helper, numpy_helper

from augurium.core.files import sha256_of_file
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.batcher import Batcher
from augurium.serving.executor import VersionExecutor
from augurium.serving.loading import Loader
from augurium.serving.metrics import VersionMetrics
from augurium.serving.replicated_runner import ReplicatedRunner
from augurium.serving.runner_executor import RunLimits, RunnerExecutor
from augurium.serving.runner_process import RunnerProcess
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion

CALLERS = (1, 16, 64, 256)
FAR_S = 3600.0


class Figures(NamedTuple):
    """Answers a second, and the median of how long one took."""

    rate: float
    p50_us: float


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = NodeConfig(Settings(node=NodeSettings(home=str(folder / "home"))), ("engine-0",))
        config.home.create()
        desired = written_model(folder, arguments.features)
        runner = ReplicatedRunner("small", partial(started, config, desired))
        sides: dict[str, VersionExecutor] = {
            "engine": Loader(config).load(desired),
            "runner": runner,
        }
        row = np.random.default_rng(0).normal(size=(1, arguments.features)).astype(np.float32)
        for _ in range(100):
            runner.run([row])
        try:
            uvloop.run(compare(sides, row, arguments.seconds, arguments.rounds))
        finally:
            for executor in sides.values():
                executor.close()


def started(config: NodeConfig, desired: DesiredVersion, place: int, tried: bool) -> RunnerExecutor:
    """The runner of an ONNX model, which otherwise would have none."""
    process = RunnerProcess(config.home.run, desired, config.settings.runners, place)
    return RunnerExecutor(process, desired.signature, RunLimits(30.0, 10.0))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--features", type=int, default=30)
    return parser.parse_args()


def written_model(folder: Path, features: int) -> DesiredVersion:
    """Two dense layers."""
    rng = np.random.default_rng(0)
    shapes = {"first": (features, 64), "second": (64, 2)}
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["positive"]),
            helper.make_node("MatMul", ["positive", "second"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = folder / "model.onnx"
    onnx.save(model, str(file))
    signature = Signature(
        (TensorSpec("x", "FP32", (-1, features)),), (TensorSpec("y", "FP32", (-1, 2)),)
    )
    return DesiredVersion(
        model="small",
        version=1,
        runtime="onnx",
        path=str(file),
        digest=sha256_of_file(file),
        signature=signature,
    )


async def compare(
    sides: dict[str, VersionExecutor], row: "np.ndarray", seconds: float, rounds: int
) -> None:
    threads = ThreadPoolExecutor(2)
    loop = asyncio.get_running_loop()
    batchers = {
        side: Batcher(executor, BatchingPolicy(), VersionMetrics("small", 1), loop, threads)
        for side, executor in sides.items()
    }
    print(f"{'callers':>8} {'engine/s':>9} {'runner/s':>9} {'kept':>6} {'added p50':>10}")
    for callers in CALLERS:
        found: dict[str, list[Figures]] = {side: [] for side in batchers}
        for _ in range(rounds):
            for side, batcher in batchers.items():
                ask = partial(batcher.submit, [row], 1, time.monotonic() + FAR_S)
                await measured(ask, callers, seconds / 5)
                found[side].append(await measured(ask, callers, seconds))
        engine, runner = (typical(found[side]) for side in ("engine", "runner"))
        print(
            f"{callers:>8} {engine.rate:>9.0f} {runner.rate:>9.0f}"
            f" {runner.rate / engine.rate:>6.0%} {runner.p50_us - engine.p50_us:>7.0f} us"
        )
    threads.shutdown()


async def measured(ask: Callable[[], Awaitable[object]], callers: int, seconds: float) -> Figures:
    """Every caller asks again as soon as it has its answer."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await ask()
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return Figures(len(took) / (time.perf_counter() - began), median(took) * 1e6)


def typical(found: list[Figures]) -> Figures:
    return Figures(
        median(figures.rate for figures in found), median(figures.p50_us for figures in found)
    )


if __name__ == "__main__":
    main()
