"""The sweep of uploads to the object store that a crash cut off: at start, then once a day."""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from augurium.core.errors import AuguriumError
from augurium.registry.s3_uploads import PendingUploads

ABANDONED_AFTER = timedelta(days=1)
EVERY_S = 24 * 3600.0
log = structlog.get_logger()


class UploadSweep:
    """Cancels what is abandoned; without `pending` there is nothing to cancel."""

    def __init__(self, pending: PendingUploads | None) -> None:
        self._pending = pending
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sweeps from now on, beside everything else."""
        if self._pending is not None:
            self._task = asyncio.create_task(self._run(self._pending))

    async def stop(self) -> None:
        """Sweeps no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, pending: PendingUploads) -> None:
        while True:
            try:
                count = await asyncio.to_thread(pending.cancel_older_than, ABANDONED_AFTER)
            except AuguriumError as error:
                # the next one comes by; until then it only costs room in the store
                log.warning("abandoned uploads not swept", reason=str(error))
            else:
                if count:
                    log.info("abandoned uploads cancelled", count=count)
            await asyncio.sleep(EVERY_S)
