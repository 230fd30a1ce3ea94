"""One process of the node: started, watched, started again after it died, stopped with grace."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from augurium.node.connection_host import LEAVE

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 10.0
KILL_MARGIN_S = 5.0

log = structlog.get_logger()


class Command(NamedTuple):
    """How a process is started: its arguments, what it finds in its environment besides ours, and
    the descriptors it inherits besides its lifeline.
    """

    arguments: list[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


class Child:
    """Keeps one process running. `command` is asked for each start and given the lifeline's
    descriptor.
    """

    def __init__(self, name: str, command: Callable[[int], Command], grace_s: float) -> None:
        self.name = name
        self.exit_code: int | None = None
        self.starts = 0
        self._command = command
        self._grace_s = grace_s
        self._lifeline = -1
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process there is, or was last; None before the first."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Starts the process again whenever it dies, with back-off; returns after `stop`."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping:
            started = time.monotonic()
            process = await self._start()
            self.exit_code = await process.wait()
            self.let_go()
            if self._stopping:
                return
            if time.monotonic() - started > HEALTHY_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            log.error(
                "process died", child=self.name, exit_code=self.exit_code, restart_in_s=backoff_s
            )
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def retire(self, running: "asyncio.Task[None]", patience_s: float) -> None:
        """Asks the process to leave, and stops it when it has not after `patience_s`, or when it is
        let go of meanwhile.
        """
        self._stopping = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(LEAVE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), patience_s)
        await self.stop(running)

    async def stop(self, running: "asyncio.Task[None]") -> None:
        """Closes the lifeline and waits for the process to finish what it accepted; kills it after
        the grace.
        """
        self._stopping = True
        self.let_go()
        try:
            await asyncio.wait_for(asyncio.shield(running), self._grace_s + KILL_MARGIN_S)
        except TimeoutError:
            log.error("process did not stop in time", child=self.name)
            self.kill()
            await running

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _start(self) -> asyncio.subprocess.Process:
        read_end, self._lifeline = os.pipe()
        command = self._command(read_end)
        try:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                env={**os.environ, **command.environment},
                pass_fds=(read_end, *command.descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                # a group of its own, for Ctrl-C is meant for the node alone; not a session:
                # see docs/decisions/0021-one-session.md
                process_group=0,
            )
        finally:
            os.close(read_end)
        self.starts += 1
        self._process = process
        return process

    def let_go(self) -> None:
        """Closes the lifeline: the process finishes what it accepted, and ends."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
