"""Where predictions go: asked of the server once, however many need it at the same time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from augurium.client.deadline import Deadline

FindUrl = Callable[[Deadline], str]
AsyncFindUrl = Callable[[Deadline], Awaitable[str]]


class ServerPlace:
    """For threads. Raises what `find` raises, and asks again the next time then."""

    def __init__(self, find: FindUrl) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found = ""

    def __call__(self, deadline: Deadline) -> str:
        """The place. Raises DeadlineExceeded when others wait too long for it."""
        if self._found:
            return self._found
        if not self._lock.acquire(timeout=deadline.left_s):
            raise deadline.exceeded("the management API")
        try:
            self._found = self._found or self._find(deadline)
        finally:
            self._lock.release()
        return self._found


class AsyncServerPlace:
    """For tasks of one event loop. Raises what `find` raises, and asks again the next time then."""

    def __init__(self, find: AsyncFindUrl) -> None:
        self._find = find
        self._lock = asyncio.Lock()
        self._found = ""

    async def __call__(self, deadline: Deadline) -> str:
        """The place. Raises DeadlineExceeded when others wait too long for it."""
        if self._found:
            return self._found
        try:
            async with asyncio.timeout(deadline.left_s), self._lock:
                self._found = self._found or await self._find(deadline)
        except TimeoutError as error:
            raise deadline.exceeded("the management API") from error
        return self._found
