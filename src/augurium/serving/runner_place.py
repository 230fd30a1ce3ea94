"""The places of a node where runners are: each a name, a socket to find it by, and a folder."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from augurium.core import nvidia_files, processors
from augurium.core.errors import ModelFailed
from augurium.core.files import remove_folder
from augurium.core.home import short_socket_path
from augurium.core.settings import RunnerSettings
from augurium.importing.sandbox import SINGLE_THREAD
from augurium.serving import runner_wire as wire
from augurium.serving.placement import Placement
from augurium.serving.runner import RunnerOrder
from augurium.serving.runner_files import LentFiles

PREFIX = "runner-"
LENT = ".models"
MODULE = "augurium.serving.runner"
LOG_TAIL_BYTES = 1000
PASSED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
# beside the socket: why the last process there was ended
CAUSE = ".cause"
CRASH = "crash"

log = structlog.get_logger()


class RunnerPlace:
    """Where one runner is, if there is one, for this engine and for all others of the node.

    The process may read the files `readable`, and where versions share it those that are lent to
    it; it may use the accelerators of the machine if it is `on_device`.
    """

    def __init__(
        self,
        folder: Path,
        placement: Placement,
        readable: tuple[str, ...],
        settings: RunnerSettings,
        *,
        on_device: bool = False,
    ) -> None:
        self.folder = folder
        self.placement = placement
        self.name = f"{PREFIX}{placement.name}"
        self._readable = readable + (nvidia_files.READ if on_device else ())
        self._writable = nvidia_files.device_nodes() if on_device else ()
        self._on_device = on_device
        self._settings = settings
        self._files = LentFiles(folder / f"{self.name}{LENT}") if placement.shared else None
        self._socket_file = short_socket_path(folder / f"{self.name}.sock")

    def reach(self, *, wait: bool = True) -> socket.socket | None:
        """A connection; None when nobody listens, or not at once."""
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(wait)
        try:
            connection.connect(str(self._socket_file))
        except OSError:
            connection.close()
            return None
        return connection

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while somebody looks for a runner and starts one: two would be one too many."""
        with _locked(self.folder):
            yield

    @contextmanager
    def lent(self, files: Sequence[str | None]) -> Iterator[list[str | None]]:
        """Where the runner finds these files while it loads them. Raises ModelFailed."""
        if self._files is None:
            yield list(files)
            return
        with self._files.lent(files) as lent:
            yield lent

    def start(self) -> "subprocess.Popen[bytes]":
        """Starts the process, which listens when this returns. Raises ModelFailed."""
        _check_cpus(self.placement.cpus)
        work = self.folder / self.name
        remove_folder(work)
        try:
            work.mkdir(mode=0o700)
            if self._files is not None:
                self._files.begin()
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
        log.info("runner started", runner=self.name, pid=process.pid)
        threading.Thread(target=self._reap, args=(process,), daemon=True).start()
        return process

    def note_cause(self, cause: str) -> None:
        """Writes down why the process is about to be ended, for who starts the next one."""
        with suppress(OSError):
            (self.folder / f"{self.name}{CAUSE}").write_text(cause)

    def take_cause(self) -> str:
        """Why the last process ended: by itself, if nobody wrote down why."""
        file = self.folder / f"{self.name}{CAUSE}"
        try:
            cause = file.read_text()
        except OSError:
            return CRASH
        file.unlink(missing_ok=True)
        return cause

    def _hand_over(self, process: "subprocess.Popen[bytes]", listener: int) -> None:
        readable = self._readable if self._files is None else (str(self._files.folder),)
        order = RunnerOrder(
            listener=listener,
            readable=readable,
            writable=self._writable,
            idle_s=self._settings.idle_s,
            load_timeout_s=self._settings.load_timeout_s,
            shared=self.placement.shared,
            threads=self.placement.threads,
            # all, if it is not to be certain ones: this engine may be kept on some for a while
            cpus=self.placement.cpus or tuple(sorted(processors.USABLE)),
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
        if self._on_device:
            names = nvidia_files.VARIABLES
            private |= {name: os.environ[name] for name in names if name in os.environ}
            private |= nvidia_files.ORDER
        threads = dict.fromkeys(SINGLE_THREAD, str(self.placement.threads))
        return {**passed, **private, **threads}

    @property
    def _log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        """Waits for the end of a process this engine started, and clears up behind it."""
        status = process.wait()
        report = log.info if status == 0 else log.error
        report("runner ended", runner=self.name, how=how(status), said=_tail(self._log_file))
        with suppress(OSError), _locked(self.folder):
            connection = self.reach()
            if connection is not None:
                connection.close()
                return
            _remove(self.folder, self.name, self._socket_file)


def sweep(folder: Path) -> int:
    """Removes what runners left that ended after the engines which started them; how many runners
    are still there.
    """
    there = 0
    with suppress(OSError), _locked(folder):
        for socket_file in folder.glob(f"{PREFIX}*.sock"):
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.connect(str(short_socket_path(socket_file)))
                except OSError:
                    _remove(folder, socket_file.stem, socket_file)
                    (folder / f"{socket_file.stem}{CAUSE}").unlink(missing_ok=True)
                else:
                    there += 1
    return there


def _check_cpus(cpus: Sequence[int]) -> None:
    if not cpus:
        return
    if not processors.CAN_BE_CHOSEN:
        raise ModelFailed(
            "its placement names CPUs, which this system does not let a process choose; take them"
            " away: augurium serving NAME --cpus ''"
        )
    there = processors.USABLE
    missing = sorted(set(cpus) - there)
    if missing:
        raise ModelFailed(
            f"its placement names CPU {', '.join(map(str, missing[:8]))}, and this node may use"
            f" {', '.join(map(str, sorted(there)[:64]))}; choose others: augurium serving NAME"
            " --cpus LIST"
        )


def how(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _remove(folder: Path, name: str, socket_file: Path) -> None:
    socket_file.unlink(missing_ok=True)
    (folder / f"{name}.log").unlink(missing_ok=True)
    remove_folder(folder / name)
    remove_folder(folder / f"{name}{LENT}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "runners.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
