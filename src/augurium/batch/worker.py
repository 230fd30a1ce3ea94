"""A worker of a batch job: carries out one order after another until its job lets go of it.

Run by the job's process as `python -m augurium.batch.worker`. Orders come on standard input, and
what is told goes to standard output. When its input ends, it ends at once, whatever it is at.
"""

import faulthandler
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import BinaryIO

import msgspec

from augurium.batch.idle_priority import yield_to_others
from augurium.batch.worker_start import Confinement, WorkerStart
from augurium.core.errors import AuguriumError, ErrorKind

# read by what is loaded later; a job has a process per core instead
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# no limit of its own: outputs are as large as they are
LARGEST_FILE = 2**60


def main() -> None:
    """Carries out orders. Never returns."""
    faulthandler.enable()
    os.environ.update(ONE_THREAD)
    how = msgspec.json.decode(sys.argv[1], type=WorkerStart)
    yield_to_others(how.scheduling)
    if how.confinement is not None:
        _confine(how.confinement)
    told = os.fdopen(os.dup(1), "wb", buffering=0)
    # whatever a framework prints must not be taken for an answer
    os.dup2(2, 1)
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    # loaded while the job still finds out what there is to do
    from augurium.batch.worker_desk import WorkerDesk
    from augurium.batch.worker_messages import Failed, Note, Reply, decode_order, framed

    lock = threading.Lock()

    def tell(message: Note | Reply) -> None:
        with lock:
            told.write(framed(message))

    desk = WorkerDesk(tell)
    while True:
        try:
            tell(desk.answer(decode_order(orders.get())))
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


def _listen(stream: BinaryIO, orders: "queue.SimpleQueue[bytes]") -> None:
    """Hands orders over as they come. When there will be no more, this process ends."""
    from augurium.batch.worker_messages import LENGTH

    while head := stream.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        orders.put(stream.read(length))
    os._exit(0)


if __name__ == "__main__":
    main()
