"""The runners of a node, as an engine reaches them: found by their socket, started if need be."""

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from augurium.core.errors import ModelFailed
from augurium.core.files import remove_folder
from augurium.core.home import short_socket_path
from augurium.core.settings import RunnerSettings
from augurium.importing.sandbox import SINGLE_THREAD
from augurium.serving import runner_wire as wire
from augurium.serving.runner import RunnerOrder
from augurium.serving.snapshot import DesiredVersion

PREFIX = "runner-"
MODULE = "augurium.serving.runner"
ATTEMPTS = 3
EXIT_TIMEOUT_S = 5.0
LOG_TAIL_BYTES = 1000
PASSED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
# one run uses one core: engines send several at a time

log = structlog.get_logger()


class RunnerProcess:
    """The runner of one version, for this engine and for all others of the node.

    An engine that finds nobody at the version's socket binds it and starts the process, under a
    lock; others connect at once and wait in the socket's queue until the version has loaded.
    `starts` counts how often it was this engine.
    """

    def __init__(
        self,
        folder: Path,
        desired: DesiredVersion,
        settings: RunnerSettings,
    ) -> None:
        self._folder = folder
        self._desired = desired
        self._settings = settings
        self.starts = 0
        self.name = f"{PREFIX}{desired.model}-{desired.version}-{_identity(desired)}"
        self._socket_file = short_socket_path(folder / f"{self.name}.sock")

    def connect(self) -> wire.Channel:
        """A connection to the loaded version; starts the process if there is none. Blocking.

        Raises ModelFailed when the version does not load.
        """
        deadline = time.monotonic() + self._settings.load_timeout_s
        for _ in range(ATTEMPTS):
            with _locked(self._folder):
                process = None
                connection = self._reach()
                if connection is None:
                    process = self._start()
                    connection = self._reach()
            if connection is None:
                raise self._ended_early(process)
            try:
                return self._greeted(wire.Channel(connection), deadline)
            except TimeoutError:
                raise self._too_slow(process) from None
            except (OSError, wire.WireError) as error:
                if process is not None:
                    raise self._ended_early(process) from error
                # it was about to end when we came; the next round starts another
        raise ModelFailed("its runner ends again and again before it is ready")

    def reconnect(self, deadline: float) -> wire.Channel | None:
        """One more connection to a process that runs; None when nobody listens."""
        connection = self._reach()
        if connection is None:
            return None
        try:
            return self._greeted(wire.Channel(connection), deadline)
        except (OSError, wire.WireError):
            return None

    def _greeted(self, channel: wire.Channel, deadline: float) -> wire.Channel:
        try:
            hello, _ = channel.receive(deadline)
            if not isinstance(hello, wire.Hello):
                raise wire.WireError("no greeting")
            if hello.problem:
                raise ModelFailed(hello.problem)
        except BaseException:
            channel.close()
            raise
        return channel

    def _reach(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._socket_file))
        except OSError:
            connection.close()
            return None
        return connection

    def _start(self) -> "subprocess.Popen[bytes]":
        work = self._folder / self.name
        remove_folder(work)
        try:
            work.mkdir(mode=0o700)
            with self._listening() as listener, self._log_file.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-s", "-P", "-m", MODULE],
                    cwd=work,
                    env=self._environment(work),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(listener.fileno(),),
                )
                self._hand_over(process, listener.fileno())
        except OSError as error:
            raise ModelFailed(f"its runner cannot be started: {error.strerror}") from error
        self.starts += 1
        log.info("runner started", runner=self.name, pid=process.pid)
        threading.Thread(target=self._reap, args=(process,), daemon=True).start()
        return process

    def _hand_over(self, process: "subprocess.Popen[bytes]", listener: int) -> None:
        desired = self._desired
        order = RunnerOrder(
            listener=listener,
            runtime=desired.runtime,
            path=desired.path,
            digest=desired.digest,
            weights_path=desired.weights_path,
            weights_digest=desired.weights_digest,
            options=desired.options,
            inputs=tuple(spec.name for spec in desired.signature.inputs),
            outputs=tuple(spec.name for spec in desired.signature.outputs),
            idle_s=self._settings.idle_s,
            load_timeout_s=self._settings.load_timeout_s,
        )
        # a process that died before it read this is found out by its closed socket
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin as stream:
                stream.write(msgspec.json.encode(order))

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        self._socket_file.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            # before the bind, so that nobody else can connect for a moment
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(self._socket_file))
            self._socket_file.chmod(0o600)
            listener.listen(wire.BACKLOG)
            yield listener

    def _environment(self, work: Path) -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        private = {"HOME": str(work), "TMPDIR": str(work), "LANG": "C.UTF-8"}
        return {**passed, **private, **SINGLE_THREAD}

    @property
    def _log_file(self) -> Path:
        return self._folder / f"{self.name}.log"

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        """Waits for the end of a process this engine started, and clears up behind it."""
        status = process.wait()
        report = log.info if status == 0 else log.error
        report("runner ended", runner=self.name, how=_how(status), said=_tail(self._log_file))
        with suppress(OSError), _locked(self._folder):
            connection = self._reach()
            if connection is not None:
                connection.close()
                return
            _remove(self._folder, self.name, self._socket_file)

    def _ended_early(self, process: "subprocess.Popen[bytes] | None") -> ModelFailed:
        try:
            status = process.wait(EXIT_TIMEOUT_S) if process else 0
        except subprocess.TimeoutExpired:
            return ModelFailed("its runner does not answer")
        if status == -signal.SIGALRM:
            return self._too_slow(None)
        return ModelFailed(f"its runner ended while it loaded the model ({_how(status)})")

    def _too_slow(self, process: "subprocess.Popen[bytes] | None") -> ModelFailed:
        if process is not None:
            process.kill()
        return ModelFailed(
            f"it did not load within {self._settings.load_timeout_s:g} s (runners.load_timeout_s)"
        )


def sweep(folder: Path) -> None:
    """Removes what runners left that were killed together with the engines that started them."""
    with suppress(OSError), _locked(folder):
        for socket_file in folder.glob(f"{PREFIX}*.sock"):
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.connect(str(short_socket_path(socket_file)))
                except OSError:
                    _remove(folder, socket_file.stem, socket_file)


def _remove(folder: Path, name: str, socket_file: Path) -> None:
    socket_file.unlink(missing_ok=True)
    (folder / f"{name}.log").unlink(missing_ok=True)
    remove_folder(folder / name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Held while somebody looks for a runner and starts one: two would be one too many."""
    with (folder / "runners.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _identity(desired: DesiredVersion) -> str:
    content = (desired.runtime, desired.digest, desired.weights_digest, desired.options)
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]


def _how(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
