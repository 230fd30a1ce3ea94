"""Work that waits for everything else: for the processors, and for the disk."""

import contextlib
import ctypes
import os
import platform
import sys

LOWEST_PRIORITY = 19
# a tenth of a processor that others want as well
LOW_PRIORITY = 10
# linux/ioprio.h: a class that is served when no other one wants the disk
_IDLE_CLASS = 3 << 13
_WHOLE_PROCESS = 1
# the number of the call by machine; the C library has no name for it
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}


def give_way() -> None:
    """This process runs behind others, but runs: it has to say in time that it lives."""
    with contextlib.suppress(OSError):
        os.nice(LOW_PRIORITY)


def become_idle() -> None:
    """This process and what it starts from now on yield to whatever else wants to run.

    What the system does not allow is left out. Threads that run already keep what they have.
    """
    with contextlib.suppress(OSError):
        os.nice(LOWEST_PRIORITY)
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHOLE_PROCESS, 0, _IDLE_CLASS)
