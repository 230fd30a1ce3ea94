"""The limits a child puts on itself, before it reads anything that came from outside."""

import ctypes
import os
import resource
import signal
import sys

from augurium.importing.job import Confinement

LOWEST_PRIORITY = 10
# linux/prctl.h, linux/sched.h
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def confine(limits: Confinement) -> bool:
    """Lowers priority and limits of this process for good; returns whether the network is cut off.

    To be called while the process has one thread: the kernel refuses a new user namespace
    otherwise.
    """
    os.nice(LOWEST_PRIORITY)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes)
    # a second between the limits, so that the signal tells why: SIGXCPU comes first, then SIGKILL
    _lower(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # an own user namespace gives the right to an own, empty network where plain users lack it
    return any(libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def _lower(limit: int, soft: int, hard: int) -> None:
    _, ceiling = resource.getrlimit(limit)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(limit, (soft, hard))
