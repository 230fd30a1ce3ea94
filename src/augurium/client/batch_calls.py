"""The part of the client that submits batch jobs, watches them and gives them orders."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack
from urllib.parse import urlencode

from augurium.client.batch_results import (
    BatchJob,
    BatchJobs,
    BatchJobSummary,
    BatchLog,
    BatchLogLine,
    JobState,
)
from augurium.client.batch_run import BatchRun
from augurium.client.batch_spec import BatchOptions, Location, batch_spec
from augurium.client.connection import Connection, api_url
from augurium.client.rollout_calls import is_rollout_id
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import NotFound
from augurium.core.identifiers import new_id

Order = Literal["pause", "resume", "cancel", "retry"]
IDEMPOTENCY_KEY = "idempotency-key"
# the server looks at the input and the output before it answers
SUBMIT_TIMEOUT_S = 180.0
MOST_LINES = 1000


class BatchCalls:
    """Batch jobs: rows of files scored into files, on the server."""

    _connection: Connection

    def batch(
        self,
        model: str,
        inputs: Location | Sequence[Location],
        output: Location,
        **options: Unpack[BatchOptions],
    ) -> BatchRun:
        """Submits a job that scores the rows of files, folders or globs with `name`, `name@3` or
        `name@champion`, and writes answers into the folder `output`: paths of the server, or URLs
        of object stores. `wait` for what this returns.

        Raises InvalidArgument for a job that cannot be, NotFound for input that is not there, and
        Conflict for output that is.
        """
        return self.submit_batch(batch_spec(model, inputs, output, **options))

    def submit_batch(self, spec: BatchSpec, idempotency_key: str | None = None) -> BatchRun:
        """As `batch`. With a key that it came with before, it is the job that it was then."""
        job = self._connection.call(
            "POST",
            self._jobs(),
            BatchJob,
            body=spec,
            headers=submission_headers(idempotency_key),
            timeout_s=SUBMIT_TIMEOUT_S,
        )
        return BatchRun(self, job)

    def batch_run(self, which: str) -> BatchRun:
        """A job to wait for and to give orders to, by its id, or the newest of a model. Raises
        NotFound.
        """
        return BatchRun(self, self.batch_job(which))

    def batch_job(self, which: str) -> BatchJob:
        """How a job stands, by its id, or the newest of a model. Raises NotFound."""
        return self._connection.call("GET", self._jobs(self.batch_id(which)), BatchJob)

    def batch_jobs(
        self,
        model: str | None = None,
        states: Sequence[JobState] = (),
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[BatchJobSummary, ...]:
        """Jobs, the newest first: of one model, in some of the states, before a number."""
        found = self._connection.call(
            "GET", self._jobs() + query(model, states, limit, before), BatchJobs
        )
        return found.jobs

    def batch_id(self, which: str) -> str:
        """The id of the newest job of a model, or the id itself. Raises NotFound."""
        if is_rollout_id(which):
            return which
        found = self.batch_jobs(which, limit=1)
        if not found:
            raise never_had(which)
        return found[0].id

    def order_batch_job(self, which: str, order: Order) -> BatchJob:
        """Pauses, resumes, cancels or retries a job.

        Raises NotFound, and Conflict for one that is in no state for it.
        """
        return self._connection.call("POST", self._jobs(self.batch_id(which), order), BatchJob)

    def batch_log(self, which: str, after: int = 0) -> tuple[BatchLogLine, ...]:
        """What happened in a job, the oldest first; only lines with a number above `after`."""
        found = self._connection.call(
            "GET",
            self._jobs(self.batch_id(which), "logs"),
            BatchLog,
            parameters={"after": str(after)},
        )
        return found.lines

    def batch_report(self, which: str) -> dict[str, Any]:
        """The report of a job that has ended. Raises NotFound for one that has none."""
        return self._connection.call(
            "GET", self._jobs(self.batch_id(which), "report"), dict[str, Any]
        )

    def batch_report_page(self, which: str) -> str:
        """The same as an HTML page with plots."""
        url = self._jobs(self.batch_id(which), "report.html")
        return self._connection.request("GET", url).text

    def _jobs(self, *further: object) -> str:
        return api_url(self._connection.url, "batch-jobs", *further)


def submission_headers(idempotency_key: str | None) -> Mapping[str, str]:
    """Of a submission, which is one job however often it is sent."""
    return {IDEMPOTENCY_KEY: idempotency_key or new_id()}


def query(model: str | None, states: Sequence[str], limit: int, before: int | None) -> str:
    """What of these is given, as a URL has it."""
    given = [("limit", str(limit)), *(("state", state) for state in states)]
    given += [("model", model)] if model else []
    given += [("before", str(before))] if before is not None else []
    return "?" + urlencode(given)


def never_had(which: str) -> NotFound:
    """What is said of a model without jobs."""
    return NotFound(
        f"'{which}' never had a batch job; start one with `augurium batch run {which} INPUT OUTPUT`"
    )
