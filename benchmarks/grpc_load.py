"""gRPC from a number of connections with some calls in flight on each, raw tensors."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augurium.core.errors import NotReady
from benchmarks.grpc_call import INFER_METHOD, call
from benchmarks.load import Figures, Measurement, run_tool
from benchmarks.peer import GRPC
from benchmarks.server import RunningServer

CONNECTIONS = 8
STREAMS = 8
PREFIX_BYTES = 5
RIGHT_STATUS = 200


@dataclass(frozen=True)
class GrpcLoad:
    """h2load with a length-prefixed ModelInfer message as the body. `window_bits` is how much a
    connection and a stream take ahead, h2load's own 64 KiB if 0.
    """

    message: Path
    connections: int = CONNECTIONS
    streams: int = STREAMS
    window_bits: int = 0
    protocol: str = GRPC
    tool: str = "h2load"

    @property
    def name(self) -> str:
        return f"gRPC c={self.connections}x{self.streams}"

    def send(self, server: RunningServer, seconds: float) -> Figures:
        answer = call(server.grpc_address, self.message.read_bytes()[PREFIX_BYTES:])
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "h2load.tsv"
            printed = run_tool(self._command(server, seconds, log), seconds, os.environ)
            rows = np.loadtxt(log, dtype=np.int64, ndmin=2)
        return _figures(rows, printed, len(answer) + PREFIX_BYTES)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate

    def _command(self, server: RunningServer, seconds: float, log: Path) -> tuple[str, ...]:
        return (
            *(
                "h2load",
                f"-c{self.connections}",
                f"-m{self.streams}",
                *(f"-{flag}{self.window_bits}" for flag in "wW" if self.window_bits),
                f"-D{round(seconds * 1000)}ms",
                f"--log-file={log}",
            ),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            *("-d", str(self.message), f"http://{server.grpc_address}{INFER_METHOD}"),
        )


def _figures(
    rows: np.ndarray[tuple[int, int], np.dtype[np.int64]], printed: str, size: int
) -> Figures:
    """From h2load's log (start in us, status, us to the end) and its count of answered bytes.

    A gRPC error has HTTP status 200 and no message, so the bytes tell how many answers there were.
    """
    data = re.search(r"\((\d+)\) data", printed)
    if data is None or not len(rows):
        raise NotReady(f"h2load measured nothing: {printed.strip()}")
    ended = int((rows[:, 1] == RIGHT_STATUS).sum())
    answered = min(ended, int(data.group(1)) // size)
    seconds = (rows[:, 0] + rows[:, 2]).max() - rows[:, 0].min()
    p50, p90, p99, p999 = np.percentile(rows[:, 2], (50, 90, 99, 99.9)) / 1e3
    return Figures(
        answered=answered,
        failed=len(rows) - answered,
        seconds=float(seconds) / 1e6,
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        p999_ms=float(p999),
    )
