"""The calls of a client that are under way, so that it can be closed while it is used.

Closing lets them finish, which their deadlines bound, starts no further attempt, and refuses what
comes later.
"""

import asyncio
import threading
from types import TracebackType

from augurium.client.errors import ClientClosed
from augurium.core.errors import InvalidArgument


class OpenCalls:
    """Calls of threads. Enter it for each call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether `refuse` was called."""
        return self._closed.is_set()

    def __enter__(self) -> None:
        with self._changed:
            self.check()
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def check(self) -> None:
        """Raises ClientClosed when no further call may begin."""
        if self.closed:
            raise ClientClosed

    def pause(self, seconds: float) -> None:
        """Sleeps. Raises ClientClosed as soon as the client is closed."""
        if self._closed.wait(seconds):
            raise ClientClosed

    def refuse(self) -> None:
        """Lets no further call begin, and ends pauses."""
        with self._changed:
            self._closed.set()

    def wait(self) -> None:
        """Waits until the calls under way have ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)


class AsyncOpenCalls:
    """Calls of tasks of one event loop. Enter it for each call."""

    def __init__(self) -> None:
        self._count = 0
        self._closed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def closed(self) -> bool:
        """Whether `refuse` was called."""
        return self._closed.is_set()

    def __enter__(self) -> None:
        self.check()
        self._count += 1
        self._idle.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._count -= 1
        if not self._count:
            self._idle.set()

    def check(self) -> None:
        """Raises ClientClosed when no further call may begin, InvalidArgument in another loop."""
        if self.closed:
            raise ClientClosed
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise InvalidArgument(
                "this AsyncClient was used in another event loop, where its connections are; make "
                "one per loop"
            )

    async def pause(self, seconds: float) -> None:
        """Sleeps. Raises ClientClosed as soon as the client is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return
        raise ClientClosed

    def refuse(self) -> None:
        """Lets no further call begin, and ends pauses."""
        self._closed.set()

    async def wait(self) -> None:
        """Waits until the calls under way have ended."""
        await self._idle.wait()
