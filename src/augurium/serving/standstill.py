"""Whether a process stands still: it waits for something, and nothing in it goes on.

Source: Linux, proc_pid_stat(5): the state of each thread, and processor time in clock ticks.
"""

import os
from pathlib import Path

from augurium.core.process_stat import stat_fields

PROC = Path("/proc")
# between two looks
STILL_S = 0.25
# a thread that waits for Python's lock wakes up two hundred times a second to ask for it
NOISE_S = 0.02
SLEEPING = "S"
ZOMBIE = "Z"


class Standstill:
    """What was seen of one process after another. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._pid = 0
        self._since = float("-inf")
        self._used_s = 0.0

    def look(self, pid: int, after: float, now: float) -> bool:
        """Whether it has stood still for `STILL_S`, as far as was seen since `after`."""
        used_s = used_when_asleep_s(pid)
        if (
            used_s is None
            or pid != self._pid
            or self._since < after
            or used_s - self._used_s > NOISE_S
        ):
            self._pid, self._since, self._used_s = pid, now, used_s or 0.0
            return False
        return now - self._since >= STILL_S


def used_when_asleep_s(pid: int) -> float | None:
    """Seconds of processor time that a process and its descendants have used so far; None while any
    of their threads does something else than sleep, and where the system does not tell.
    """
    ticks = 0
    try:
        for process in _family(pid):
            folder = PROC / str(process)
            state, _, *fields = stat_fields(folder)
            if state == ZOMBIE:
                continue
            if any(stat_fields(task)[0] != SLEEPING for task in (folder / "task").iterdir()):
                return None
            # utime, stime, and those of children that have ended
            ticks += sum(map(int, fields[9:13]))
    except (OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """A process and its descendants. Raises OSError."""
    found = [pid]
    for parent in found:
        for task in (PROC / str(parent) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
