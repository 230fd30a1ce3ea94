"""REST from a number of connections, each sending when its last request is answered."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.load import Figures, Measurement, run_tool
from benchmarks.peer import REST
from benchmarks.server import RunningServer
from benchmarks.workload import Workload

SCRIPT = Path(__file__).parent / "post.lua"


@dataclass(frozen=True)
class RestLoad:
    """wrk with one thread and `connections` connections."""

    workload: Workload
    connections: int
    protocol: str = REST
    tool: str = "wrk"

    @property
    def name(self) -> str:
        return f"REST c={self.connections}"

    def send(self, server: RunningServer, seconds: float) -> Figures:
        options = ("-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s")
        command = ("wrk", *options, "-s", str(SCRIPT), server.rest_url)
        environment = {**os.environ, "BENCH_BODIES": str(self.workload.bodies)}
        printed = run_tool(command, seconds, environment)
        return msgspec.json.decode(printed.splitlines()[-1], type=Figures)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate
