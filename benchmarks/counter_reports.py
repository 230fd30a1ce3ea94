"""What telling control the counters costs an engine: time of its event loop, and bytes, by the
number of versions that it holds.

    python -m benchmarks.counter_reports [VERSIONS]
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog

from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.counter_reports import CounterReports
from augurium.serving.link import Counters
from augurium.serving.loading import Loader
from augurium.serving.residency import Residency
from augurium.serving.router import Router
from augurium.serving.snapshot import DesiredModel, DesiredVersion, Snapshot

ROUNDS = 50
REQUESTS = 20


class Echo:
    """An executor of nothing."""

    threads = None
    restarts = 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return list(inputs)

    def expected_s(self, rows: int) -> float:
        return 0.0

    def close(self) -> None:
        """Holds nothing."""


class Echoes(Loader):
    """Loads no file."""

    def __init__(self) -> None:
        """Needs no settings."""

    def warm_up_s(self, model: str, version: int) -> float:
        return 0.01

    def load(self, desired: DesiredVersion) -> Echo:
        return Echo()


async def filled(versions: int) -> Residency:
    """An engine's versions, each of which has answered some requests."""
    signature = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))
    residency = Residency(
        Router(),
        asyncio.get_running_loop(),
        ThreadPoolExecutor(2),
        Echoes(),
        lambda: None,
    )
    names = [f"model-{number}" for number in range(versions)]
    models = [
        DesiredModel(name, (DesiredVersion(name, 1, "onnx", "", "", signature),), 1)
        for name in names
    ]
    residency.apply(Snapshot(1, tuple(models)))
    while not residency.settled:  # noqa: ASYNC110 - rare and short
        await asyncio.sleep(0.05)
    for counted in residency.metrics().versions:
        for request in range(REQUESTS):
            counted.ended("ok", 0.001 * request)
            counted.ran(request + 1, 1, 0.0, 0.001, 0.0)
    return residency


def measured(what: str, report: Callable[[], bytes]) -> None:
    """The median of the CPU time that a report takes, and its size."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        content = report()
        seconds.append(time.thread_time() - began)
    print(f"{what:32} {statistics.median(seconds) * 1000:7.2f} ms {len(content):9} bytes")


async def main(versions: int) -> None:
    residency = await filled(versions)
    encode = msgspec.msgpack.encode
    reports = CounterReports()
    counted = residency.metrics().versions

    def changed() -> bytes:
        for one in counted[:REQUESTS]:
            one.ended("ok", 0.001)
        return encode(Counters(reports.of(residency.metrics(thorough=False))))

    measured("everything", lambda: encode(Counters(residency.metrics())))
    reports.of(residency.metrics())
    measured(
        "nothing changed",
        lambda: encode(Counters(reports.of(residency.metrics(thorough=False)))),
    )
    measured(f"{REQUESTS} versions changed", changed)
    measured("asked, nothing changed", lambda: encode(Counters(reports.of(residency.metrics()))))
    await residency.stop()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
