"""REST on a schedule: requests arrive whether or not the server keeps up. See openloop.c."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.load import Figures, Measurement, run_tool
from benchmarks.peer import REST
from benchmarks.server import INFER_PATH, RunningServer
from benchmarks.workload import Workload

SOURCE = Path(__file__).parent / "openloop.c"
CONNECTIONS = 256
WARMUP_S = 0.5  # new connections are slow at first
SEED = 1
COMPILE_TIMEOUT_S = 60.0
REAL_TIME = ("chrt", "--fifo", "1")


@dataclass(frozen=True)
class OpenLoad:
    """`rate` requests a second on average, with Poisson arrivals; the program lies in `bench`.

    With `at_once` it has real-time priority: it stands for other machines, which wait for nothing
    that happens on this one.
    """

    workload: Workload
    bench: Path
    rate: int = 10_000
    protocol: str = REST
    tool: str = "gcc"
    at_once: bool = False

    @property
    def name(self) -> str:
        return f"REST open {self.rate}/s"

    def send(self, server: RunningServer, seconds: float) -> Figures:
        return self.send_to(server.ports.rest, seconds)

    def send_to(self, port: int, seconds: float) -> Figures:
        """The same to whoever listens on a port of this machine."""
        command = (
            *(REAL_TIME if self.at_once else ()),
            *(str(self._program()), str(port), INFER_PATH, str(self.workload.bodies)),
            *(str(self.rate), str(seconds), str(WARMUP_S), str(CONNECTIONS), str(SEED)),
        )
        return msgspec.json.decode(run_tool(command, seconds, os.environ), type=Figures)

    def score(self, measurement: Measurement) -> float:
        return -measurement.figures.p99_ms

    @staticmethod
    def can_be_at_once() -> bool:
        """Whether this user may have real-time priority."""
        try:
            return subprocess.run((*REAL_TIME, "true"), capture_output=True).returncode == 0
        except OSError:
            return False

    def _program(self) -> Path:
        """Compiled once for each state of its source."""
        digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
        program = self.bench / f"openloop-{digest}"
        if not program.exists():
            command = ("gcc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE), "-lm")
            run_tool(command, COMPILE_TIMEOUT_S, os.environ)
        return program
