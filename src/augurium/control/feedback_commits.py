"""Group commit: rows of many small requests go into the journal in one transaction."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from augurium.core.clock import Clock
from augurium.core.errors import NotReady, Overloaded
from augurium.feedback.journal import Journal
from augurium.feedback.row import FeedbackRow

MOST_WAITING_ROWS = 200_000
# one transaction, at least one request
MOST_ROWS = 20_000


class _Entry(NamedTuple):
    rows: Sequence[FeedbackRow]
    done: asyncio.Future[None]


class FeedbackCommits:
    """Commits what came while the commit before was under way; the first waits for nothing."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiting: list[_Entry] = []
        self._waiting_rows = 0
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "feedback")
        self._stopped = False

    async def add(self, rows: Sequence[FeedbackRow]) -> None:
        """Returns when the rows are durable.

        Raises Overloaded when too many wait, and what the journal raises: nothing was taken then,
        or it may have been, and the same rows may be sent again.
        """
        if self._stopped:
            raise NotReady("the server is stopping; send the feedback again")
        if self._waiting_rows and self._waiting_rows + len(rows) > MOST_WAITING_ROWS:
            raise Overloaded(
                f"{self._waiting_rows} rows of feedback wait to be written; send these again later"
            )
        entry = _Entry(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._waiting_rows += len(rows)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await entry.done

    async def stop(self) -> None:
        """Finishes what waits, and takes no more."""
        self._stopped = True
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            rows = [row for entry in batch for row in entry.rows]
            received_at = self._clock.now().timestamp()
            loop = asyncio.get_running_loop()
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._journal.append, rows, received_at)
            except Exception as failure:  # the edge of a task: those who wait must be told
                error = failure
            for entry in batch:
                _settle(entry.done, error)
        self._task = None

    def _next_batch(self) -> list[_Entry]:
        count = rows = 0
        for entry in self._waiting:
            if count and rows + len(entry.rows) > MOST_ROWS:
                break
            count += 1
            rows += len(entry.rows)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_rows -= rows
        return batch


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
