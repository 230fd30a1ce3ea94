"""Memory that an engine and a runner share: tensors cross in it without passing a socket.

The engine makes it and decides what lies where; a seal keeps it from shrinking under the engine's
hands. The runner may write whatever it likes into it at any time: the engine copies what it reads
before it looks at it.
"""

import fcntl
import mmap
import os
from bisect import insort
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire

# below this, copying through a socket costs little more than finding a place in shared memory
SHARED_BYTES = 32 * 1024

# the first page is for the runner to say how far it is
PAGE = 4096
STARTED = np.dtype("<u8")


class SharedMemory:
    """The memory of one connection, as either side sees it."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over. Raises OSError and ValueError for what is no such memory."""
        try:
            self.size = os.fstat(descriptor).st_size
            self._map = mmap.mmap(descriptor, self.size)
        finally:
            os.close(descriptor)
        self._bytes: Array = np.frombuffer(self._map, np.uint8)
        self._started: Array = self._bytes[: STARTED.itemsize].view(STARTED)

    @property
    def started(self) -> int:
        """The last run that the runner began; nothing to rely on."""
        return int(self._started[0])

    @started.setter
    def started(self, run: int) -> None:
        self._started[0] = run

    def write(self, place: int, parts: Sequence[bytes | memoryview]) -> None:
        """Puts a payload as `wire.packed` made it to a place that has room for it."""
        position = place
        for part in parts:
            end = position + len(part)
            self._bytes[position:end] = np.frombuffer(part, np.uint8)
            position = end + -end % wire.ALIGNMENT

    def view(self, place: int, size: int) -> Array:
        """The bytes of a place, which the other side may change."""
        return self._bytes[place : place + size]

    def holds(self, array: Array) -> bool:
        """Whether an array's memory may be part of this."""
        return bool(np.may_share_memory(array, self._bytes))


class Places:
    """Which parts of a shared memory are in use: the first gap that is large enough is taken, so
    that a little traffic touches a little memory.
    """

    def __init__(self, size: int) -> None:
        # begin and end of each gap, in order
        self._gaps = [(PAGE, size)] if size > PAGE else []

    def take(self, size: int) -> int | None:
        """Where `size` bytes are free; None if they are not."""
        size += -size % PAGE
        for index, (begin, end) in enumerate(self._gaps):
            if end - begin >= size:
                if end - begin == size:
                    del self._gaps[index]
                else:
                    self._gaps[index] = (begin + size, end)
                return begin
        return None

    def give_back(self, place: int, size: int) -> None:
        """Frees what `take` gave for `size`."""
        end = place + size + -size % PAGE
        insort(self._gaps, (place, end))
        index = self._gaps.index((place, end))
        if index + 1 < len(self._gaps) and self._gaps[index + 1][0] == end:
            end = self._gaps.pop(index + 1)[1]
        if index and self._gaps[index - 1][1] == place:
            place = self._gaps[index - 1][0]
            del self._gaps[index]
            index -= 1
        self._gaps[index] = (place, end)


def new_memory(size: int) -> int | None:
    """A descriptor of memory that cannot change its size; None where the system has none."""
    if not hasattr(os, "memfd_create"):
        return None
    with suppress(OSError):
        descriptor = os.memfd_create("augurium-runner", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    return None
