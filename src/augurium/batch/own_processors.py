"""The processors of a batch job: those that the node leaves to it while predictions come."""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from augurium.core import processors
from augurium.core.home import Home

INTERVAL_S = 0.25


async def keep_apart(home: Home) -> None:
    """Says that a job runs, and keeps this process, with all it starts, on the processors that are
    left to jobs; until it is cancelled.
    """
    if not processors.CAN_BE_CHOSEN:
        return
    with home.batch_lock.open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_SH)
        now = before = processors.USABLE
        while True:
            left = _left(home.batch_processors)
            if left != now:
                before, now = now, left
            if now != before:
                for process in processors.process_tree(os.getpid()):
                    processors.keep_on(process, now, (before,))
            await asyncio.sleep(INTERVAL_S)


def _left(file: Path) -> frozenset[int]:
    with suppress(OSError, msgspec.DecodeError):
        left = processors.USABLE & msgspec.json.decode(file.read_bytes(), type=frozenset[int])
        return left or processors.USABLE
    return processors.USABLE
