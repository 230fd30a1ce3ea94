"""A small file system for one command, where one may be mounted."""

import subprocess
from pathlib import Path
from typing import NamedTuple

MOUNT_THEN_RUN = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && shift 2 && exec "$@"'


class Disk(NamedTuple):
    """An empty folder, and what must stand before a command so that it is a small file system."""

    folder: Path
    prefix: tuple[str, ...]

    @property
    def mounted(self) -> bool:
        return bool(self.prefix)


def small_disk(folder: Path, size: str) -> Disk:
    """The folder as a file system of `size` ("4m"), in a name space of its own; without a prefix
    where this machine does not allow that.
    """
    for flags in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        prefix = ("unshare", *flags, "sh", "-c", MOUNT_THEN_RUN, "sh", str(folder), size)
        if _can_run([*prefix, "true"]):
            return Disk(folder, prefix)
    return Disk(folder, ())


def _can_run(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
