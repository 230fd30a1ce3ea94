"""A worker as the job's process sees it: a child that carries out orders, and may die of one."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from augurium.batch.worker_messages import (
    LENGTH,
    Counted,
    Failed,
    Note,
    Order,
    Reply,
    Running,
    decode_said,
    framed,
)
from augurium.batch.worker_start import WorkerStart
from augurium.core.errors import CLASS_BY_KIND

COMMAND = (sys.executable, "-m", "augurium.batch.worker")
# who closes its pipes is about to end
EXIT_S = 5.0
# a result has sums of its rows and the names of its files, which may be many
LARGEST_MESSAGE = 256 * 1024 * 1024


class WorkerDied(Exception):
    """A worker ended before it answered. `running` is what the model was running on, if anything
    was said of that; `how` is for people.
    """

    def __init__(self, how: str, running: Running | None) -> None:
        super().__init__(how)
        self.how = how
        self.running = running

    @property
    def from_outside(self) -> bool:
        """Whether somebody ended it, as far as that can be told: a person, or a lack of memory."""
        return self.how in ("SIGKILL", "SIGTERM")


class WorkerProcess:
    """One process. An order is answered before the next one is given."""

    def __init__(self, how: WorkerStart) -> None:
        self._begins = how
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts the process, which loads what it needs while there is nothing to do yet."""
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            msgspec.json.encode(self._begins).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LARGEST_MESSAGE,
        )

    @property
    def pid(self) -> int | None:
        """Of the process, None if it runs no more."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    async def ask(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
        """The answer to an order; `heard` is told how far it is meanwhile.

        Raises WorkerDied, and what the worker says went wrong.
        """
        running: Running | None = None
        try:
            await self._send(order)
            while True:
                match await self._next():
                    case Running() as running:
                        continue
                    case Counted() as counted:
                        if heard is not None:
                            heard(counted)
                    case Failed(kind, message):
                        raise CLASS_BY_KIND[kind](message)
                    case reply:
                        return reply
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerDied(await self._how(), running) from error

    async def end(self) -> None:
        """Kills it: what it was at is done again by whoever is given it."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _send(self, order: Order) -> None:
        if self._process is None or self._process.stdin is None:
            raise ConnectionError("the worker was not started")
        self._process.stdin.write(framed(order))
        await self._process.stdin.drain()

    async def _next(self) -> Note | Reply:
        if self._process is None or self._process.stdout is None:
            raise ConnectionError("the worker was not started")
        (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        return decode_said(await self._process.stdout.readexactly(length))

    async def _how(self) -> str:
        if self._process is None:
            return "it was not started"
        with suppress(TimeoutError):
            # of one that is killed here it would not be known how it ended
            async with asyncio.timeout(EXIT_S):
                await self._process.wait()
        await self.end()
        status = self._process.returncode or 0
        if status >= 0:
            return f"exit code {status}"
        with suppress(ValueError):
            return signal.Signals(-status).name
        return f"signal {-status}"
