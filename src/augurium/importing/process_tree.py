"""A process and all that came of it: how much memory they hold, and their end."""

import contextlib
import os
import resource
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from augurium.core.process_files import PROCESSES, stat_fields

# fields of /proc/PID/stat after the name, see proc_pid_stat(5)
PARENT_FIELD = 1
RSS_FIELD = 21


class Process(NamedTuple):
    pid: int
    parent: int
    rss_bytes: int


def memory_bytes(root: int) -> int:
    """Resident memory of a process and its descendants; shared pages count once per process."""
    children: dict[int, list[Process]] = defaultdict(list)
    total = 0
    for process in _processes():
        children[process.parent].append(process)
        total += process.rss_bytes if process.pid == root else 0
    waiting = [root]
    while waiting:
        for child in children.pop(waiting.pop(), ()):
            total += child.rss_bytes
            waiting.append(child.pid)
    return total


def kill_group(group: int) -> None:
    """Ends every process of the group at once; one that has ended already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _processes() -> Iterator[Process]:
    """Each process of the machine."""
    if not (PROCESSES / "self" / "stat").exists():
        yield from _processes_by_ps()
        return
    page_bytes = resource.getpagesize()
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            process = int(folder.name)
            fields = stat_fields(process)
            rss_bytes = int(fields[RSS_FIELD]) * page_bytes
            yield Process(process, int(fields[PARENT_FIELD]), rss_bytes)


def _processes_by_ps() -> Iterator[Process]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=False
    )
    for line in listing.stdout.splitlines():
        pid, parent, kibibytes = map(int, line.split())
        yield Process(pid, parent, kibibytes * 1024)
