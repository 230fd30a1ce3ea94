"""Binary tensors over REST, and how much memory a server holds under a load."""

import threading
import time
from dataclasses import dataclass, field

import msgspec

from benchmarks.load import Figures, Load, Measurement
from benchmarks.payload_files import Bodies
from benchmarks.peer import REST
from benchmarks.server import RunningServer
from benchmarks.wrk import TOOL, Wrk

SCRIPT = "post_body.lua"
TIMEOUT_S = 30
POLL_S = 0.005
SETTLE_S = 1.0
MOST_SETTLING = 15
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class BinaryLoad:
    """wrk with one thread and `connections` connections, raw tensors both ways."""

    bodies: Bodies
    connections: int
    protocol: str = REST
    tool: str = TOOL

    @property
    def name(self) -> str:
        return f"REST c={self.connections}"

    def send(self, server: RunningServer, seconds: float) -> Figures:
        url = f"http://127.0.0.1:{server.ports.rest}/v2/models/{self.bodies.model}/infer"
        headers = "\n".join(f"{name}: {value}" for name, value in self.bodies.headers.items())
        variables = {
            "BENCH_BODIES": str(self.bodies.file),
            "BENCH_SIZE": str(self.bodies.size),
            "BENCH_HEADERS": headers,
        }
        return Wrk(url, SCRIPT, self.connections, variables, TIMEOUT_S).send(seconds)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate


@dataclass(frozen=True)
class WatchedLoad:
    """Another load under a `title`, with the most memory that the server held above `idle`: what it
    had before the first of these loads, by its address.
    """

    title: str
    load: Load
    idle: dict[str, int] = field(compare=False)

    @property
    def name(self) -> str:
        return self.title

    @property
    def protocol(self) -> str:
        return self.load.protocol

    @property
    def tool(self) -> str:
        return self.load.tool

    def send(self, server: RunningServer, seconds: float) -> Figures:
        idle = self.idle.get(server.grpc_address)
        if idle is None:
            idle = self.idle[server.grpc_address] = _settled_bytes(server)
        peak, ended = 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(POLL_S):
                peak = max(peak, server.memory_bytes())

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            figures = self.load.send(server, seconds)
        finally:
            ended.set()
            watching.join()
        return msgspec.structs.replace(figures, peak_bytes=max(0, peak - idle))

    def score(self, measurement: Measurement) -> float:
        return measurement.rate


def _settled_bytes(server: RunningServer) -> int:
    """Its memory when that no longer grows: other models may still load."""
    size = server.memory_bytes()
    for _ in range(MOST_SETTLING):
        time.sleep(SETTLE_S)
        before, size = size, server.memory_bytes()
        if size - before < MEBIBYTE:
            break
    return size
