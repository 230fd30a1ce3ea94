"""What the batch jobs of a node did, summed up turn by turn."""

from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from augurium.control.batch_counts import BatchCounts
from augurium.control.batch_metrics import batch_jobs
from augurium.control.exposition import Exposition
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.registry.batch_records import BatchJob, BatchProgress

JOB = BatchJob(
    spec=BatchSpec(model="churn", input=InputSpec(paths=("/in",)), output=OutputSpec(path="/out")),
    version=1,
    id="one",
    number=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    created_by="ann",
    state="running",
    holder="here",
    token=1,
)


def at(written: int, job: BatchJob = JOB, **said: Any) -> BatchJob:
    """The job when so many rows were written, and one in a hundred rejected."""
    progress = BatchProgress(
        read_rows=written + written // 100,
        written_rows=written,
        rejected={"malformed": written // 100},
        rows_per_s=50.0,
        stage_s={"predict": written / 1000},
    )
    return structs.replace(job, progress=progress, **said)


def test_what_a_job_did_is_counted_as_it_goes_on_and_once_more_at_its_end() -> None:
    counts = BatchCounts("here")
    counts.follow(JOB)
    counts.take([at(100, committed=1)], [])
    counts.take([at(300, committed=3)], [])
    counts.take([], [at(500, committed=5, state="succeeded", holder="")])
    counts.take([], [])

    assert counts.rows["churn", "written"] == 500
    assert counts.rejected["churn", "malformed"] == 5
    assert counts.partitions["churn"] == 5
    assert counts.seconds["churn", "predict"] == 0.5
    assert counts.ended == {("churn", "succeeded"): 1}
    assert counts.followed == frozenset()


def test_what_was_done_before_this_process_began_is_not_counted_again() -> None:
    counts = BatchCounts("here")
    counts.take([at(1000)], [])
    counts.take([at(1200)], [])

    assert counts.rows["churn", "written"] == 200


def test_rows_that_are_done_again_after_a_death_count_once() -> None:
    counts = BatchCounts("here")
    counts.follow(JOB)
    for written in (400, 200, 300, 600):
        counts.take([at(written)], [])

    assert counts.rows["churn", "written"] == 600


def test_jobs_of_other_nodes_are_among_the_states_and_in_no_sum() -> None:
    counts = BatchCounts("here")
    theirs = structs.replace(at(700), id="two", holder="elsewhere")
    counts.take([at(100), theirs], [])
    counts.take([at(200), at(900, theirs)], [])

    assert counts.states == {"running": 2}
    assert counts.rows["churn", "written"] == 100
    assert counts.rates == {"churn": 50.0}


def test_a_job_that_is_missing_from_a_long_list_goes_on_being_followed() -> None:
    counts = BatchCounts("here")
    counts.follow(JOB)
    counts.take([at(100)], [])
    counts.take([], [at(200)])
    counts.take([at(300)], [])

    assert counts.rows["churn", "written"] == 300
    assert not counts.ended


def test_the_counts_stand_in_the_page_that_prometheus_reads() -> None:
    counts, page = BatchCounts("here"), Exposition()
    counts.follow(JOB)
    counts.take([at(300)], [])
    counts.deaths = 2
    batch_jobs(page, counts)
    lines = page.text().decode().splitlines()

    for line in (
        'augurium_batch_jobs{state="running"} 1',
        'augurium_batch_jobs{state="queued"} 0',
        'augurium_batch_job_rows_total{model="churn",outcome="written"} 300',
        'augurium_batch_job_rejected_total{model="churn",reason="malformed"} 3',
        'augurium_batch_job_rows_per_second{model="churn"} 50.0',
        "augurium_batch_job_process_deaths_total 2",
    ):
        assert line in lines
