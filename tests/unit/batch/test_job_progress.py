"""How far a job is."""

import pytest

from augurium.batch.job_progress import JobProgress
from augurium.batch.partition import PartitionResult
from augurium.batch.worker_messages import Counted
from augurium.core.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def result(number: int, rows: int, rejected: int = 0) -> PartitionResult:
    return PartitionResult(
        number,
        (),
        read_rows=rows,
        written_rows=rows - rejected,
        rejected={"missing": rejected} if rejected else {},
        stage_s={"predict": 1.5},
    )


def test_rows_of_partitions_that_run_count_beside_those_that_are_done(clock: ManualClock) -> None:
    progress = JobProgress(1000, 2, clock)

    progress.commit(result(0, 100, rejected=2))
    progress.runs(1, Counted(30, 20, 5, {"missing": 1, "malformed": 4}))

    now = progress.now()
    assert (now.read_rows, now.written_rows, now.filtered_rows) == (130, 118, 5)
    assert now.rejected == {"missing": 3, "malformed": 4}
    assert progress.rejected == 7
    assert (now.stage_s, now.workers) == ({"predict": 1.5}, 2)


def test_a_partition_counts_once_when_it_is_done(clock: ManualClock) -> None:
    progress = JobProgress(1000, 1, clock)

    progress.runs(0, Counted(50, 50, 0, {}))
    progress.commit(result(0, 100))

    assert progress.now().read_rows == 100


def test_the_rate_and_what_is_left_are_those_of_the_last_seconds(clock: ManualClock) -> None:
    progress = JobProgress(1000, 1, clock)
    progress.now()

    clock.advance(2)
    progress.runs(0, Counted(100, 100, 0, {}))
    now = progress.now()

    assert (now.rows_per_s, now.eta_s) == (50.0, 18.0)
    clock.advance(100)
    assert progress.now().rows_per_s == 0.0


def test_what_was_committed_before_this_process_began_is_no_speed_of_it(clock: ManualClock) -> None:
    progress = JobProgress(1000, 1, clock)
    progress.commit(result(0, 500))
    progress.now()

    clock.advance(1)
    progress.runs(1, Counted(10, 10, 0, {}))

    assert progress.now().rows_per_s == 10.0


def test_without_a_number_of_rows_nobody_knows_what_is_left(clock: ManualClock) -> None:
    progress = JobProgress(None, 1, clock)
    progress.now()
    clock.advance(1)
    progress.commit(result(0, 100))

    assert progress.now().eta_s is None
