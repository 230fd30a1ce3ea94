"""What a load is, and what is measured of a server under it."""

import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from augurium.core.errors import NotReady
from benchmarks.server import RunningServer

PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "gcc": "gcc libc6-dev"}
MARGIN_S = 60.0


class Figures(msgspec.Struct, frozen=True):
    """What a generator says. `failed` are requests without a right answer; `lag_p99_ms` is the
    generator's own lateness, where it keeps a schedule; `peak_bytes` is what the server held above
    its idle memory, where that is watched.
    """

    answered: int
    failed: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    due: int = 0
    lag_p99_ms: float = 0.0
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.answered / self.seconds


class Measurement(msgspec.Struct, frozen=True):
    """One load on one server: figures, and the CPU both sides used, in cores."""

    figures: Figures
    server_cores: float
    generator_cores: float

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.figures.rate


class Load(Protocol):
    """One way to send the workload."""

    @property
    def name(self) -> str: ...

    @property
    def protocol(self) -> str: ...

    @property
    def tool(self) -> str:
        """The program it needs."""
        ...

    def send(self, server: RunningServer, seconds: float) -> Figures: ...

    def score(self, measurement: Measurement) -> float:
        """How good that is; larger is better."""
        ...


def measure(load: Load, server: RunningServer, warmup_s: float, seconds: float) -> Measurement:
    """Sends `load` for `warmup_s`, uncounted, and then for `seconds`.

    Raises NotReady if nothing is answered.
    """
    load.send(server, warmup_s)
    server_before, generator_before, began = server.cpu_s(), _children_cpu_s(), time.monotonic()
    figures = load.send(server, seconds)
    elapsed = time.monotonic() - began
    if not figures.answered:
        raise NotReady(f"{server.peer.name} answered nothing under {load.name}; see its log")
    return Measurement(
        figures,
        server_cores=(server.cpu_s() - server_before) / elapsed,
        generator_cores=(_children_cpu_s() - generator_before) / elapsed,
    )


def missing_packages(loads: Sequence[Load]) -> list[str]:
    """Names of Debian packages that the loads need and this machine lacks."""
    tools = {load.tool for load in loads}
    return sorted(PACKAGES[tool] for tool in tools if shutil.which(tool) is None)


def run_tool(command: Sequence[str], seconds: float, environment: Mapping[str, str]) -> str:
    """What a generator prints. Raises NotReady when it fails or does not end."""
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=seconds + MARGIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotReady(f"{command[0]} did not end after {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise NotReady(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
