"""Reading what a child left in its folder: a stranger may have put anything in its place."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

# unit of st_blocks, see stat(2)
BLOCK_BYTES = 512
# to make and remove a small file takes as long as to write so much
ENTRY_BYTES = 64 * 1024


def open_left(file: Path) -> BinaryIO:
    """Opens a regular file of a child.

    Goes through no link, which could lead out of the folder, and waits for nobody at the other end
    of a pipe. Raises OSError, FileNotFoundError where nothing is.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def is_more_than(folder: Path, limit_bytes: int) -> bool:
    """Whether the files of a folder take more room than that, each at least `ENTRY_BYTES`.

    Not all are looked at once it is clear. What cannot be looked at was hidden on purpose.
    """
    taken, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    blocks = entry.stat(follow_symlinks=False).st_blocks
                    taken += max(ENTRY_BYTES, blocks * BLOCK_BYTES)
                    if taken > limit_bytes:
                        return True
        except FileNotFoundError:
            # it went away
            continue
        except OSError:
            return True
    return False
