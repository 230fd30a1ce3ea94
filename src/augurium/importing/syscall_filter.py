"""A system call filter that forbids new sockets: a second wall where there is no own network, and
the only one against sockets that lie in the file system.

Source: kernel documentation, "Seccomp BPF"; linux/filter.h, linux/seccomp.h, linux/audit.h.
"""

import ctypes
import errno
import platform
import struct
import sys

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EACCES
# struct seccomp_data: the number of the call and the architecture it came by
NUMBER_OFFSET, ARCHITECTURE_OFFSET = 0, 4
# instructions of classic BPF: load a word, jump if equal, jump if greater or equal, return
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
INSTRUCTION = struct.Struct("<HBBI")
# AUDIT_ARCH, and the numbers of socket and io_uring_setup, which could open sockets as well
ARCHITECTURES = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
# calls of the x32 interface would come by the same architecture with other numbers
X32_NUMBERS = 0x40000000


def forbid_sockets() -> bool:
    """Makes `socket` and `io_uring_setup` fail in this thread and all it starts.

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


def _program(architecture: int, socket: int, ring: int) -> bytes:
    """Jumps count the instructions that are passed over."""
    return b"".join(
        INSTRUCTION.pack(*instruction)
        for instruction in (
            (LOAD, 0, 0, ARCHITECTURE_OFFSET),
            (IF_EQUAL, 0, 5, architecture),
            (LOAD, 0, 0, NUMBER_OFFSET),
            (IF_AT_LEAST, 3, 0, X32_NUMBERS),
            (IF_EQUAL, 2, 0, socket),
            (IF_EQUAL, 1, 0, ring),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, REFUSE),
        )
    )
