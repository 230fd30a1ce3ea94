"""Work that waits for everything else: for the processors, and for the disk."""

import contextlib
import ctypes
import os
import platform
import sys

from augurium.core.batch_settings import Scheduling

LOWEST_PRIORITY = 19
# linux/ioprio.h: a class that is served when no other one wants the disk
_IDLE_CLASS = 3 << 13
_WHOLE_PROCESS = 1
# the number of the call by machine; the C library has no name for it
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}


def yield_to_others(scheduling: Scheduling) -> None:
    """This process, and what it starts from now on, stands behind whatever else wants to run:
    always if `idle`, mostly if `low`.

    What the system does not allow is left out. Threads that run already keep what they have.
    """
    if scheduling == "normal":
        return
    with contextlib.suppress(OSError):
        os.nice(LOWEST_PRIORITY)
    if scheduling == "low" or sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHOLE_PROCESS, 0, _IDLE_CLASS)
