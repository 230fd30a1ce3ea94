"""Batch jobs as they go on, for those who watch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from augurium.core.errors import NotReady
from augurium.registry.batch_records import BatchJob, LogLine
from augurium.registry.batch_store import BatchStore

LOOK_EVERY_S = 0.5


class BatchProgress:
    """Reads jobs and their logs again and again from the store, which all nodes write to."""

    def __init__(self, store: BatchStore) -> None:
        self._store = store
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends everybody's watching, so that nobody holds up the end of the process."""
        self._stopping.set()

    async def follow(self, job: str, after: int = 0) -> AsyncIterator[BatchJob | LogLine | None]:
        """Lines of the log with a number above `after`, and the job whenever it has changed, until
        it has ended; None after a look that found nothing new.

        A database that is away is waited for. Raises NotFound.
        """
        seen = None
        while True:
            with contextlib.suppress(NotReady):
                now = await asyncio.to_thread(self._store.get, job)
                for line in await asyncio.to_thread(self._store.log_lines, job, after):
                    after = line.number
                    yield line
                # behind the lines that led to it
                yield now if now != seen else None
                seen = now
            if (seen is not None and seen.ended) or await self._stopped_within(LOOK_EVERY_S):
                return

    async def _stopped_within(self, wait_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        return self._stopping.is_set()
