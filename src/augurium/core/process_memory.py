"""How much memory this process takes, by how much something makes it grow, and how what was freed
goes back to the system.
"""

import contextlib
import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
# see proc_pid_clear_refs(5): the peak begins anew at the present size
RESET_PEAK = "5"


class MemoryGrowth:
    """Measures from its creation on.

    Freed memory is given back to the system first, for what is taken again from the allocator's
    store would not show.
    """

    def __init__(self) -> None:
        gc.collect()
        trim()
        with contextlib.suppress(OSError):
            CLEAR_REFS.write_text(RESET_PEAK)
        self._before_bytes = resident_bytes()

    def bytes(self) -> int:
        """The largest resident size since then, above that at the beginning."""
        return max(0, peak_bytes() - self._before_bytes)


def trim() -> None:
    """Gives freed memory back: glibc keeps it otherwise, and other C libraries keep less."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_bytes() -> int:
    """The largest resident size so far, or since the last measurement began."""
    if STATUS.exists():
        # not from getrusage, where a child begins with the peak of the process that started it
        return _status_bytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The resident size now; where the system does not tell, the largest so far."""
    return _status_bytes("VmRSS") if STATUS.exists() else peak_bytes()


def process_bytes(pid: int) -> int:
    """The resident size of another process, 0 if there is none. On Linux."""
    try:
        # proc(5): pages of the whole, and of it those that are resident
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _status_bytes(field: str) -> int:
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(fields[field].split()[0]) * 1024
