"""A child of a job's process: carries out one order after another until the job lets go of it.

Its command line says how it begins, see `WorkerStart`. Orders come on standard input, and what is
told goes to standard output.
"""

import faulthandler
import os
import queue
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Protocol

import msgspec

from augurium.batch.idle_priority import yield_to_others
from augurium.batch.worker_start import Confinement, WorkerStart
from augurium.core.errors import AuguriumError, ErrorKind

if TYPE_CHECKING:
    from augurium.batch.worker_messages import Note, Order, Reply, Tell

# read by what is loaded later; a job has a process per core instead
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# no limit of its own: outputs are as large as they are
LARGEST_FILE = 2**60


class OrderDesk(Protocol):
    """What is done about orders, one at a time."""

    def answer(self, order: "Order") -> "Reply":
        """Carries an order out. Raises what goes wrong."""
        ...

    def leave(self) -> None:
        """Ends what others do for it; called by another thread, whatever it is at."""
        ...


def carry_out(open_desk: "Callable[[Tell], OrderDesk]") -> NoReturn:
    """Carries out orders. When there will be no more, the process ends at once. The desk is opened
    while the job still finds out what there is to do.
    """
    faulthandler.enable()
    os.environ.update(ONE_THREAD)
    how = msgspec.json.decode(sys.argv[1], type=WorkerStart)
    yield_to_others(how.scheduling)
    if how.confinement is not None:
        _confine(how.confinement)
    told = os.fdopen(os.dup(1), "wb", buffering=0)
    # whatever a framework prints must not be taken for an answer
    os.dup2(2, 1)
    from augurium.batch.worker_messages import LENGTH, Failed, decode_order, framed

    # behind what it needs: modules that two threads load at once may find each other half loaded
    orders = _Orders(sys.stdin.buffer, LENGTH)
    lock = threading.Lock()

    def tell(message: "Note | Reply") -> None:
        with lock:
            told.write(framed(message))

    orders.desk = desk = open_desk(tell)
    while True:
        try:
            tell(desk.answer(decode_order(orders.next())))
        except AuguriumError as error:
            tell(Failed(error.kind, str(error)))
        except Exception as error:
            traceback.print_exc()
            tell(Failed(ErrorKind.INTERNAL, f"{type(error).__name__}: {error}"))


def _confine(confinement: Confinement) -> None:
    """To be called while this process has one thread, and has read nothing of strangers."""
    from augurium.importing.confinement import isolate

    isolate(
        readable=[Path(path) for path in confinement.readable],
        writable=[Path(path) for path in confinement.writable],
        file_bytes=LARGEST_FILE,
    )


class _Orders:
    """Takes orders as they come, and ends the process when there will be no more."""

    def __init__(self, stream: BinaryIO, length: struct.Struct) -> None:
        self.desk: OrderDesk | None = None
        self._length = length
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def next(self) -> bytes:
        """The next one, when it is there."""
        return self._orders.get()

    def _listen(self, stream: BinaryIO) -> None:
        while head := stream.read(self._length.size):
            (length,) = self._length.unpack(head)
            self._orders.put(stream.read(length))
        if self.desk is not None:
            self.desk.leave()
        os._exit(0)
