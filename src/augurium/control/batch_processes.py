"""The processes of batch jobs that this control started. They outlive it: a job goes on without."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from augurium.core.errors import NotReady
from augurium.core.stopping import NO_LIFELINE, let_go
from augurium.registry.batch_records import BatchJob

POLL_S = 0.05
log = structlog.get_logger()

JobCommand = Callable[[BatchJob, int], Sequence[str]]


def job_command(home: Path) -> JobCommand:
    """What runs a job of the node in this folder; it is given the job and its lifeline."""

    def command(job: BatchJob, lifeline: int) -> Sequence[str]:
        options = {"home": home, "job": job.id, "token": job.token, "lifeline": lifeline}
        words = (word for name, value in options.items() for word in (f"--{name}", str(value)))
        return [sys.executable, "-m", "augurium.batch", *words]

    return command


class EndedProcess(NamedTuple):
    """A process that has ended: whose it was, and its exit code, below 0 for a signal."""

    job: str
    token: int
    status: int


class _Running(NamedTuple):
    token: int
    process: subprocess.Popen[bytes]


class JobProcesses:
    """Starts processes and finds those that ended. `lifeline` is the descriptor of the pipe whose
    other end the node holds: closed, it tells all of them to write down how far they are and end.
    Without one they end when this stops.
    """

    def __init__(self, command: JobCommand, lifeline: int = NO_LIFELINE) -> None:
        self._command = command
        self._held = NO_LIFELINE
        if lifeline == NO_LIFELINE:
            lifeline, self._held = os.pipe()
        self._lifeline = lifeline
        self._running: dict[str, _Running] = {}

    @property
    def jobs(self) -> frozenset[str]:
        """Those that have a process here."""
        return frozenset(self._running)

    @property
    def stopping(self) -> bool:
        """Whether the node lets go of its jobs."""
        return let_go(self._lifeline)

    def start(self, job: BatchJob) -> None:
        """Starts a process for a claimed job. Raises NotReady when the machine has none left."""
        # one that did not say that it lives, and lost its job for it
        if job.id in self._running:
            self._end(self._running.pop(job.id))
        try:
            process = subprocess.Popen(
                self._command(job, self._lifeline),
                pass_fds=[self._lifeline],
                stdin=subprocess.DEVNULL,
                # a group, so that it can be ended as a whole; not a session:
                # see docs/decisions/0021-one-session.md
                process_group=0,
            )
        except OSError as error:
            raise NotReady(f"no process can be started for job {job.id}: {error}") from error
        self._running[job.id] = _Running(job.token, process)
        log.info("job started", job=job.id, token=job.token, pid=process.pid)

    def ended(self) -> Sequence[EndedProcess]:
        """The processes that have ended since the last time."""
        found = []
        for job, running in list(self._running.items()):
            if _has_ended(running.process):
                self._end(self._running.pop(job))
                found.append(EndedProcess(job, running.token, running.process.returncode))
        return found

    async def stop(self, patience_s: float) -> None:
        """If the node stops as well, waits until all have ended, and kills them after
        `patience_s`; if it does not, they go on.
        """
        if self._held != NO_LIFELINE:
            os.close(self._held)
            self._held = NO_LIFELINE
        if self.stopping:
            await self._drain(time.monotonic() + patience_s)

    async def _drain(self, give_up_at: float) -> None:
        # threads that wait for them would hold up the end of this process
        while self._running and time.monotonic() < give_up_at:
            self.ended()
            await asyncio.sleep(POLL_S)
        for job in list(self._running):
            log.error("job did not stop in time", job=job)
            self._end(self._running.pop(job))

    def _end(self, running: _Running) -> None:
        """With all that it started, which is in its group: before the group's number is free."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it, where that can be: its number is taken until its group is ended too."""
    if sys.platform == "darwin":
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
