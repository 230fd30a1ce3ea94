"""A peer that runs: its processes, when it is ready, and what CPU time it uses."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import grpc
import httpx
import psutil

from augurium.core.errors import NotReady
from benchmarks.grpc_call import call
from benchmarks.peer import GRPC, Peer, Ports
from benchmarks.workload import MODEL, Workload, infer_request, rest_body

READY_TIMEOUT_S = 60.0
STARTS = 3
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
SUCCESSES = 16
LOG_LINES = 20
JSON = {"content-type": "application/json"}
INFER_PATH = f"/v2/models/{MODEL}/infer"


class RunningServer:
    """Starts a peer on free loopback ports and stops it; use as a context manager.

    Each command leads its own process group: stopping reaches what it started and nothing else.
    """

    def __init__(self, peer: Peer, logs: Path, workload: Workload) -> None:
        self.peer = peer
        self.ports = free_ports()
        self._log = logs / f"{peer.name}.log".lower().replace(" ", "-").replace("/", "-")
        self._body = rest_body(workload.rows[0])
        self._message = infer_request(workload.rows[0]).SerializeToString()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "RunningServer":
        for _ in range(STARTS - 1):
            try:
                return self._start()
            except NotReady:
                # a port that was free may have become somebody's in between
                self.ports = free_ports()
        return self._start()

    def _start(self) -> "RunningServer":
        self._processes = []
        launch = self.peer.launch(self.ports)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            for command in launch.commands:
                process = subprocess.Popen(
                    command,
                    cwd=launch.folder,
                    env=launch.full_environment(),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._processes.append(process)
        try:
            self._wait_until_it_predicts()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.rest}{INFER_PATH}"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    def cpu_s(self) -> float:
        """CPU seconds that all its living processes have used."""
        return sum(_cpu_s(process) for process in self._family())

    def memory_bytes(self) -> int:
        """Memory of all its living processes; what they share counts in each."""
        return sum(_memory_bytes(process) for process in self._family())

    def _family(self) -> list[psutil.Process]:
        leaders = [psutil.Process(process.pid) for process in self._processes]
        return leaders + [child for one in leaders for child in one.children(recursive=True)]

    def _wait_until_it_predicts(self) -> None:
        """Until a row of predictions on new connections worked: its processes share a port."""
        deadline, successes = time.monotonic() + READY_TIMEOUT_S, 0
        while successes < SUCCESSES:
            if any(process.poll() is not None for process in self._processes):
                raise NotReady(f"{self.peer.name} ended while starting:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                name, limit = self.peer.name, f"{READY_TIMEOUT_S:.0f} s"
                raise NotReady(f"{name} did not predict within {limit}:\n{self._log_tail()}")
            if self._predicts():
                successes += 1
            else:
                successes = 0
                time.sleep(POLL_S)

    def _predicts(self) -> bool:
        try:
            answer = httpx.post(
                self.rest_url, content=self._body, headers=JSON, trust_env=False, verify=False
            )
            if GRPC in self.peer.protocols:
                call(self.grpc_address, self._message)
        except (httpx.TransportError, grpc.RpcError):
            return False
        return answer.status_code == httpx.codes.OK

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def _stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _kill_rest_of_group(process.pid)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _memory_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _kill_rest_of_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def free_ports() -> Ports:
    """Loopback ports nobody listens on now."""
    sockets = [socket.socket() for _ in Ports._fields]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(*(int(one.getsockname()[1]) for one in sockets))
    finally:
        for one in sockets:
            one.close()
