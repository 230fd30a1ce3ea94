"""What a batch job plans and commits, its documents and its log."""

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.registry.batch_records import BatchJob, CommittedPartition, JobPlan
from augurium.registry.batch_store import BatchStore
from augurium.registry.lease_watch import LeaseWatch
from tests.contract.registry.conftest import a_job


@pytest.fixture
def job(jobs: BatchStore, clock: ManualClock) -> BatchJob:
    """A job that runs."""
    jobs.submit(a_job(), "ann")
    claimed = jobs.claim("node-1", LeaseWatch(clock), 9, 30.0)
    assert claimed is not None
    return claimed


def planned(jobs: BatchStore, job: BatchJob, partitions: int) -> None:
    jobs.plan(job.id, job.token, JobPlan(content=b"plan", partitions=partitions, rows=70))


def test_a_plan_is_kept_once(jobs: BatchStore, job: BatchJob) -> None:
    assert jobs.planned(job.id) is None
    plan = JobPlan(content=b'{"files": 3}', partitions=3, rows=None)

    assert jobs.plan(job.id, job.token, plan) == plan
    # whoever goes on with the job plans again, and finds what was planned
    assert jobs.plan(job.id, job.token, JobPlan(content=b"new", partitions=9, rows=1)) == plan

    assert jobs.planned(job.id) == plan
    known = jobs.get(job.id)
    assert (known.partitions, known.rows, known.committed) == (3, None, 0)


def test_a_partition_is_committed_once_with_what_it_came_to(
    jobs: BatchStore, job: BatchJob
) -> None:
    planned(jobs, job, 3)

    assert jobs.commit(job.id, job.token, 2, b'{"rows": 20}')
    assert jobs.commit(job.id, job.token, 0, b'{"rows": 10}')
    assert not jobs.commit(job.id, job.token, 2, b'{"rows": 99}')

    assert [*jobs.partitions(job.id)] == [
        CommittedPartition(0, b'{"rows": 10}'),
        CommittedPartition(2, b'{"rows": 20}'),
    ]
    assert jobs.committed(job.id) == {0, 2}
    assert jobs.get(job.id).committed == 2


def test_only_planned_partitions_are_committed(jobs: BatchStore, job: BatchJob) -> None:
    with pytest.raises(InvalidArgument, match="no plan, so no partition 0"):
        jobs.commit(job.id, job.token, 0, b"")
    planned(jobs, job, 3)
    for number in (-1, 3):
        with pytest.raises(InvalidArgument, match=f"3 partitions, so no partition {number}"):
            jobs.commit(job.id, job.token, number, b"")
    with pytest.raises(InvalidArgument, match="-1 partitions"):
        jobs.plan(job.id, job.token, JobPlan(content=b"", partitions=-1))


def test_a_job_that_starts_over_has_neither_plan_nor_partitions(
    jobs: BatchStore, job: BatchJob
) -> None:
    planned(jobs, job, 3)
    jobs.commit(job.id, job.token, 0, b"old")

    started = jobs.start_over(job.id, job.token)

    assert (started.partitions, started.rows, started.committed) == (None, None, 0)
    assert jobs.planned(job.id) is None
    assert jobs.committed(job.id) == frozenset()
    planned(jobs, job, 1)
    assert jobs.commit(job.id, job.token, 0, b"new")


def test_partitions_are_listed_page_by_page(jobs: BatchStore, job: BatchJob) -> None:
    planned(jobs, job, 25)
    for number in range(0, 25, 2):
        jobs.commit(job.id, job.token, number, str(number).encode())

    pages, after = [], -1
    while page := jobs.partitions(job.id, after, limit=5):
        pages.append([one.number for one in page])
        after = page[-1].number

    assert pages == [[0, 2, 4, 6, 8], [10, 12, 14, 16, 18], [20, 22, 24]]


def test_results_of_any_bytes_come_back_as_they_were(jobs: BatchStore, job: BatchJob) -> None:
    planned(jobs, job, 2)
    large = bytes(range(256)) * 4000

    jobs.commit(job.id, job.token, 0, b"")
    jobs.commit(job.id, job.token, 1, large)
    jobs.move(job.id, job.token, "failed", "disk full", report=large)

    assert [one.result for one in jobs.partitions(job.id)] == [b"", large]
    assert jobs.report(job.id) == large


def test_the_report_of_a_job_that_ran_again_is_the_newer_one(
    jobs: BatchStore, job: BatchJob, clock: ManualClock
) -> None:
    assert jobs.report(job.id) is None
    jobs.move(job.id, job.token, "failed", "disk full", report=b"first")
    jobs.retry(job.id, "ann")
    again = jobs.claim("node-1", LeaseWatch(clock), 9, 30.0)
    assert again is not None
    jobs.move(job.id, again.token, "failed", "disk full", report=b"second")

    assert jobs.report(job.id) == b"second"


def test_a_log_is_read_on_after_a_line(jobs: BatchStore, job: BatchJob, clock: ManualClock) -> None:
    other = jobs.submit(a_job("churn"), "ann")
    before = jobs.newest_line()
    jobs.log(job.id, "info", "planned", {"partitions": 3})
    clock.advance(1)
    jobs.log(other.id, "warning", "slow")
    jobs.log(job.id, "error", "a worker was killed")

    first, last = jobs.log_lines(job.id)
    assert (first.text, first.level, first.numbers) == ("planned", "info", {"partitions": 3})
    assert (last.text, last.at, last.model) == ("a worker was killed", clock.now(), "fraud")
    assert [*jobs.log_lines(job.id, after=first.number)] == [last]
    assert [line.job for line in jobs.log_lines(after=before)] == [job.id, other.id, job.id]
    assert [line.text for line in jobs.log_lines(sees=lambda model: model == "churn")] == ["slow"]
    assert jobs.newest_line() == last.number == before + 3


def test_a_log_keeps_its_newest_lines(jobs: BatchStore, job: BatchJob) -> None:
    other = jobs.submit(a_job(), "ann")
    jobs.log(other.id, "info", "mine")
    for number in range(1005):
        jobs.log(job.id, "info", f"line {number}")

    lines = jobs.log_lines(job.id)

    assert len(lines) == 1000
    assert (lines[0].text, lines[-1].text) == ("line 5", "line 1004")
    assert [line.text for line in jobs.log_lines(other.id)] == ["mine"]


def test_a_line_may_be_any_text_and_is_cut(jobs: BatchStore, job: BatchJob) -> None:
    jobs.log(job.id, "error", "row 7: \0\ud800" + "x" * 5000)

    (line,) = jobs.log_lines(job.id)
    assert line.text == "row 7: \ufffd?" + "x" * 1991
