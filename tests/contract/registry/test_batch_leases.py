"""Who works on a batch job: claims, leases and the tokens that fence off whoever lost theirs."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument
from augurium.registry.batch_records import BatchJob, BatchProgress, JobPlan
from augurium.registry.batch_store import BatchStore, LeaseLost
from augurium.registry.lease_watch import LeaseWatch
from tests.contract.registry.conftest import a_job

LEASE_S = 30.0


class Claimer:
    """A node that claims, by a clock of its own."""

    def __init__(self, store: BatchStore, name: str = "node-1") -> None:
        self.clock = ManualClock()
        self._store = store
        self._name = name
        self._watch = LeaseWatch(self.clock)

    def claim(self, most_running: int = 9, besides: tuple[str, ...] = ()) -> BatchJob | None:
        return self._store.claim(self._name, self._watch, most_running, LEASE_S, besides)

    def claimed(self, most_running: int = 9) -> BatchJob:
        job = self.claim(most_running)
        assert job is not None
        return job


@pytest.fixture
def node(jobs: BatchStore) -> Claimer:
    return Claimer(jobs)


@pytest.fixture
def other(jobs: BatchStore) -> Claimer:
    return Claimer(jobs, "node-2")


def lapse(claimer: Claimer) -> None:
    """What is held is looked at, and for a whole lease no heart beats."""
    claimer.claim(most_running=0)
    claimer.clock.advance(LEASE_S)


def test_a_claimed_job_runs_with_its_holder_and_a_token(
    jobs: BatchStore, node: Claimer, clock: ManualClock
) -> None:
    submitted = jobs.submit(a_job(), "ann")
    clock.advance(5)

    job = node.claimed()

    assert jobs.get(submitted.id) == job
    assert (job.state, job.holder, job.token, job.attempts) == ("running", "node-1", 1, 1)
    assert job.started_at == clock.now()
    assert node.claim() is None


def test_jobs_begin_by_priority_and_then_by_age(jobs: BatchStore, node: Claimer) -> None:
    by_name = {
        name: jobs.submit(a_job(priority=priority), "ann").id
        for name, priority in (("old", 50), ("young", 50), ("urgent", 90), ("idle", 0))
    }

    begun = [node.claimed().id for _ in by_name]

    assert begun == [by_name[name] for name in ("urgent", "old", "young", "idle")]


def test_no_more_than_most_running_are_begun_over_all_nodes(
    jobs: BatchStore, node: Claimer, other: Claimer
) -> None:
    for _ in range(3):
        jobs.submit(a_job(), "ann")
    first, _ = node.claimed(2), other.claimed(2)

    assert node.claim(2) is None
    jobs.move(first.id, first.token, "failed", "disk full")
    assert other.claimed(2).id not in (first.id,)


def test_claimers_at_once_get_different_jobs_and_not_too_many(jobs: BatchStore) -> None:
    for _ in range(8):
        jobs.submit(a_job(), "ann")

    with ThreadPoolExecutor(8) as nodes:
        found = [*nodes.map(lambda n: Claimer(jobs, f"node-{n}").claim(5), range(8))]

    begun = [job.id for job in found if job is not None]
    assert len(begun) == len(set(begun)) == 5


def test_a_job_that_is_not_asked_for_is_left(jobs: BatchStore, node: Claimer) -> None:
    first, second = (jobs.submit(a_job(), "ann").id for _ in range(2))

    job = node.claim(besides=(first,))

    assert job is not None
    assert job.id == second


def test_a_holder_has_a_name(jobs: BatchStore) -> None:
    with pytest.raises(InvalidArgument, match="holder is empty"):
        Claimer(jobs, "").claim()


def test_a_job_whose_holder_is_silent_for_a_lease_is_taken_over(
    jobs: BatchStore, node: Claimer, other: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    first = node.claimed()
    other.claim()
    other.clock.advance(LEASE_S - 1)
    assert other.claim() is None
    other.clock.advance(1)

    second = other.claimed()

    assert (second.id, second.holder) == (first.id, "node-2")
    assert (second.token, second.attempts) == (first.token + 1, 2)


def test_a_holder_that_renews_keeps_its_job(
    jobs: BatchStore, node: Claimer, other: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()

    for beat in range(1, 5):
        assert other.claim() is None
        other.clock.advance(LEASE_S)
        assert jobs.renew(job.id, job.token, BatchProgress()).beat == beat
        assert other.claim() is None


def test_a_claimer_that_has_just_started_waits_a_whole_lease(
    jobs: BatchStore, node: Claimer, other: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    node.claimed()
    other.clock.advance(1000 * LEASE_S)

    assert other.claim() is None


def test_taking_over_is_no_new_beginning(jobs: BatchStore, node: Claimer, other: Claimer) -> None:
    jobs.submit(a_job(priority=1), "ann")
    jobs.submit(a_job(priority=0), "ann")
    held = node.claimed(1)
    lapse(other)

    assert other.claimed(1).id == held.id


def test_progress_is_what_the_holder_last_said(jobs: BatchStore, node: Claimer) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()
    progress = BatchProgress(
        read_rows=10, written_rows=8, rejected={"missing": 2}, eta_s=3.5, stage_s={"read": 0.25}
    )

    renewed = jobs.renew(job.id, job.token, progress)

    assert jobs.get(job.id) == renewed
    assert renewed.progress == progress


STALE: dict[str, Callable[[BatchStore, str, int], object]] = {
    "renews": lambda store, job, token: store.renew(job, token, BatchProgress(read_rows=9)),
    "plans": lambda store, job, token: store.plan(
        job, token, JobPlan(content=b"other", partitions=9)
    ),
    "starts over": lambda store, job, token: store.start_over(job, token),
    "commits": lambda store, job, token: store.commit(job, token, 1, b"other"),
    "commits again": lambda store, job, token: store.commit(job, token, 0, b"other"),
    "publishes": lambda store, job, token: store.move(job, token, "publishing"),
    "fails": lambda store, job, token: store.move(job, token, "failed", report=b"other"),
    "releases": lambda store, job, token: store.release(job, token),
}


@pytest.mark.parametrize("what", STALE)
def test_whoever_lost_the_lease_changes_nothing(
    jobs: BatchStore, node: Claimer, other: Claimer, what: str
) -> None:
    jobs.submit(a_job(), "ann")
    first = node.claimed()
    jobs.plan(first.id, first.token, JobPlan(content=b"plan", partitions=2))
    jobs.commit(first.id, first.token, 0, b"first")
    lapse(other)
    second = other.claimed()

    # one with the token before, and one who guesses the next
    for token in (first.token, second.token + 1):
        with pytest.raises(LeaseLost, match=r"held by node-2 with token 2.* stop"):
            STALE[what](jobs, first.id, token)

    assert jobs.get(first.id) == second
    assert [one.result for one in jobs.partitions(first.id)] == [b"first"]
    assert jobs.planned(first.id) == JobPlan(content=b"plan", partitions=2)
    assert jobs.report(first.id) is None


@pytest.mark.parametrize("what", STALE)
def test_whoever_gave_a_job_back_changes_nothing(
    jobs: BatchStore, node: Claimer, what: str
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()
    released = jobs.release(job.id, job.token)

    with pytest.raises(LeaseLost, match="is queued, and token 1 holds it no more"):
        STALE[what](jobs, job.id, job.token)
    assert jobs.get(job.id) == released


def test_a_job_that_is_given_back_waits_with_no_attempt_counted(
    jobs: BatchStore, node: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()

    released = jobs.release(job.id, job.token)

    assert (released.state, released.holder, released.attempts) == ("queued", "", 0)
    again = node.claimed()
    assert (again.token, again.started_at) == (2, job.started_at)


def test_attempts_are_counted_until_something_is_committed(jobs: BatchStore, node: Claimer) -> None:
    jobs.submit(a_job(), "ann")
    for attempt in (1, 2):
        job = node.claimed()
        assert job.attempts == attempt
        queued = jobs.move(job.id, job.token, "queued", "killed by signal 9")
        assert (queued.state, queued.reason) == ("queued", "killed by signal 9")
    job = node.claimed()
    jobs.plan(job.id, job.token, JobPlan(content=b"", partitions=1))
    jobs.commit(job.id, job.token, 0, b"")

    assert jobs.get(job.id).attempts == 0


def test_a_job_that_is_to_be_paused_and_is_given_back_is_paused(
    jobs: BatchStore, node: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()
    jobs.want(job.id, "pause", "ann")

    assert jobs.release(job.id, job.token).state == "paused"
    assert node.claim() is None


def test_publishing_that_was_left_in_the_middle_is_finished_first_of_all(
    jobs: BatchStore, node: Claimer
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()
    jobs.plan(job.id, job.token, JobPlan(content=b"", partitions=0))
    jobs.move(job.id, job.token, "publishing")
    left = jobs.release(job.id, job.token)
    assert (left.state, left.held) == ("publishing", False)

    # no room to begin with another one
    again = node.claimed(most_running=0)

    assert (again.id, again.state, again.token) == (job.id, "publishing", 2)
    assert jobs.move(job.id, again.token, "succeeded").state == "succeeded"


def test_a_job_publishes_once_all_partitions_are_committed(
    jobs: BatchStore, node: Claimer, clock: ManualClock
) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()
    with pytest.raises(Conflict, match="0 of no plan"):
        jobs.move(job.id, job.token, "publishing")
    jobs.plan(job.id, job.token, JobPlan(content=b"plan", partitions=2))
    jobs.commit(job.id, job.token, 0, b"0")
    with pytest.raises(Conflict, match="1 of 2 partitions"):
        jobs.move(job.id, job.token, "publishing")
    jobs.commit(job.id, job.token, 1, b"1")

    assert jobs.move(job.id, job.token, "publishing").held
    with pytest.raises(Conflict, match="nothing more can be committed"):
        jobs.commit(job.id, job.token, 1, b"1")
    ended = jobs.move(job.id, job.token, "succeeded", report=b"report")
    assert (ended.state, ended.ended_at, ended.held) == ("succeeded", clock.now(), False)
    assert jobs.report(job.id) == b"report"


def test_states_follow_each_other(jobs: BatchStore, node: Claimer) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()

    with pytest.raises(Conflict, match="is running and cannot become succeeded"):
        jobs.move(job.id, job.token, "succeeded")
    with pytest.raises(Conflict, match="nobody wants it cancelled"):
        jobs.move(job.id, job.token, "cancelled")


def test_what_is_said_of_a_failure_may_be_any_text(jobs: BatchStore, node: Claimer) -> None:
    jobs.submit(a_job(), "ann")
    job = node.claimed()

    failed = jobs.move(job.id, job.token, "failed", "bad row: a\0b \ud800" + "x" * 10_000)

    assert jobs.get(job.id) == failed
    assert failed.reason.startswith("bad row: a\ufffdb ?x")
    assert len(failed.reason) == 4000


def test_of_holders_that_take_a_job_from_each_other_none_commits_what_another_did(
    jobs: BatchStore,
) -> None:
    job = jobs.submit(a_job(), "ann").id
    plan = JobPlan(content=b"", partitions=30)
    done: list[int] = []

    def commit_some(token: int) -> None:
        jobs.plan(job, token, plan)
        left = sorted(set(range(plan.partitions)) - jobs.committed(job))
        # one by one: what was committed before the lease is lost counts
        done.extend(number for number in left[:5] if jobs.commit(job, token, number, b""))

    def work(number: int) -> None:
        clock = ManualClock()
        watch = LeaseWatch(clock)
        while len(jobs.committed(job)) < plan.partitions:
            # leases so short that holders lose them while they work
            clock.advance(1)
            claimed = jobs.claim(f"node-{number}", watch, 9, 2.0)
            with contextlib.suppress(LeaseLost):
                if claimed is not None:
                    commit_some(claimed.token)

    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(work, range(4)))

    assert sorted(done) == [*range(plan.partitions)]
