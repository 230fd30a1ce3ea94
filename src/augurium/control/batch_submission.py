"""The look at a job's input and output before it is taken, in a process of its own."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog

from augurium.batch.submission import SubmissionOrder, SubmissionVerdict
from augurium.core.errors import CLASS_BY_KIND, DeadlineExceeded, Internal

MOST_CHECKS = 2
COMMAND = (sys.executable, "-m", "augurium.batch.submission_check")
log = structlog.get_logger()


class SubmissionCheck(Protocol):
    """Says what a job would find, or raises why it cannot be."""

    async def __call__(self, order: SubmissionOrder) -> SubmissionVerdict: ...


class CheckProcess:
    """Starts one for each job that is submitted, two at a time; `timeout_s` for each."""

    def __init__(self, timeout_s: float, command: Sequence[str] = COMMAND) -> None:
        self._timeout_s = timeout_s
        self._command = command
        self._turns = asyncio.Semaphore(MOST_CHECKS)

    async def __call__(self, order: SubmissionOrder) -> SubmissionVerdict:
        """Raises InvalidArgument and others for a job that cannot be, and DeadlineExceeded."""
        async with self._turns:
            verdict = await self._asked(msgspec.json.encode(order))
        if verdict.refusal is not None:
            raise CLASS_BY_KIND[verdict.refusal.kind](verdict.refusal.reason)
        return verdict

    async def _asked(self, order: bytes) -> SubmissionVerdict:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                said, _ = await process.communicate(order)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the input could not be looked at within {self._timeout_s:g} s"
                " (batch.check_timeout_s) when the job was submitted"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return msgspec.json.decode(said, type=SubmissionVerdict)
        except msgspec.MsgspecError as error:
            log.error("no verdict on a batch job", exit_code=process.returncode)
            raise Internal("the job could not be looked at; see the log of the node") from error
