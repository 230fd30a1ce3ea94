"""Tables of many rows through `:predict`, and what ONNX Runtime alone does with the same rows."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnxruntime as ort
import pyarrow as pa
from pyarrow import ipc

from augurium.core.errors import ModelFailed
from benchmarks.load import Figures, Load, Measurement
from benchmarks.payload_peers import ARROW
from benchmarks.server import RunningServer
from benchmarks.workload import FEATURES, SEED, Workload

ROWS = 65_536
CONNECTIONS = 2
BLOCK_ROWS = 1024
THREADS = 2
TIMEOUT_S = 60.0
RECEIVED_BYTES = 1024 * 1024
OK = b"HTTP/1.1 200"


def _rows() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(SEED + 2).normal(size=(ROWS, FEATURES)).astype(np.float32)


@dataclass(frozen=True)
class ArrowLoad:
    """Every request is a table of 65 536 rows, one column of lists, about 26 MB; each of two
    connections sends the next when the last is answered.
    """

    model: str
    title: str
    protocol: str = ARROW
    tool: str = ""

    @property
    def name(self) -> str:
        return self.title

    def send(self, server: RunningServer, seconds: float) -> Figures:
        """Raises ModelFailed for an answer that is an error."""
        return _closed_loop(lambda: _Caller(server.ports.rest, self._request), seconds)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate

    @contextmanager
    def under_way(self, server: RunningServer) -> Iterator[None]:
        """Sends until the end of the block."""
        ended = threading.Event()
        threads = [
            threading.Thread(target=_until, args=(ended, server.ports.rest, self._request))
            for _ in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    @cached_property
    def _request(self) -> tuple[bytes, memoryview]:
        column = pa.FixedSizeListArray.from_arrays(pa.array(_rows().ravel()), FEATURES)
        table = pa.table({"features": column})
        sink = pa.BufferOutputStream()
        with ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        body = memoryview(sink.getvalue())
        head = (
            f"POST /v1/models/{self.model}:predict HTTP/1.1\r\nhost: bench\r\n"
            f"content-type: application/vnd.apache.arrow.stream\r\ncontent-length: {len(body)}"
            "\r\n\r\n"
        )
        return head.encode(), body


@dataclass(frozen=True)
class AloneLoad:
    """ONNX Runtime in this process: the same rows in blocks on two threads, no server at all."""

    workload: Workload
    title: str
    protocol: str = ARROW
    tool: str = ""

    @property
    def name(self) -> str:
        return self.title

    def send(self, server: RunningServer, seconds: float) -> Figures:
        return _closed_loop(lambda: self._run, seconds, callers=1)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate

    def _run(self) -> None:
        rows, session = self._prepared
        blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, ROWS, BLOCK_ROWS)]
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in threads.map(lambda block: session.run(None, {"features": block}), blocks):
                pass

    @cached_property
    def _prepared(
        self,
    ) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], ort.InferenceSession]:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(
            str(self.workload.onnx), options, providers=["CPUExecutionProvider"]
        )
        return _rows(), session


@dataclass(frozen=True)
class BesideLoad:
    """Another load while tables of many rows are under way."""

    title: str
    load: Load
    tables: ArrowLoad
    protocol: str = ARROW

    @property
    def name(self) -> str:
        return self.title

    @property
    def tool(self) -> str:
        return self.load.tool

    def send(self, server: RunningServer, seconds: float) -> Figures:
        with self.tables.under_way(server):
            return self.load.send(server, seconds)

    def score(self, measurement: Measurement) -> float:
        return measurement.rate


class _Caller:
    """One connection; a call sends one table and reads the answer."""

    def __init__(self, port: int, request: tuple[bytes, memoryview]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._request = request
        self._buffer = bytearray(RECEIVED_BYTES)

    def __call__(self) -> None:
        for part in self._request:
            self._socket.sendall(part)
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._received()
        head, _, body = came.partition(b"\r\n\r\n")
        if not head.startswith(OK):
            raise ModelFailed(f"a table of rows was answered with {came[:300]!r}")
        left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
        while left > 0:
            left -= len(self._received())

    def _received(self) -> memoryview:
        size = self._socket.recv_into(self._buffer)
        if not size:
            raise ModelFailed("the connection ended inside an answer")
        return memoryview(self._buffer)[:size]


def _closed_loop(
    caller: Callable[[], Callable[[], None]], seconds: float, callers: int = CONNECTIONS
) -> Figures:
    began = time.monotonic()

    def work(call: Callable[[], None]) -> list[float]:
        taken = []
        while time.monotonic() < began + seconds:
            sent = time.monotonic()
            call()
            taken.append(time.monotonic() - sent)
        return taken

    with ThreadPoolExecutor(callers) as threads:
        found = [threads.submit(work, caller()) for _ in range(callers)]
        taken_s = [one for future in found for one in future.result()]
    p50, p90, p99, p999 = (
        float(value) * 1e3 for value in np.percentile(taken_s, (50, 90, 99, 99.9))
    )
    return Figures(len(taken_s), 0, time.monotonic() - began, p50, p90, p99, p999)


def _until(ended: threading.Event, port: int, request: tuple[bytes, memoryview]) -> None:
    call = _Caller(port, request)
    while not ended.is_set():
        call()
