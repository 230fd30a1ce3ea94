"""How much memory this process has, and how what was freed goes back to the system."""

import ctypes
import os
import sys

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """The pages of this process that are in memory; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a third of the time
            return int(file.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def trim() -> None:
    """Gives freed memory back: glibc keeps it otherwise."""
    if sys.platform == "linux":
        # absent from other C libraries, which keep less
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)
