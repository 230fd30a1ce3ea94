"""What one device gives: predictions per second, latency, utilization and memory, for a transformer
of a stated size, as it is, with CUDA graphs, with `torch.compile`, and with both.

    python -m benchmarks.gpu --device cuda:0
    python -m benchmarks.gpu --device cpu --seconds 3 --layers 2 --width 64

The model is built from a seed, exported, and loaded as a runner loads it; threads give it batches
as a runner's queue does. The second line is a check that the script works, where there is no GPU.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import AuguriumError
from augurium.core.nvml import NvmlAccelerators
from augurium.runtimes.placement import Placement
from augurium.runtimes.torch import TorchModel
from augurium.runtimes.torch_device import TorchDeviceModel

RESULTS = Path(__file__).parent / "results"
SAMPLE_S = 0.1
WARM_UP_RUNS = 20
AIM_PER_S, AIM_UTILIZATION = 10_000, 0.8
Compile = Literal["off", "graphs", "inductor", "inductor_graphs"]


class Encoder(torch.nn.Module):  # type: ignore[misc]
    """A transformer encoder with a head of ten classes over the mean of the tokens."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(width, max(1, width // 64), 4 * width, 0.0,
                                                 batch_first=True)  # fmt: skip
        self.encoder = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = torch.nn.Linear(width, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(x).mean(1))


class Row(NamedTuple):
    """One line of the table."""

    compiled: str
    load_s: float
    per_s: float
    p50_ms: float
    p99_ms: float
    utilization: float | None
    device_bytes: int
    furthest: float


def main() -> None:
    options = _options()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt2"
        parameters = _export(path, options)
        expected = _answers(path, options)
        found = [_measured(path, how, options, expected) for how in options.compile.split(",")]
    rows = [row for row in found if row]
    if not rows:
        raise SystemExit("nothing was measured")
    text = "\n".join(_table(rows, parameters, options))
    print(text)
    if options.device != "cpu":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "gpu.md").write_text(text + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--compile", default=None, help="off,graphs,inductor,inductor_graphs")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    if options.compile is None:
        options.compile = (
            "off,graphs" if options.device == "cpu" else "off,graphs,inductor,inductor_graphs"
        )
    return options


def _export(path: Path, options: argparse.Namespace) -> int:
    torch.manual_seed(0)
    model = Encoder(options.layers, options.width).eval()
    rows = torch.export.Dim("rows", min=1, max=max(2, options.batch))
    x = torch.randn(2, options.tokens, options.width)
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: rows},)), str(path))
    return sum(parameter.numel() for parameter in model.parameters())


def _rows(options: argparse.Namespace) -> dict[str, Any]:
    shape = (options.batch, options.tokens, options.width)
    return {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}


def _answers(path: Path, options: argparse.Namespace) -> Any:
    """Of the first rows, by the CPU."""
    return TorchModel(path, {}).run({"x": _rows(options)["x"][:8]})[0]


def _measured(path: Path, how: Compile, options: argparse.Namespace, expected: Any) -> Row | None:
    # what the CPU can do of it walks the same path: recordings are calls there
    policy = DevicePolicy(name=options.device, compile=how)
    began = time.perf_counter()
    try:
        model = TorchDeviceModel(path, {}, Placement(policy, True, options.batch))
        inputs = _rows(options)
        furthest = float(np.abs(model.run(inputs)[0][:8] - expected).max())
        for _ in range(WARM_UP_RUNS if options.device != "cpu" else 1):
            model.run(inputs)
    except AuguriumError as error:
        print(f"{how}: {error}")
        return None
    load_s = time.perf_counter() - began
    with _Load(model, inputs, options.threads) as load_:
        used = list(_utilization(options))
    took = sorted(load_.took)
    return Row(
        how,
        load_s,
        options.batch * len(took) / load_.seconds,
        statistics.median(took) * 1000,
        took[int(0.99 * len(took))] * 1000,
        statistics.mean(used) if used else None,
        model.device_bytes,
        furthest,
    )


class _Load:
    """Threads that run batches one after another while the block lasts."""

    def __init__(self, model: Any, inputs: dict[str, Any], threads: int) -> None:
        self.took: list[float] = []
        self.seconds = 0.0
        self._model, self._inputs = model, inputs
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> "_Load":
        self._began = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.perf_counter() - self._began

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            self._model.run(self._inputs)
            self.took.append(time.perf_counter() - began)


def _utilization(options: argparse.Namespace) -> Iterator[float]:
    """Samples of the device over the measured seconds."""
    accelerators = NvmlAccelerators()
    number = DevicePolicy(name=options.device).number or 0
    until = time.perf_counter() + options.seconds
    while time.perf_counter() < until:
        time.sleep(SAMPLE_S)
        if options.device == "cpu":
            continue
        readings = accelerators.read()
        if number < len(readings) and (used := readings[number].utilization) is not None:
            yield used


def _table(rows: list[Row], parameters: int, options: argparse.Namespace) -> Iterator[str]:
    yield (
        f"Transformer encoder, {options.layers} layers of width {options.width}, {options.tokens}"
        f" tokens a row, {parameters} parameters, FP32; batches of {options.batch} by"
        f" {options.threads} threads for {options.seconds:g} s on {_device_name(options)};"
        f" PyTorch {torch.__version__}."
    )
    yield f"Aim: {AIM_PER_S} predictions/s and more than {AIM_UTILIZATION:.0%} utilization."
    yield ""
    yield (
        "| compile | load and first runs, s | predictions/s | batch p50, ms | batch p99, ms |"
        " utilization | device memory, MB | furthest from the CPU | aim |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        used = "-" if row.utilization is None else f"{row.utilization:.0%}"
        met = row.per_s >= AIM_PER_S and (row.utilization or 0) > AIM_UTILIZATION
        yield (
            f"| {row.compiled} | {row.load_s:.1f} | {row.per_s:.0f} | {row.p50_ms:.2f} |"
            f" {row.p99_ms:.2f} | {used} | {row.device_bytes / 1e6:.0f} | {row.furthest:.1e} |"
            f" {'met' if met else 'not met'} |"
        )


def _device_name(options: argparse.Namespace) -> str:
    if options.device == "cpu":
        return f"the CPU ({os.cpu_count()} cores): a check of this script, no figure of a GPU"
    name: str = torch.cuda.get_device_name(torch.device(options.device))
    return name


if __name__ == "__main__":
    main()
