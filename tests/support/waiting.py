"""Waiting for what comes true in a while; a busy machine takes its time."""

import asyncio
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], patience_s: float = 90.0) -> bool:
    """Whether it becomes true."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


async def until_true(condition: Callable[[], bool], patience_s: float = 5.0) -> None:
    """Returns when it has become true. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
