"""Landlock: the kernel's way for a process to give up files it could reach. Linux 5.13 and newer.

Source: kernel documentation, "Landlock: unprivileged access control"; linux/landlock.h.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# the numbers are the same on every architecture
SYS_CREATE_RULESET, SYS_ADD_RULE, SYS_RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
ALL_OF_FIRST_VERSION = (1 << 13) - 1
# rights and scopes by the version of the interface that brought them
ADDED = {2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
NETWORK_VERSION, SCOPE_VERSION = 4, 6
# TCP bind and connect; abstract sockets and signals to processes outside
ALL_OF_NETWORK, ALL_OF_SCOPES = 0b11, 0b11

READ = EXECUTE | READ_FILE | READ_DIR
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone",
    "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/os-release", "/etc/mime.types",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version",
    "/proc/loadavg", "/proc/sys", "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Leaves this thread, and all that it starts, `readable` and `writable` files and folders.

    Also takes TCP and signals to other processes away where the kernel can. Files that are open
    stay so. Paths that do not exist are passed over. Call it while the process has one thread, with
    no_new_privs set. Returns whether the kernel does it.
    """
    version = _version()
    if version < 1:
        return False
    handled = ALL_OF_FIRST_VERSION
    for since, right in ADDED.items():
        handled |= right if version >= since else 0
    network = ALL_OF_NETWORK if version >= NETWORK_VERSION else 0
    scopes = ALL_OF_SCOPES if version >= SCOPE_VERSION else 0
    attributes = struct.pack("<QQQ", handled, network, scopes)
    size = 24 if version >= SCOPE_VERSION else 16 if version >= NETWORK_VERSION else 8
    rules = _libc.syscall(SYS_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    try:
        for path in readable:
            _allow(rules, path, READ & handled)
        # /proc/self: a process may look at and tune itself
        for path in (*writable, Path("/proc/self"), *map(Path, DEVICES)):
            _allow(rules, path, handled)
        return bool(_libc.syscall(SYS_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def system_folders() -> list[Path]:
    """What a Python process reads to run at all: itself, its packages, libraries, locale."""
    environment = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, *environment]
    return [Path(name) for name in (*SYSTEM, *python) if name]


def _version() -> int:
    if sys.platform != "linux":
        return 0
    return int(_libc.syscall(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION))


def _allow(rules: int, path: Path, rights: int) -> None:
    with suppress(OSError):
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                rights &= FILE_RIGHTS
            rule = struct.pack("<Qi", rights, beneath)
            _libc.syscall(SYS_ADD_RULE, rules, RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(beneath)
