"""A group of processes: how much memory it holds, and its end."""

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROCESSES = Path("/proc")
# fields of /proc/PID/stat after the name, see proc_pid_stat(5)
GROUP_FIELD = 2
RSS_FIELD = 21


def memory_bytes(group: int) -> int:
    """Resident memory of all processes of the group; shared pages count once per process."""
    return sum(rss for member, rss in _processes() if member == group)


def kill(group: int) -> None:
    """Ends every process of the group at once; one that has ended already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _processes() -> Iterator[tuple[int, int]]:
    """Group and resident bytes of each process of the machine."""
    if not (PROCESSES / "self" / "stat").exists():
        yield from _processes_by_ps()
        return
    page_bytes = resource.getpagesize()
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # the name may hold blanks and brackets; the fields begin after its last bracket
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            yield int(fields[GROUP_FIELD]), int(fields[RSS_FIELD]) * page_bytes


def _processes_by_ps() -> Iterator[tuple[int, int]]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=False
    )
    for line in listing.stdout.splitlines():
        group, kibibytes = line.split()
        yield int(group), int(kibibytes) * 1024
