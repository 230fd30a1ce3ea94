"""The limits a process puts on itself, before it reads anything that came from outside."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from augurium.importing import landlock
from augurium.importing.job import Confinement
from augurium.importing.syscall_filter import forbid_calls

LOWEST_PRIORITY = 10
# linux/prctl.h, linux/sched.h
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


class Isolation(NamedTuple):
    """What a process managed to cut itself off from; not every kernel and container allows it."""

    network_cut: bool
    file_system_confined: bool


def confine(limits: Confinement) -> Isolation:
    """Lowers priority and limits of this process for good and isolates it.

    It may write its working folder and read the folder above. To be called while the process has
    one thread: the kernel refuses a new user namespace otherwise.
    """
    _lower_priority()
    # a second between the limits, so that the signal tells why: SIGXCPU comes first, then SIGKILL
    _lower(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    folder = Path.cwd()
    readable = [folder.parent, *map(Path, limits.readable)]
    return isolate(readable=readable, writable=[folder], file_bytes=limits.file_bytes)


def isolate(*, readable: Sequence[Path], writable: Sequence[Path], file_bytes: int) -> Isolation:
    """Takes away, for this process and all it starts: the network, new privileges, files beyond
    `readable`, `writable` and this Python with its libraries, and the writing of huge files.

    To be called while the process has one thread.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    if sys.platform != "linux":
        return Isolation(False, False)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # an own user namespace gives the right to an own, empty network where plain users lack it
    own_network = any(
        libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET)
    )
    confined = landlock.restrict([*readable, *landlock.system_folders()], writable)
    # also where there is no own network, and against the sockets that lie in the file system
    no_sockets = forbid_calls()
    return Isolation(own_network or no_sockets, confined)


def _lower_priority() -> None:
    """Of this process and of its session, which is its own: where the scheduler shares the
    processors between sessions, the priority of a process counts only within its session.

    Source: sched(7), "The autogroup feature".
    """
    os.nice(LOWEST_PRIORITY)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOWEST_PRIORITY))


def _lower(limit: int, soft: int, hard: int) -> None:
    _, ceiling = resource.getrlimit(limit)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(limit, (soft, hard))
