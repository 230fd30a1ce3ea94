"""Batch jobs: how they are submitted, found, steered and let go."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from augurium.core.batch_job import BadRows, InputSpec
from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.batch_records import BatchJob, BatchProgress, JobPlan, JobState, Wanted
from augurium.registry.batch_store import BatchStore, LeaseLost
from augurium.registry.lease_watch import LeaseWatch
from tests.contract.registry.conftest import KeptJobs, a_job

LEASE_S = 30.0


def claim(store: BatchStore, clock: ManualClock, most_running: int = 9) -> BatchJob:
    job = store.claim("node-1", LeaseWatch(clock), most_running, LEASE_S)
    assert job is not None
    return job


def ended(store: BatchStore, clock: ManualClock, state: JobState = "failed") -> BatchJob:
    """A job that has just ended so."""
    submitted = store.submit(a_job(), "ann")
    job = claim(store, clock)
    assert job.id == submitted.id
    if state == "cancelled":
        store.want(job.id, "cancel", "ann")
    if state == "succeeded":
        store.plan(job.id, job.token, JobPlan(content=b"", partitions=0))
        store.move(job.id, job.token, "publishing")
    return store.move(job.id, job.token, state, "disk full")


def test_a_submitted_job_waits_with_all_that_was_asked(
    jobs: BatchStore, clock: ManualClock
) -> None:
    asked = a_job(
        version=2,
        alias="best",
        max_bad_rows=BadRows(share=0.001),
        labels={"team": "risk"},
        schedule="nightly",
        due_at=datetime(2026, 1, 2, tzinfo=UTC),
    )

    job = jobs.submit(asked, "ann")

    assert jobs.get(job.id) == job
    assert (job.spec, job.version, job.model) == (asked.spec, 2, "fraud")
    assert (job.schedule, job.due_at) == ("nightly", datetime(2026, 1, 2, tzinfo=UTC))
    assert (job.created_at, job.created_by) == (clock.now(), "ann")
    assert (job.state, job.wanted, job.token, job.held) == ("queued", "run", 0, False)


def test_what_people_decide_stands_in_the_audit_log(kept_jobs: KeptJobs) -> None:
    store = kept_jobs.store
    job = store.submit(a_job(version=2), "ann")
    store.want(job.id, "pause", "bob")
    store.want(job.id, "run", "bob")
    store.want(job.id, "cancel", "cleo")
    store.retry(job.id, "ann")

    entries = [*kept_jobs.registry.audit("fraud", limit=5)][::-1]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("submit_batch_job", "ann"),
        ("pause_batch_job", "bob"),
        ("resume_batch_job", "bob"),
        ("cancel_batch_job", "cleo"),
        ("retry_batch_job", "ann"),
    ]
    assert {(entry.version, entry.details["job"]) for entry in entries} == {(2, job.id)}
    assert kept_jobs.registry.verify_audit().intact


def test_what_is_so_already_is_no_change(kept_jobs: KeptJobs) -> None:
    job = kept_jobs.store.submit(a_job(), "ann")
    paused = kept_jobs.store.want(job.id, "pause", "ann")
    before = kept_jobs.registry.revision()

    assert kept_jobs.store.want(job.id, "pause", "bob") == paused
    assert kept_jobs.registry.revision() == before


def test_a_job_that_comes_again_with_its_key_is_the_same(kept_jobs: KeptJobs) -> None:
    store = kept_jobs.store
    first = store.submit(a_job(idempotency_key="nightly:2026-01-01"), "ann")
    before = kept_jobs.registry.revision()

    # the alias leads to another version by now
    again = store.submit(a_job(version=2, idempotency_key="nightly:2026-01-01"), "bob")

    assert again == first
    assert kept_jobs.registry.revision() == before
    assert store.submit(a_job(), "ann").id != store.submit(a_job(), "ann").id
    with pytest.raises(Conflict, match=f"another job, {first.id}"):
        store.submit(a_job(seed=7, idempotency_key="nightly:2026-01-01"), "ann")


def test_the_job_that_came_with_a_key_is_found_without_submitting_another(
    jobs: BatchStore,
) -> None:
    keyed = a_job(idempotency_key="k")
    assert jobs.submitted(keyed) is None
    first = jobs.submit(keyed, "ann")

    assert jobs.submitted(keyed) == first
    assert jobs.submitted(a_job()) is None
    with pytest.raises(Conflict, match=f"another job, {first.id}"):
        jobs.submitted(a_job(seed=7, idempotency_key="k"))


def test_of_many_who_submit_one_key_at_once_all_get_one_job(jobs: BatchStore) -> None:
    with ThreadPoolExecutor(8) as submitters:
        found = submitters.map(lambda _: jobs.submit(a_job(idempotency_key="k"), "ann"), range(8))

    assert len({job.id for job in found}) == 1


def test_a_job_needs_a_version_that_there_is(kept_jobs: KeptJobs) -> None:
    kept_jobs.registry.delete_version("fraud", 2, "ann")

    with pytest.raises(NotFound, match="no version 3"):
        kept_jobs.store.submit(a_job(version=3), "ann")
    with pytest.raises(NotFound, match="'nobody' does not exist"):
        kept_jobs.store.submit(a_job("nobody"), "ann")
    with pytest.raises(Conflict, match="restore it first"):
        kept_jobs.store.submit(a_job(version=2), "ann")


def test_a_job_that_names_too_much_is_refused_with_a_way_out(jobs: BatchStore) -> None:
    paths = tuple(f"/data/{'x' * 200}/{number}.parquet" for number in range(6000))

    with pytest.raises(InvalidArgument, match="name folders or globs"):
        jobs.submit(a_job(input=InputSpec(paths=paths)), "ann")
    with pytest.raises(InvalidArgument, match="idempotency key"):
        jobs.submit(a_job(idempotency_key=""), "ann")
    with pytest.raises(InvalidArgument, match="schedule"):
        jobs.submit(a_job(schedule="every night"), "ann")


def test_jobs_of_a_model_that_is_gone_can_be_read(kept_jobs: KeptJobs, clock: ManualClock) -> None:
    job = kept_jobs.store.submit(a_job("churn"), "ann")
    kept_jobs.registry.delete_model("churn", "ann")
    clock.advance(1)
    kept_jobs.store.want(job.id, "cancel", "ann")
    kept_jobs.registry.purge(clock.now(), "ann")

    assert kept_jobs.store.get(job.id).model == "churn"
    with pytest.raises(NotFound, match="churn"):
        kept_jobs.store.retry(job.id, "ann")


def test_what_a_job_scores_with_is_not_purged_before_the_job_has_ended(
    kept_jobs: KeptJobs, clock: ManualClock
) -> None:
    store, registry = kept_jobs.store, kept_jobs.registry
    of_version, of_model = (
        store.submit(a_job(version=2), "ann"),
        store.submit(a_job("churn"), "ann"),
    )
    registry.delete_version("fraud", 1, "ann")
    registry.delete_version("fraud", 2, "ann")
    registry.delete_model("churn", "ann")
    clock.advance(1)

    # version 1 stands on the same files
    assert [*registry.deleted_before(clock.now())] == [("fraud", 1)]
    assert [*registry.purge(clock.now(), "ann")] == [("fraud", 1)]
    assert set(registry.referenced(clock.now())) == {"a" * 64, "b" * 64}
    assert registry.version("fraud", 2).deleted_at is not None
    assert registry.model("churn").deleted_at is not None

    for job in (of_version, of_model):
        store.want(job.id, "cancel", "ann")
    assert [*registry.purge(clock.now(), "ann")] == [("churn", 1), ("fraud", 2)]
    assert not registry.referenced()


def test_jobs_are_found_by_model_state_and_schedule_the_newest_first(jobs: BatchStore) -> None:
    one = jobs.submit(a_job(), "ann")
    two = jobs.submit(a_job("churn", schedule="nightly"), "ann")
    three = jobs.want(jobs.submit(a_job(schedule="nightly"), "ann").id, "pause", "ann")

    assert [*jobs.find()] == [three, two, one]
    assert [*jobs.find("fraud")] == [three, one]
    assert [*jobs.find(states=("queued", "running"))] == [two, one]
    assert [*jobs.find(schedule="nightly", sees=lambda model: model != "fraud")] == [two]
    assert [*jobs.find("no model")] == []


def test_lists_go_on_before_the_last_of_the_page(jobs: BatchStore) -> None:
    every = [jobs.submit(a_job("churn" if n % 3 else "fraud"), "ann") for n in range(12)][::-1]

    pages, before = [], None
    while page := jobs.find(limit=5, before=before):
        pages.append([*page])
        before = page[-1].number

    assert [len(page) for page in pages] == [5, 5, 2]
    assert [job for page in pages for job in page] == every
    assert [*jobs.find(limit=2, sees=lambda model: model == "fraud")] == [
        job for job in every if job.model == "fraud"
    ][:2]


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_1_to_1000(jobs: BatchStore, limit: int) -> None:
    job = jobs.submit(a_job(), "ann").id

    for listed in (
        lambda: jobs.find(limit=limit),
        lambda: jobs.log_lines(limit=limit),
        lambda: jobs.partitions(job, limit=limit),
    ):
        with pytest.raises(InvalidArgument, match="1 to 1000"):
            listed()


@pytest.mark.parametrize("job", ["0" * 32, "no id", "\0"])
def test_a_job_that_there_is_not_is_said_to_be_none(jobs: BatchStore, job: str) -> None:
    for used in (
        lambda: jobs.get(job),
        lambda: jobs.want(job, "pause", "ann"),
        lambda: jobs.retry(job, "ann"),
        lambda: jobs.renew(job, 1, BatchProgress()),
        lambda: jobs.planned(job),
        lambda: jobs.committed(job),
        lambda: jobs.partitions(job),
        lambda: jobs.report(job),
        lambda: jobs.log(job, "info", "here"),
        lambda: jobs.log_lines(job),
    ):
        with pytest.raises(NotFound, match="augurium batch list"):
            used()


def test_a_paused_job_waits_until_it_is_resumed(jobs: BatchStore, clock: ManualClock) -> None:
    job = jobs.submit(a_job(), "ann")

    assert jobs.want(job.id, "pause", "ann").state == "paused"
    assert jobs.claim("node-1", LeaseWatch(clock), 9, LEASE_S) is None
    assert jobs.want(job.id, "run", "ann").state == "queued"
    assert claim(jobs, clock).id == job.id


def test_a_holder_is_told_what_is_wanted_and_pauses(jobs: BatchStore, clock: ManualClock) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.want(job.id, "pause", "ann")

    assert jobs.renew(job.id, job.token, BatchProgress()).wanted == "pause"
    paused = jobs.move(job.id, job.token, "paused")
    assert (paused.state, paused.held, paused.attempts) == ("paused", False, 0)
    assert jobs.want(job.id, "run", "ann").state == "queued"


def test_a_pause_that_is_taken_back_leaves_the_job_waiting(
    jobs: BatchStore, clock: ManualClock
) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.want(job.id, "pause", "ann")
    jobs.want(job.id, "run", "ann")

    assert jobs.move(job.id, job.token, "paused").state == "queued"
    assert claim(jobs, clock).token == job.token + 1


def test_a_job_that_never_began_is_cancelled_at_once(jobs: BatchStore, clock: ManualClock) -> None:
    job = jobs.submit(a_job(), "ann")

    cancelled = jobs.want(job.id, "cancel", "ann")

    assert (cancelled.state, cancelled.ended_at) == ("cancelled", clock.now())
    assert jobs.want(job.id, "cancel", "bob") == cancelled
    assert jobs.claim("node-1", LeaseWatch(clock), 9, LEASE_S) is None


def test_a_job_that_left_something_behind_is_claimed_to_be_cancelled(
    jobs: BatchStore, clock: ManualClock
) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.want(job.id, "pause", "ann")
    jobs.move(job.id, job.token, "paused")
    jobs.want(job.id, "cancel", "ann")

    # even where no more jobs may begin: this one is to get out of the way
    again = claim(jobs, clock, most_running=0)
    assert (again.id, again.wanted) == (job.id, "cancel")
    assert jobs.move(again.id, again.token, "cancelled").ended


def test_of_operators_who_cancel_at_once_all_see_one_cancellation(
    kept_jobs: KeptJobs, clock: ManualClock
) -> None:
    store = kept_jobs.store
    store.submit(a_job(), "ann")
    job = claim(store, clock)
    before = kept_jobs.registry.revision()

    with ThreadPoolExecutor(6) as operators:
        seen = [*operators.map(lambda n: store.want(job.id, "cancel", f"op-{n}"), range(6))]

    assert {one.wanted for one in seen} == {"cancel"}
    assert kept_jobs.registry.revision() == before + 1


def test_a_job_that_is_being_cancelled_is_neither_paused_nor_resumed(
    jobs: BatchStore, clock: ManualClock
) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.want(job.id, "cancel", "ann")

    wants: tuple[Wanted, ...] = ("pause", "run")
    for wanted in wants:
        with pytest.raises(Conflict, match="being cancelled; retry it when it has ended"):
            jobs.want(job.id, wanted, "bob")


def test_a_job_that_publishes_is_not_stopped_any_more(jobs: BatchStore, clock: ManualClock) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.plan(job.id, job.token, JobPlan(content=b"", partitions=0))
    publishing = jobs.move(job.id, job.token, "publishing")

    assert jobs.want(job.id, "run", "ann") == publishing
    wants: tuple[Wanted, ...] = ("pause", "cancel")
    for wanted in wants:
        with pytest.raises(Conflict, match="publishing its files"):
            jobs.want(job.id, wanted, "ann")


def test_a_job_to_be_cancelled_does_not_begin_to_publish(
    jobs: BatchStore, clock: ManualClock
) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.plan(job.id, job.token, JobPlan(content=b"", partitions=0))
    jobs.want(job.id, "cancel", "ann")

    still = jobs.move(job.id, job.token, "publishing")

    assert (still.state, still.wanted) == ("running", "cancel")
    assert jobs.move(job.id, job.token, "cancelled").state == "cancelled"


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_failed_or_was_cancelled_is_retried_with_what_it_committed(
    jobs: BatchStore, clock: ManualClock, state: JobState
) -> None:
    jobs.submit(a_job(), "ann")
    job = claim(jobs, clock)
    jobs.plan(job.id, job.token, JobPlan(content=b"plan", partitions=2, rows=10))
    jobs.commit(job.id, job.token, 1, b"done")
    jobs.want(job.id, "cancel", "ann")
    jobs.move(job.id, job.token, state, "disk full")

    retried = jobs.retry(job.id, "bob")

    assert (retried.state, retried.wanted, retried.reason) == ("queued", "run", "")
    assert (retried.ended_at, retried.attempts, retried.committed) == (None, 0, 1)
    assert claim(jobs, clock).token == job.token + 1
    assert jobs.committed(job.id) == {1}


def test_only_what_failed_or_was_cancelled_is_retried(jobs: BatchStore, clock: ManualClock) -> None:
    waits = jobs.submit(a_job(priority=0), "ann")
    succeeded = ended(jobs, clock, "succeeded")

    for job in (waits, succeeded):
        with pytest.raises(Conflict, match=f"is {job.state}; only a job that failed"):
            jobs.retry(job.id, "ann")


@pytest.mark.parametrize(
    ("state", "what"), [("failed", "it failed; retry"), ("succeeded", "succeeded; submit")]
)
def test_what_has_ended_is_not_steered_any_more(
    jobs: BatchStore, clock: ManualClock, state: JobState, what: str
) -> None:
    job = ended(jobs, clock, state)

    wants: tuple[Wanted, ...] = ("run", "pause", "cancel")
    for wanted in wants:
        with pytest.raises(Conflict, match=what):
            jobs.want(job.id, wanted, "ann")
    with pytest.raises(LeaseLost):
        jobs.renew(job.id, job.token, BatchProgress())


def test_jobs_that_ended_long_ago_are_swept_with_all_that_was_kept(
    jobs: BatchStore, clock: ManualClock
) -> None:
    old = ended(jobs, clock, "failed")
    jobs.log(old.id, "error", "disk full")
    clock.advance(100)
    kept = ended(jobs, clock, "cancelled")
    waits = jobs.submit(a_job(), "ann")
    clock.advance(50)

    assert [*jobs.sweep(keep_s=60)] == [old.id]
    assert [*jobs.find()] == [waits, kept]
    with pytest.raises(NotFound):
        jobs.get(old.id)
    # numbers go on, so nobody who reads on misses what comes
    assert [*jobs.log_lines()] == []
    newest = jobs.newest_line()
    jobs.log(kept.id, "info", "still here")
    assert [line.text for line in jobs.log_lines(after=newest)] == ["still here"]
    assert jobs.submit(a_job(), "ann").number == waits.number + 1


@pytest.mark.parametrize("keep_s", [-1.0, float("nan"), float("inf")])
def test_jobs_are_kept_for_a_time_that_is_one(jobs: BatchStore, keep_s: float) -> None:
    with pytest.raises(InvalidArgument, match="expected 0 or more"):
        jobs.sweep(keep_s)
