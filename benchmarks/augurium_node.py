"""One `augurium serve` of this checkout, started and stopped for a measurement."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import psutil

from augurium.core.errors import NotReady
from benchmarks.peer import Ports

AUGURIUM = (sys.executable, "-m", "augurium.cli")
STOP_TIMEOUT_S = 40.0
LOG_LINES = 20


def serve_command(home: Path, ports: Ports, engines: int, *others: str) -> tuple[str, ...]:
    """The command line of a node; what `others` do not say is at its default."""
    places = (("home", home), ("port", ports.rest), ("grpc-port", ports.grpc))
    options = (*places, ("control-port", ports.other), ("engines", engines))
    return (
        *AUGURIUM,
        "serve",
        *(part for name, value in options for part in (f"--{name}", str(value))),
        *others,
    )


class AuguriumNode:
    """A node in the foreground; a context manager. `ready_s` is the time to its ready line."""

    def __init__(self, home: Path, ports: Ports, engines: int, *options: str) -> None:
        self._command = serve_command(home, ports, engines, *options)
        self.ports = ports
        self._log = home.parent / "node.log"
        self.control_url = f"http://127.0.0.1:{ports.other}"
        self.ready_s = 0.0

    def __enter__(self) -> "AuguriumNode":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log)
        if not self._process.stdout or not self._process.stdout.readline():
            self._process.wait()
            raise NotReady(f"augurium serve ended without its ready line:\n{self._log_tail()}")
        self.ready_s = time.monotonic() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def register(self, model: Path, name: str, *options: str) -> None:
        """Registers and deploys a model file. Raises NotReady with what the command said."""
        command = (*AUGURIUM, "register", str(model), "--name", name, "--deploy", *options)
        environment = {**os.environ, "AUGURIUM_URL": self.control_url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotReady(f"'augurium register' failed:\n{done.stdout}{done.stderr}")

    def pss_bytes(self) -> int:
        """Memory of all processes of the node, shared pages counted once."""
        leader = psutil.Process(self._process.pid)
        family = [leader, *leader.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family)

    def process_count(self) -> int:
        return 1 + len(psutil.Process(self._process.pid).children(recursive=True))

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])
