"""A child process of an import: confined, watched, and ended with everything it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from augurium.importing import process_tree, warden
from augurium.importing.left_files import is_more_than, open_left

LOG_FILE = "child.log"
LOG_TAIL_BYTES = 4096
WATCH_INTERVAL_S = 0.1
# looking at files takes longer than looking at memory
DISK_INTERVALS = 5
GRACE_S = 5.0
# found by the child's loader and interpreter; everything else of the environment stays outside
PASSED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
SINGLE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)


class Budget(msgspec.Struct, frozen=True):
    """What a child may use.

    Wall-clock time until `deadline` (monotonic), memory of its group, and room for its files.
    """

    deadline: float
    memory_bytes: int
    disk_bytes: int


class End(StrEnum):
    """How a child came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    OUT_OF_DISK = "out of disk"


class Ending(msgspec.Struct, frozen=True):
    """The end of a child: a description, never an error. Its exit status proves nothing.

    `log_tail` is the end of what it printed, `signal` the name of what ended it, such as `SIGSEGV`.
    """

    end: End
    signal: str
    duration_s: float
    peak_memory_bytes: int
    log_tail: str


def run_child(command: Sequence[str], folder: Path, budget: Budget) -> Ending:
    """Runs `command` in the private folder `folder` until it ends or its budget does.

    The child gets an own session, an environment without secrets, and no standard input. Nothing
    that it started is left when this returns, on Linux not even what left its session. Blocking.
    """
    started = time.monotonic()
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            [*_warden(), *command],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end, peak_bytes = _watch(process, folder, budget)
    finally:
        _end(process)
    return Ending(
        end=end,
        signal=_signal_name(process.returncode) if end is End.SIGNALLED else "",
        duration_s=time.monotonic() - started,
        peak_memory_bytes=peak_bytes,
        log_tail=_tail(folder / LOG_FILE),
    )


def _warden() -> list[str]:
    """What stands before a command to start it under a warden, where there can be one."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-I", "-S", str(warden.__file__), str(os.getpid())]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the child with all that came of it."""
    if _warden():
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            return
    process_tree.kill_group(process.pid)
    process.wait()


def _watch(process: subprocess.Popen[bytes], folder: Path, budget: Budget) -> tuple[End, int]:
    peak_bytes, looks = 0, 0
    while (remaining_s := budget.deadline - time.monotonic()) > 0:
        try:
            process.wait(min(WATCH_INTERVAL_S, remaining_s))
        except subprocess.TimeoutExpired:
            peak_bytes = max(peak_bytes, process_tree.memory_bytes(process.pid))
            if peak_bytes > budget.memory_bytes:
                return End.OUT_OF_MEMORY, peak_bytes
            looks += 1
            if looks % DISK_INTERVALS == 0 and is_more_than(folder, budget.disk_bytes):
                return End.OUT_OF_DISK, peak_bytes
        else:
            return _end_of(process.returncode), peak_bytes
    return End.TIMED_OUT, peak_bytes


def _end_of(status: int) -> End:
    if status == -signal.SIGXCPU:
        return End.TIMED_OUT
    return End.SIGNALLED if status < 0 else End.EXITED


def _signal_name(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _environment(folder: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    private = {"HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    return {**passed, **private, **SINGLE_THREAD}


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError), open_left(log) as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - LOG_TAIL_BYTES))
        return stream.read().decode("utf-8", "replace").strip()
    return ""
