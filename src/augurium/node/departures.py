"""Notices callers that leave before their answer, and cancels what was done for them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

WATCH_AFTER_S = 0.1


class _Request(NamedTuple):
    left: Callable[[], Awaitable[object]]
    started: float


class Departures:
    """Watches requests older than `WATCH_AFTER_S`, so that short ones pay next to nothing."""

    def __init__(self) -> None:
        self._requests: dict[asyncio.Task[object], _Request] = {}
        self._watchers: dict[asyncio.Task[object], asyncio.Task[None]] = {}

    def enter(self, left: Callable[[], Awaitable[object]]) -> "asyncio.Task[object]":
        """Registers the current task; `left()` must return when its caller has gone."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are handled in tasks")
        self._requests[task] = _Request(left, time.monotonic())
        return task

    def leave(self, task: "asyncio.Task[object]") -> None:
        """The request has its answer; nobody's departure matters any more."""
        del self._requests[task]
        watcher = self._watchers.pop(task, None)
        if watcher is not None:
            watcher.cancel()

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_AFTER_S)
            oldest = time.monotonic() - WATCH_AFTER_S
            for task, request in self._requests.items():
                if request.started < oldest and task not in self._watchers:
                    self._watchers[task] = asyncio.create_task(_cancel(task, request))


async def _cancel(task: "asyncio.Task[object]", request: _Request) -> None:
    await request.left()
    task.cancel()
