"""Keeps on disk what the next start of an engine begins with, without halting the one that runs."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from augurium.core.errors import AuguriumError, NotFound
from augurium.serving.snapshot import Snapshot, load_snapshot, save_snapshot

log = structlog.get_logger()


class SnapshotKeeper:
    """One file. Lives on an event loop; writing, which waits for the disk, is on a thread.

    `written` is called when all is written that was due; what changes during a writing is written
    once, with the next.
    """

    def __init__(self, file: Path, written: Callable[[], None] = lambda: None) -> None:
        self._file = file
        self._tell = written
        self._due = asyncio.Event()
        self._make: Callable[[], Snapshot] = Snapshot
        self._writing = threading.Lock()
        self._made = 0
        self._written = 0
        self.kept = Snapshot()

    def load(self) -> Snapshot | None:
        """What was kept by an earlier run; None if that is nothing, or damaged."""
        try:
            self.kept = load_snapshot(self._file)
        except NotFound:
            return None
        except AuguriumError as error:
            log.error("last snapshot ignored", reason=str(error))
            return None
        return self.kept

    @property
    def due(self) -> bool:
        """Whether something is to be written."""
        return self._due.is_set()

    def keep_soon(self, make: Callable[[], Snapshot]) -> None:
        """Keeps what `make` gives then."""
        self._make = make
        self._due.set()

    def keep(self, snapshot: Snapshot) -> None:
        """Keeps it now. Blocking."""
        self._write(*self._numbered(snapshot))

    async def run(self) -> None:
        """Writes what is due, until it is cancelled."""
        while True:
            await self._due.wait()
            await self._write_due()
            # who is told of what came meanwhile relies on it to be kept
            if not self.due:
                self._tell()

    async def finish(self) -> None:
        """Writes what is due still."""
        if self.due:
            await self._write_due()

    async def _write_due(self) -> None:
        self._due.clear()
        await asyncio.to_thread(self._write, *self._numbered(self._make()))

    def _numbered(self, snapshot: Snapshot) -> tuple[int, Snapshot]:
        self._made += 1
        self.kept = snapshot
        return self._made, snapshot

    def _write(self, number: int, snapshot: Snapshot) -> None:
        with self._writing:
            # a newer one may have overtaken it on another thread
            if number < self._written:
                return
            try:
                save_snapshot(self._file, snapshot)
                self._written = number
            except OSError as error:
                # a full disk must not stop serving; only the next start is affected
                log.error("snapshot not kept", reason=error.strerror)
