"""A system call filter that forbids new sockets: a second wall where there is no own network, and
the only one against sockets that lie in the file system. It also forbids memory that belongs to no
process, which nobody would count and which could outlive its maker.

Source: kernel documentation, "Seccomp BPF"; linux/filter.h, linux/seccomp.h, linux/audit.h.
"""

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Sequence

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EACCES
# struct seccomp_data: the number of the call and the architecture it came by
NUMBER_OFFSET, ARCHITECTURE_OFFSET = 0, 4
# instructions of classic BPF: load a word, jump if equal, jump if greater or equal, return
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
INSTRUCTION = struct.Struct("<HBBI")
# AUDIT_ARCH, and the numbers of socket, io_uring_setup, which could open sockets as well,
# memfd_create, memfd_secret, shmget, msgget
ARCHITECTURES = {
    "x86_64": (0xC000003E, (41, 425, 319, 447, 29, 68)),
    "aarch64": (0xC00000B7, (198, 425, 279, 447, 194, 186)),
}
# calls of the x32 interface would come by the same architecture with other numbers
X32_NUMBERS = 0x40000000


def forbid_calls() -> bool:
    """Makes `socket`, `io_uring_setup`, `memfd_create`, `memfd_secret`, `shmget` and `msgget` fail
    in this thread and all it starts.

    Sockets that are open, and socketpair, go on working. Needs no_new_privs. Returns whether the
    kernel does it.
    """
    known = ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or known is None:
        return False
    program = _program(*known)
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // INSTRUCTION.size
    # struct sock_fprog: how many instructions, and where
    described = struct.pack("@HP", count, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0) == 0)


def _program(architecture: int, forbidden: Sequence[int]) -> bytes:
    """Jumps count the instructions that are passed over."""
    count = len(forbidden)
    return b"".join(
        INSTRUCTION.pack(*instruction)
        for instruction in (
            (LOAD, 0, 0, ARCHITECTURE_OFFSET),
            (IF_EQUAL, 0, count + 3, architecture),
            (LOAD, 0, 0, NUMBER_OFFSET),
            (IF_AT_LEAST, count + 1, 0, X32_NUMBERS),
            *((IF_EQUAL, count - place, 0, call) for place, call in enumerate(forbidden)),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, REFUSE),
        )
    )
