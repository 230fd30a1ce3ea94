"""The streams of one version: each request alone, read no faster than its caller takes answers.

The model works on threads; everything else happens on one event loop. A caller that leaves and a
deadline that passes end the stream where the model is, also while the caller takes nothing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Executor as ThreadPool
from typing import Any

from augurium.core.errors import AuguriumError, DeadlineExceeded, Overloaded
from augurium.core.inference import Answer, BatchOutputs
from augurium.core.tensors import Array
from augurium.serving.executor import AnswerStream, StreamExecutor

Open = Callable[[], AnswerStream]
Answers = list[list[Array]]


class Streams:
    """Opens streams, as many at a time as the executor has room for."""

    def __init__(
        self, executor: StreamExecutor, loop: asyncio.AbstractEventLoop, threads: ThreadPool
    ) -> None:
        self._executor = executor
        self._loop = loop
        self._threads = threads
        self._open = 0
        self._readers: set[_Reader] = set()
        self._drained: list[asyncio.Future[None]] = []

    @property
    def pending(self) -> int:
        """Streams that are open, with those whose caller left while the model still works."""
        return self._open

    async def answers(
        self, inputs: Sequence[Array], parameters: Mapping[str, Any], deadline: float
    ) -> AsyncGenerator[Answer, None]:
        """One answer after another.

        Raises Overloaded when there is no room, DeadlineExceeded, and ModelFailed when the model
        does, after the answers it gave.
        """
        room = self._executor.max_streams
        if self._open >= room:
            raise Overloaded(
                f"this engine reads {room} streams of this version already"
                " (runners.max_streams); try again later"
            )
        self._open += 1
        reader = _Reader(
            lambda: self._executor.open_stream(inputs, parameters),
            self._loop,
            self._threads,
            deadline,
            self._ended,
        )
        self._readers.add(reader)
        try:
            while found := await reader.take():
                for outputs in found:
                    reader.check()
                    yield Answer(BatchOutputs(outputs))
        finally:
            self._readers.discard(reader)
            reader.leave()

    def cut(self, error: AuguriumError) -> None:
        """Ends every stream now; this is what its caller gets after the answers it has."""
        for reader in self._readers:
            reader.cut(error)

    async def drain(self) -> None:
        """Returns when no stream is open."""
        while self._open:
            waiter = self._loop.create_future()
            self._drained.append(waiter)
            await waiter

    def _ended(self) -> None:
        self._open -= 1
        if not self._open:
            for waiter in self._drained:
                if not waiter.done():
                    waiter.set_result(None)
            self._drained.clear()


class _Reader:
    """One stream as the loop sees it; `ended` is called once, when the model works on it no more.

    At most one piece of work is with the threads: the next answers, or the rest of a stream that
    was left.
    """

    def __init__(
        self,
        open_stream: Open,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
        deadline: float,
        ended: Callable[[], None],
    ) -> None:
        self._open_stream = open_stream
        self._loop = loop
        self._threads = threads
        self._ended = ended
        self._stream: AnswerStream | None = None
        self._work: asyncio.Future[Answers] | None = None
        self._left = False
        self._cut: asyncio.Future[AuguriumError] = loop.create_future()
        self._timer = loop.call_later(
            max(0.0, deadline - time.monotonic()),
            self.cut,
            DeadlineExceeded("Request timeout expired"),
        )

    async def take(self) -> Answers:
        """The next answers, none at the end. Raises ModelFailed, and what `check` raises."""
        self.check()
        self._work = self._loop.run_in_executor(self._threads, self._take)
        await asyncio.wait((self._work, self._cut), return_when=asyncio.FIRST_COMPLETED)
        self.check()
        return self._work.result()

    def check(self) -> None:
        """Raises what cut the stream, such as DeadlineExceeded."""
        if self._cut.done():
            raise self._cut.result()

    def cut(self, error: AuguriumError) -> None:
        """Ends the stream, also while nobody takes anything."""
        if not self._cut.done():
            self._cut.set_result(error)
        self.leave()

    def leave(self) -> None:
        """Wants no more answers. May be called again."""
        if self._left:
            return
        self._left = True
        self._timer.cancel()
        if self._stream is not None:
            self._stream.stop()
        if self._work is None or self._work.done():
            self._wind_up(self._work)
        else:
            self._work.add_done_callback(self._wind_up)

    def _take(self) -> Answers:
        """On a thread."""
        if self._stream is None:
            self._stream = self._open_stream()
            # the caller left meanwhile, or sees the stream from now on
            if self._left:
                self._stream.stop()
        return self._stream.take()

    def _wind_up(self, work: "asyncio.Future[Answers] | None") -> None:
        """Nothing is with the threads any more: waits there for the end of the stream."""
        if work is not None and not work.cancelled():
            # looked at, so that nobody complains that nobody did
            work.exception()
        stream = self._stream
        if stream is None or stream.ended:
            self._ended()
            return
        try:
            rest = self._loop.run_in_executor(self._threads, stream.finish)
        except RuntimeError:
            # the version was closed, and its streams with it
            self._ended()
            return
        rest.add_done_callback(lambda _: self._ended())
