"""A batch job in the hands of whoever submitted it."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from augurium.client.batch_results import BatchJob, BatchLogLine
from augurium.core.errors import Cancelled, DeadlineExceeded, NotReady, Unprocessable

if TYPE_CHECKING:
    from augurium.client.batch_calls import BatchCalls, Order

FIRST_LOOK_S = 0.1
LOOK_EVERY_S = 1.0
GROWTH = 1.5
# how long a server may be away, as one that restarts
PATIENCE_S = 60.0


class BatchRun:
    """A job on the server, which goes on whether or not anybody waits for it. `job` is how it stood
    when it was last looked at.
    """

    def __init__(self, calls: "BatchCalls", job: BatchJob) -> None:
        self._calls = calls
        self.job = job

    @property
    def id(self) -> str:
        """By which it is found again."""
        return self.job.id

    def refresh(self) -> BatchJob:
        """Looks at it now."""
        self.job = self._calls.batch_job(self.id)
        return self.job

    def looks(self, longest_s: float = LOOK_EVERY_S) -> Iterator[BatchJob]:
        """Looks again and again until it has ended; a server that restarts is waited for."""
        seen, pause_s = time.monotonic(), FIRST_LOOK_S
        yield self.job
        while not self.job.ended:
            time.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, longest_s)
            try:
                self.refresh()
            except NotReady:
                if time.monotonic() - seen > PATIENCE_S:
                    raise
            else:
                seen = time.monotonic()
                yield self.job

    def wait(
        self, timeout_s: float | None = None, progress: Callable[[BatchJob], None] | None = None
    ) -> BatchJob:
        """Waits until it has succeeded; `progress` is told how it stands about once a second.

        Raises Unprocessable with the reason if it failed, Cancelled, and DeadlineExceeded after
        `timeout_s`, when the job itself goes on.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for job in self.looks():
            if progress is not None:
                progress(job)
            if until is not None and not job.ended and time.monotonic() >= until:
                raise too_slow(job, timeout_s)
        return succeeded(self.job)

    def pause(self) -> BatchJob:
        """Lets it rest; what is committed stays. Raises Conflict."""
        return self._ordered("pause")

    def resume(self) -> BatchJob:
        """Lets it go on. Raises Conflict."""
        return self._ordered("resume")

    def cancel(self) -> BatchJob:
        """Ends it; nothing of it becomes visible. Raises Conflict."""
        return self._ordered("cancel")

    def retry(self) -> BatchJob:
        """Begins again behind what is committed, after it failed or was cancelled. Raises
        Conflict.
        """
        return self._ordered("retry")

    def log(self, after: int = 0) -> tuple[BatchLogLine, ...]:
        """What happened in it, the oldest first."""
        return self._calls.batch_log(self.id, after)

    def report(self) -> dict[str, Any]:
        """Its report. Raises NotFound before its end."""
        return self._calls.batch_report(self.id)

    def _ordered(self, order: "Order") -> BatchJob:
        self.job = self._calls.order_batch_job(self.id, order)
        return self.job


def succeeded(job: BatchJob) -> BatchJob:
    """The job, if all went well. Raises Unprocessable and Cancelled."""
    if job.state == "cancelled":
        raise Cancelled(f"batch job {job.id} was cancelled; `retry` begins again")
    if job.state == "failed":
        raise Unprocessable(f"batch job {job.id} failed: {job.reason}")
    return job


def too_slow(job: BatchJob, timeout_s: float | None) -> DeadlineExceeded:
    """What is said to who waited too long."""
    return DeadlineExceeded(
        f"batch job {job.id} is {job.state} after {timeout_s or 0:g} s; it goes on without you"
    )
