"""REST from a number of connections, each sending when its last request is answered."""

from dataclasses import dataclass

from benchmarks.load import Figures, Measurement
from benchmarks.peer import REST
from benchmarks.server import RunningServer
from benchmarks.workload import Workload
from benchmarks.wrk import TOOL, Wrk

SCRIPT = "post.lua"


@dataclass(frozen=True)
class RestLoad:
    """wrk with one thread and `connections` connections."""

    workload: Workload
    connections: int
    protocol: str = REST
    tool: str = TOOL

    @property
    def name(self) -> str:
        return f"REST c={self.connections}"

    def send(self, server: RunningServer, seconds: float) -> Figures:
        variables = {"BENCH_BODIES": str(self.workload.bodies)}
        return Wrk(server.rest_url, SCRIPT, self.connections, variables).send(seconds)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate
