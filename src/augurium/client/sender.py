"""Sends attempts until one is answered, within one deadline: for threads and for tasks."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Protocol, TypeVar

from augurium.client.deadline import Deadline
from augurium.client.errors import ClientClosed
from augurium.client.open_calls import AsyncOpenCalls, OpenCalls
from augurium.client.retries import Attempts, Retries, RetryBudget
from augurium.core.errors import AuguriumError

Result = TypeVar("Result")
Item = TypeVar("Item", covariant=True)


class Stream(Protocol[Item]):
    """Answers of one call, as they come to a thread."""

    def __next__(self) -> Item: ...

    def interrupt(self) -> None:
        """Wakes a thread that waits."""

    def close(self) -> None:
        """Ends it."""


class AsyncStream(Protocol[Item]):
    """Answers of one call, as they come to a task."""

    async def __anext__(self) -> Item: ...

    async def close(self) -> None:
        """Ends it."""


class Sender:
    """For threads: one budget for retries, and one way to end."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._budget = RetryBudget(retries)
        self._open = OpenCalls()
        self._streams: set[Stream[object]] = set()

    def run(self, deadline: Deadline, attempt: Callable[[Deadline], Result]) -> Result:
        """The result of the first attempt that succeeds.

        Raises the error of the last one, and ClientClosed when the client is closed before.
        """
        with self._open:
            attempts = Attempts(self._retries, self._budget, deadline)
            while True:
                try:
                    return attempt(deadline)
                except AuguriumError as error:
                    pause_s = attempts.pause_s(error)
                    if pause_s is None:
                        raise
                self._open.pause(pause_s)

    def iterate(
        self, deadline: Deadline, attempt: Callable[[Deadline], Stream[Result]]
    ) -> Generator[Result, None, None]:
        """The answers of the first stream that gives one; what breaks later is raised.

        Raises as `run`; closing the client ends it.
        """
        stream, first = self.run(deadline, lambda left: _begun(attempt(left)))
        self._streams.add(stream)
        try:
            while first:
                self._open.check()
                yield first.pop()
                first += _next(stream)
        except AuguriumError as error:
            if self._open.closed:
                raise ClientClosed from error
            raise
        finally:
            self._streams.discard(stream)
            stream.close()

    def close(self) -> None:
        """Ends streams, waits for calls that are under way, and lets none begin."""
        self._open.refuse()
        for stream in tuple(self._streams):
            stream.interrupt()
        self._open.wait()


class AsyncSender:
    """For tasks of one event loop: one budget for retries, and one way to end."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._budget = RetryBudget(retries)
        self._open = AsyncOpenCalls()
        self._streams: set[AsyncStream[object]] = set()

    async def run(
        self, deadline: Deadline, attempt: Callable[[Deadline], Awaitable[Result]]
    ) -> Result:
        """The result of the first attempt that succeeds.

        Raises the error of the last one, and ClientClosed when the client is closed before.
        """
        with self._open:
            attempts = Attempts(self._retries, self._budget, deadline)
            while True:
                try:
                    return await attempt(deadline)
                except AuguriumError as error:
                    pause_s = attempts.pause_s(error)
                    if pause_s is None:
                        raise
                await self._open.pause(pause_s)

    async def iterate(
        self, deadline: Deadline, attempt: Callable[[Deadline], Awaitable[AsyncStream[Result]]]
    ) -> AsyncGenerator[Result, None]:
        """The answers of the first stream that gives one; what breaks later is raised.

        Raises as `run`; closing the client ends it.
        """

        async def begin(left: Deadline) -> tuple[AsyncStream[Result], list[Result]]:
            return await _begun_async(await attempt(left))

        stream, first = await self.run(deadline, begin)
        self._streams.add(stream)
        try:
            while first:
                self._open.check()
                yield first.pop()
                first += await _next_async(stream)
        except AuguriumError as error:
            if self._open.closed:
                raise ClientClosed from error
            raise
        finally:
            self._streams.discard(stream)
            await stream.close()

    async def close(self) -> None:
        """Ends streams, waits for calls that are under way, and lets none begin."""
        self._open.refuse()
        for stream in tuple(self._streams):
            await stream.close()
        await self._open.wait()


def _begun(stream: Stream[Result]) -> tuple[Stream[Result], list[Result]]:
    try:
        return stream, _next(stream)
    except BaseException:
        stream.close()
        raise


def _next(stream: Stream[Result]) -> list[Result]:
    try:
        return [next(stream)]
    except StopIteration:
        return []


async def _begun_async(
    stream: AsyncStream[Result],
) -> tuple[AsyncStream[Result], list[Result]]:
    try:
        return stream, await _next_async(stream)
    except BaseException:
        await stream.close()
        raise


async def _next_async(stream: AsyncStream[Result]) -> list[Result]:
    try:
        return [await anext(stream)]
    except StopAsyncIteration:
        return []
