"""Events of rollouts as they happen: to webhooks, and to whoever waits for the next one."""

import asyncio
from collections.abc import Sequence

import structlog

from augurium.control.webhooks import Webhooks
from augurium.core.errors import AuguriumError
from augurium.registry.registry import Sees
from augurium.registry.rollout_records import RolloutEvent
from augurium.registry.rollout_store import RolloutStore

log = structlog.get_logger()


class EventFeed:
    """Reads from the store what is new, so that nothing is told that is not written down.

    Belongs to one event loop.
    """

    def __init__(self, store: RolloutStore, webhooks: Webhooks) -> None:
        self._store = store
        self.webhooks = webhooks
        self._seen: int | None = None
        self._change = asyncio.Event()
        self.stopping = False

    def stop(self) -> None:
        """Ends everybody's waiting, so that nobody holds up the end of the process."""
        self.stopping = True
        self._wake()

    async def newest(self) -> int:
        """The number of the newest event."""
        return await asyncio.to_thread(self._store.newest_event)

    async def poll(self) -> None:
        """Tells what has happened since the last time; the first time is where it begins."""
        try:
            if self._seen is None:
                self._seen = await asyncio.to_thread(self._store.newest_event)
                return
            events = await asyncio.to_thread(self._store.events, None, self._seen)
        except AuguriumError as error:
            log.debug("events not read", reason=str(error))
            return
        for event in events:
            self.webhooks.offer(event)
            self._seen = event.number
        if events:
            self._wake()

    async def after(
        self, number: int, wait_s: float, sees: Sees | None = None, rollout: str | None = None
    ) -> Sequence[RolloutEvent]:
        """The events after this number; waits so long for one if there is none."""
        change = self._change
        found = await asyncio.to_thread(self._read, number, sees, rollout)
        if found or wait_s <= 0 or self.stopping:
            return found
        try:
            async with asyncio.timeout(wait_s):
                await change.wait()
        except TimeoutError:
            return ()
        return await asyncio.to_thread(self._read, number, sees, rollout)

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def _read(self, number: int, sees: Sees | None, rollout: str | None) -> Sequence[RolloutEvent]:
        return self._store.events(rollout, number, sees=sees)
