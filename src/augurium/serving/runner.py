"""A runner: the process that holds versions whose runtime may not live in an engine.

Run by the first engine that needs it as `python -m augurium.serving.runner`, with its order on
standard input and a listening socket among its descriptors. All engines of the node share it. It
needs no supervisor: without an engine connected it ends by itself.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from augurium.importing.confinement import isolate
from augurium.serving import runner_wire as wire

FILE_BYTES = 1024**3


class RunnerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner is told: its socket's descriptor, what it may read and which devices it may
    use, and when to end by itself.

    It ends `idle_s` after the last engine left, and when loading takes more than `load_timeout_s`.
    Versions may come that are not known yet where it is `shared`. A run has so many `threads`, and
    all of them together these `cpus`.
    """

    listener: int
    readable: tuple[str, ...]
    writable: tuple[str, ...] = ()
    idle_s: float
    load_timeout_s: float
    shared: bool = False
    threads: int = 1
    cpus: tuple[int, ...] = ()


def main() -> None:
    """Confines this process and serves versions until nobody needs them."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=RunnerOrder)
    # a child begins with the mask of its parent, which may block signals
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if order.cpus and hasattr(os, "sched_setaffinity"):
        # threads begin with what the first one may use
        os.sched_setaffinity(0, order.cpus)
    listener = socket.socket(fileno=order.listener)
    # again, by this process: from now on the kernel tells engines whom they talk to
    listener.listen(wire.BACKLOG)
    isolate(
        readable=[Path(file) for file in order.readable],
        writable=[Path.cwd(), *map(Path, order.writable)],
        file_bytes=FILE_BYTES,
    )
    # everything else is imported by a confined process
    from augurium.serving.runner_server import RunnerServer

    RunnerServer(listener, order).serve()
    # threads of frameworks need no farewell, and some never end
    os._exit(0)


if __name__ == "__main__":
    main()
