"""One measurement at a time: two would share the cores, the folders and the blame."""

import fcntl
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augurium.core.errors import Conflict


@contextmanager
def only_one(bench: Path) -> Iterator[None]:
    """Holds the lock of this checkout's benchmarks. Raises Conflict if another run has it.

    From here on SIGTERM unwinds the stack, so that no server stays behind.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    bench.mkdir(parents=True, exist_ok=True)
    with (bench / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                "another benchmark is running in this checkout; wait for its end and run again"
            ) from error
        yield
