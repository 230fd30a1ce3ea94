"""A worker as the job's process sees it: a child that carries out orders, and may die of one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress

import msgspec

from augurium.batch.worker_messages import (
    LENGTH,
    Counted,
    Failed,
    Note,
    Order,
    Probe,
    Ran,
    Reply,
    Running,
    decode_said,
    framed,
)
from augurium.batch.worker_start import WorkerStart
from augurium.core.errors import CLASS_BY_KIND, Internal

WORKER = "augurium.batch.worker"
# who closes its pipes is about to end
EXIT_S = 5.0
# of a part of a batch at least, whose model may have to be made ready once more
LEAST_RUN_S = 60.0
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
    """One process, of the module `program`, with `variables` beside those of this process. An order
    is answered before the next one is given.
    """

    def __init__(
        self,
        how: WorkerStart,
        program: str = WORKER,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._command = (sys.executable, "-m", program, msgspec.json.encode(how).decode())
        self._environment = {**os.environ, **(variables or {})}
        self._run_timeout_s = how.run_timeout_s
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts the process, which loads what it needs while there is nothing to do yet."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LARGEST_MESSAGE,
            env=self._environment,
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
        answer: Reply | None = None
        async for message in self.said(order):
            if isinstance(message, Reply):
                answer = message
            elif isinstance(message, Counted) and heard is not None:
                heard(message)
        if answer is None:
            raise Internal(f"a worker has no answer to {type(order).__name__}")
        return answer

    async def said(self, order: Order) -> AsyncGenerator[Note | Reply]:
        """All that is said about an order; its answer comes last.

        Raises WorkerDied, and what the worker says went wrong.
        """
        running: Running | None = None
        patience_s, until = _patience_s(order, self._run_timeout_s), None
        try:
            await self._send(order)
            while True:
                match await self._next(until):
                    case Failed(kind, message):
                        raise CLASS_BY_KIND[kind](message)
                    case Running() as running:
                        until = asyncio.get_running_loop().time() + patience_s
                        yield running
                    case Ran():
                        until = None
                    case said:
                        yield said
                        if isinstance(said, Reply):
                            return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerDied(await self._how(), running) from error
        except TimeoutError as error:
            await self._abort()
            how = f"its model ran longer than {patience_s:g} s, see batch.run_timeout_s"
            raise WorkerDied(how, running) from error

    async def end(self) -> None:
        """Kills it: what it was at is done again by whoever is given it."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def close(self, patience_s: float) -> None:
        """Lets go of it, and ends it only if it does not end by itself in that time."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._process.wait()
        await self.end()

    async def _send(self, order: Order) -> None:
        if self._process is None or self._process.stdin is None:
            raise ConnectionError("the worker was not started")
        self._process.stdin.write(framed(order))
        await self._process.stdin.drain()

    async def _next(self, until: float | None) -> Note | Reply:
        """Raises TimeoutError if there is nothing `until` then, by the clock of the loop."""
        if self._process is None or self._process.stdout is None:
            raise ConnectionError("the worker was not started")
        async with asyncio.timeout_at(until):
            (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
            return decode_said(await self._process.stdout.readexactly(length))

    async def _abort(self) -> None:
        """Ends it; where it is at stands in the log then, as that of a crash does."""
        if self._process is not None:
            with suppress(ProcessLookupError, TimeoutError):
                self._process.send_signal(signal.SIGABRT)
                async with asyncio.timeout(EXIT_S):
                    await self._process.wait()
        await self.end()

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


def _patience_s(order: Order, run_timeout_s: float) -> float:
    """How long the model may run for an order: on a part of a batch, as much less."""
    if not isinstance(order, Probe):
        return run_timeout_s
    share = (order.stop - order.start) / order.batch_size
    return min(run_timeout_s, max(LEAST_RUN_S, run_timeout_s * share))
