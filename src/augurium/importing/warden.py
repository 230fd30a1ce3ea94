"""Starts one command and ends with it everything that came of it, also what moved to a session of
its own.

Run as `python -I -S warden.py PARENT COMMAND...`, without any package: it is there in milliseconds.
Processes whose parent has ended become its children (PR_SET_CHILD_SUBREAPER, prctl(2)), so nothing
that the command starts gets out of its sight. It ends as the command ended: with the same exit code
or by the same signal. SIGTERM, and the end of PARENT, end everything.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import FrameType

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_START = 127
# fields of /proc/PID/stat after the name, see proc_pid_stat(5)
PARENT_FIELD = 1


def main(arguments: Sequence[str]) -> None:
    """Does not return: this process ends as the command does."""
    parent, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # from here on SIGTERM, which would end this process alone, waits for its handler
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        _become(command)
    signal.signal(signal.SIGTERM, _stop)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    if os.getppid() != parent:
        _end_all()
    status = _wait_for(child)
    _end_all()
    _end_like(status)


def _become(command: Sequence[str]) -> None:
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - our own child process
    finally:
        os._exit(CANNOT_START)


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _stop(number: int, frame: FrameType | None) -> None:
    _end_all()
    os._exit(128 + signal.SIGTERM)


def _end_all() -> None:
    """Kills children until there are none: theirs become ours when they die."""
    while True:
        for pid in _children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    own = os.getpid()
    # without pathlib, which takes longer to import than all of this
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal():
            # the name of a process may hold blanks and brackets
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:  # noqa: PTH123
                if int(stream.read().rpartition(b")")[2].split()[PARENT_FIELD]) == own:
                    yield int(name)


def _end_like(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
