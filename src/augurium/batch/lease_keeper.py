"""Keeping a job: showing that its process lives, and hearing what somebody wants of it."""

import asyncio
from collections.abc import Callable
from typing import Literal

from augurium.core.clock import Clock
from augurium.core.errors import NotReady
from augurium.registry.batch_records import BatchProgress
from augurium.registry.batch_store import BatchStore, LeaseLost

# somebody who wants a job paused or cancelled does not wait longer than this
BEAT_S = 0.5

Why = Literal["pause", "cancel", "drain", "lost"]


class Stopped(Exception):
    """The job stops before its end: somebody wants it so, or its holder has to stop, or has lost
    it to another.
    """

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class LeaseKeeper:
    """Renews the lease of one job, with what `progress` says."""

    def __init__(
        self,
        store: BatchStore,
        job: str,
        token: int,
        lease_s: float,
        progress: Callable[[], BatchProgress],
        clock: Clock,
    ) -> None:
        self._store = store
        self._job = job
        self._token = token
        self._lease_s = lease_s
        self._progress = progress
        self._clock = clock
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """There is progress that somebody waits for."""
        self._hurry.set()

    async def keep(self, stop: asyncio.Event) -> None:
        """Until the job has to stop: raises Stopped then.

        A holder that could not renew for a whole lease stops by itself: another may have the job.
        """
        renewed_at = self._clock.monotonic()
        while True:
            patience_s = self._lease_s - (self._clock.monotonic() - renewed_at)
            if patience_s <= 0:
                raise Stopped("lost")
            try:
                async with asyncio.timeout(patience_s):
                    await asyncio.to_thread(self._renew)
                renewed_at = self._clock.monotonic()
            except (NotReady, TimeoutError):
                # the database is away; work goes on as long as nobody else can have the job
                pass
            await self._wait(stop)
            if stop.is_set():
                raise Stopped("drain")

    def _renew(self) -> None:
        try:
            job = self._store.renew(self._job, self._token, self._progress())
        except LeaseLost as error:
            raise Stopped("lost") from error
        if job.wanted in ("pause", "cancel"):
            raise Stopped(job.wanted)

    async def _wait(self, stop: asyncio.Event) -> None:
        """Until the next beat is due."""
        events = [asyncio.create_task(each.wait()) for each in (stop, self._hurry)]
        try:
            await asyncio.wait(events, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        self._hurry.clear()
