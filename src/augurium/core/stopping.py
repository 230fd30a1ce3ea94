"""When a process has to stop: on SIGTERM, on SIGINT, and when its supervisor lets go of it.

The supervisor holds one end of a pipe, the lifeline, to each of its processes. When it closes that
end, or dies, the process stops: no orphans are left behind, whatever ends the supervisor.
"""

import asyncio
import os
import select
import signal

NO_LIFELINE = -1


async def stop_requested(lifeline: int = NO_LIFELINE) -> asyncio.Event:
    """An event that is set when this process shall stop. `lifeline` is the pipe's descriptor."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await hold_lifeline(lifeline, stop)
    return stop


async def hold_lifeline(lifeline: int, ended: asyncio.Event) -> None:
    """Sets `ended` when the other end of the pipe is closed."""
    if lifeline == NO_LIFELINE:
        return
    pipe = os.fdopen(lifeline, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: _Ending(ended), pipe)


def let_go(lifeline: int) -> bool:
    """Whether the other end of the pipe is closed; never of no lifeline."""
    # nothing is ever written: what there is to read is its end
    return lifeline != NO_LIFELINE and bool(select.select([lifeline], [], [], 0)[0])


class _Ending(asyncio.Protocol):
    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
