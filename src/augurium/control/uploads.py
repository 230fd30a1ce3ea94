"""Uploads: a request body on its way into the artifact store, in pieces, never whole in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from augurium.control.errors import HttpRefusal
from augurium.core.errors import Cancelled, Overloaded, TooLarge, Unprocessable
from augurium.core.files import CHUNK_BYTES
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact

Result = TypeVar("Result")
MAX_RUNNING = 4
MAX_WAITING = 64
PATIENCE_S = 30.0


class Uploads:
    """Stores bodies in threads of its own: slow senders take none from the rest of the API."""

    def __init__(self, artifacts: ArtifactStore, max_bytes: int) -> None:
        self._artifacts = artifacts
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(MAX_RUNNING, "uploads")
        self._turn = asyncio.Semaphore(MAX_RUNNING)
        self._present = 0

    @property
    def max_bytes(self) -> int:
        """The largest file that may be stored."""
        return self._max_bytes

    def stop(self) -> None:
        """Accepts no more work; call it when no upload runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def store(self, body: AsyncIterator[bytes], declared_bytes: int | None) -> Artifact:
        """Stores a body. `declared_bytes` is what Content-Length says, None if it says nothing.

        Raises TooLarge, Unprocessable for an empty body, Overloaded when too many uploads wait,
        InsufficientStorage, HttpRefusal 408 when the sender pauses for too long.
        """
        if declared_bytes is not None and declared_bytes > self._max_bytes:
            raise TooLarge(
                f"the upload has {declared_bytes} bytes; at most {self._max_bytes} are allowed "
                "(limits.max_artifact_bytes)"
            )
        return await self.read(body, lambda chunks: self._artifacts.put(chunks, self._max_bytes))

    async def read(
        self, body: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], Result]
    ) -> Result:
        """What `work`, in a thread, makes of a body. Raises as `store`, and what `work` raises."""
        if self._present >= MAX_RUNNING + MAX_WAITING:
            raise Overloaded(f"{self._present} uploads are in progress already; try again later")
        self._present += 1
        try:
            async with self._turn:
                return await self._read(body, work)
        finally:
            self._present -= 1

    async def _read(
        self, body: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], Result]
    ) -> Result:
        chunks = _Chunks(body, asyncio.get_running_loop())
        first = await chunks.receive()
        if not first:
            raise Unprocessable(
                "the upload is empty; send a file that has content as the request body"
            )
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, work, chunks.beginning_with(first)
            )
        except Exception as error:
            # the store may have wrapped it: what went wrong on the wire is the better answer
            if chunks.failure is not None:
                raise chunks.failure from error
            raise
        finally:
            chunks.abandon()


class _Chunks:
    """A body as a blocking iterator: the thread asks, the loop receives."""

    def __init__(self, body: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self.failure: Exception | None = None
        self._body = body
        self._loop = loop
        self._next: Future[bytes] | None = None
        self._abandoned = False

    def beginning_with(self, chunk: bytes) -> Iterator[bytes]:
        """The whole body; `chunk` was received before. Runs in a thread."""
        while chunk:
            yield chunk
            if self._abandoned:
                raise Cancelled("the caller left")
            self._next = asyncio.run_coroutine_threadsafe(self.receive(), self._loop)
            if self._abandoned:
                # since the look above; `abandon` may have found no request to cancel
                self._next.cancel()
            chunk = self._next.result()

    async def receive(self) -> bytes:
        """About a megabyte, because each hop between loop and thread costs; empty at the end."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(PATIENCE_S) as patience:
                async for piece in self._body:
                    patience.reschedule(self._loop.time() + PATIENCE_S)
                    pieces.append(piece)
                    size += len(piece)
                    if size >= CHUNK_BYTES:
                        break
        except TimeoutError as error:
            self.failure = HttpRefusal(
                408, f"the upload paused for {PATIENCE_S:g} s; send it again"
            )
            raise self.failure from error
        except Exception as error:
            self.failure = error
            raise
        return b"".join(pieces)

    def abandon(self) -> None:
        """Wakes the thread if it still waits for a chunk that will never come."""
        self._abandoned = True
        if self._next is not None:
            self._next.cancel()
