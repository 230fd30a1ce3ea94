"""Which processors this process may use, and on which others are kept."""

import os
from collections.abc import Collection, Iterator, Set
from contextlib import suppress

from augurium.core.process_files import PROCESSES, stat_fields

CAN_BE_CHOSEN = hasattr(os, "sched_setaffinity")
# fields of /proc/PID/stat after the name, see proc_pid_stat(5)
USER_FIELD, SYSTEM_FIELD = 11, 12


def _usable() -> frozenset[int]:
    if CAN_BE_CHOSEN:
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


USABLE = _usable()
"""The processors this process may use, by number, as it began: for a while it may be kept on some
of them.
"""


def usable_now() -> int:
    """How many processors the calling thread may use at this moment."""
    return len(os.sched_getaffinity(0)) if CAN_BE_CHOSEN else len(USABLE)


def process_tree(root: int) -> Iterator[int]:
    """The ids of a process and all its descendants. Linux only, empty elsewhere."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        # see proc_pid_task(5)
        for listing in (PROCESSES / str(process) / "task").glob("*/children"):
            with suppress(OSError):
                waiting += map(int, listing.read_text().split())


def cpu_seconds(process: int) -> float:
    """The processor time that a process has taken, in user and in kernel mode; 0 when it is gone.

    Linux only.
    """
    try:
        fields = stat_fields(process)
    except OSError:
        return 0.0
    return (int(fields[USER_FIELD]) + int(fields[SYSTEM_FIELD])) / os.sysconf("SC_CLK_TCK")


def kept_on(process: int) -> frozenset[int]:
    """The processors that the first thread of a process may use; none when it is gone."""
    try:
        return frozenset(os.sched_getaffinity(process))
    except OSError:
        return frozenset()


def keep_on(process: int, processors: Set[int], instead_of: Collection[Set[int]]) -> None:
    """Keeps the threads of a process, and those they start, on `processors`; but only those that
    are on one of the sets `instead_of`, not those that somebody else has put elsewhere.
    """
    with suppress(OSError):
        for folder in (PROCESSES / str(process) / "task").iterdir():
            thread = int(folder.name)
            # it may end meanwhile
            with suppress(OSError):
                if os.sched_getaffinity(thread) in instead_of:
                    os.sched_setaffinity(thread, processors)
