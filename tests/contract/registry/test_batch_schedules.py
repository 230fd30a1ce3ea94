"""Schedules of batch jobs and their runs, in every store of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.batch_schedule import Arrival, BatchScheduleSpec
from augurium.core.clock import ManualClock
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument, NotFound
from augurium.registry.batch_schedule_records import (
    ArrivedFile,
    BatchRun,
    BatchSchedule,
    RunDraft,
)
from augurium.registry.batch_schedule_store import MOST_RUNS, BatchScheduleStore
from tests.contract.registry.conftest import KeptSchedules, MakeDraft

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(kept_schedules: KeptSchedules, draft: MakeDraft) -> BatchScheduleStore:
    """A store whose registry has the models `fraud` and `churn`."""
    for model in ("fraud", "churn"):
        kept_schedules.registry.register(model, draft(), "ann")
    return kept_schedules.store


def nightly(model: str = "fraud", **fields: Any) -> BatchScheduleSpec:
    job = BatchSpec(
        model=model,
        input=InputSpec(paths=("s3://in/{date}",)),
        output=OutputSpec(path="s3://out/{date}"),
    )
    given: dict[str, Any] = {"job": job, "cron": "0 2 * * *"}
    return BatchScheduleSpec(**(given | fields))


def a_run(hour: int = 0, **fields: Any) -> RunDraft:
    start = NOON + hour * HOUR
    given: dict[str, Any] = {"kind": "interval", "start": start, "end": start + HOUR}
    return RunDraft(**(given | fields))


@pytest.fixture
def schedule(store: BatchScheduleStore) -> BatchSchedule:
    return store.create("nightly", nightly(), NOON, "ann")


def test_a_schedule_is_found_as_it_was_created(
    store: BatchScheduleStore, schedule: BatchSchedule, clock: ManualClock
) -> None:
    arriving = nightly("churn", cron="", arrival=Arrival(poll_s=5, marker="_SUCCESS"))
    second = store.create("arriving", arriving, NOON, "bob")

    assert store.get("nightly") == schedule
    assert (schedule.spec, schedule.through, schedule.paused) == (nightly(), NOON, False)
    assert (schedule.created_by, schedule.created_at) == ("ann", clock.now())
    assert list(store.find()) == [second, schedule]
    assert list(store.find("churn")) == [second]
    assert list(store.find(sees=lambda model: model == "fraud")) == [schedule]


def test_a_name_that_is_taken_is_refused_with_who_took_it_unless_it_is_to_be_changed(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    (run,) = store.claim(schedule, NOON + HOUR, [a_run()])
    with pytest.raises(Conflict, match=r"already, created by ann.*--replace"):
        store.create("nightly", nightly("churn"), NOON, "bob")

    changed = store.create("nightly", nightly("churn", cron="hourly"), NOON, "bob", anew=True)

    assert store.get("nightly") == changed
    assert (changed.model, changed.spec.cron, changed.id) == ("churn", "hourly", schedule.id)
    assert list(store.runs("nightly")) == [run]


@pytest.mark.parametrize("name", ["nobody", "", "no body", "n" * 200, "\0"])
def test_what_there_is_not_is_not_found(store: BatchScheduleStore, name: str) -> None:
    for call in (
        lambda: store.get(name),
        lambda: store.pause(name, "ann"),
        lambda: store.resume(name, NOON, "ann"),
        lambda: store.delete(name, "ann"),
        lambda: store.order(name, [a_run()], "ann"),
        lambda: store.runs(name),
    ):
        with pytest.raises(NotFound, match="there is no schedule"):
            call()


def test_a_schedule_needs_a_model_that_there_is_and_a_name_that_is_one(
    store: BatchScheduleStore,
) -> None:
    with pytest.raises(NotFound):
        store.create("nightly", nightly("nobody"), NOON, "ann")
    with pytest.raises(InvalidArgument):
        store.create("every night", nightly(), NOON, "ann")


def test_a_claim_writes_runs_down_and_how_far_the_schedule_has_come(
    store: BatchScheduleStore, schedule: BatchSchedule, clock: ManualClock
) -> None:
    missed = a_run(0, state="missed", count=1, reason="the node was down")
    runs = store.claim(schedule, NOON + 2 * HOUR, [missed, a_run(1)])

    assert [(run.number, run.state, run.model) for run in runs] == [
        (1, "missed", "fraud"),
        (2, "waiting", "fraud"),
    ]
    assert [run.ended_at for run in runs] == [clock.now(), None]
    assert runs[1].created_by == "schedule:nightly"
    assert list(store.open_runs()) == [runs[1]]
    assert list(store.runs("nightly")) == [runs[1], runs[0]]
    assert list(store.runs("nightly", before=2)) == [runs[0]]
    after = store.get("nightly")
    assert (after.through, after.revision, after.runs) == (NOON + 2 * HOUR, 2, 2)


def test_of_controls_that_claim_at_once_one_does(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    def claim(number: int) -> bool:
        try:
            return bool(store.claim(schedule, NOON + HOUR, [a_run()]))
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as controls:
        assert sum(controls.map(claim, range(8))) == 1
    assert len(store.runs("nightly")) == 1


def test_an_interval_that_has_a_run_gets_no_second_one_whatever_the_clock_says(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    (first,) = store.claim(schedule, NOON + HOUR, [a_run()])
    store.claim(store.get("nightly"), NOON - HOUR, ())

    again = store.claim(store.get("nightly"), NOON + 2 * HOUR, [a_run(), a_run(1)])

    assert [run.start for run in again] == [NOON + HOUR]
    assert store.get("nightly").through == NOON + 2 * HOUR
    assert [run.number for run in store.runs("nightly")] == [2, 1]
    assert first in store.runs("nightly")


def test_a_paused_schedule_is_not_claimed_until_it_goes_on(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    paused = store.pause("nightly", "bob")
    assert (paused.paused, store.pause("nightly", "bob")) == (True, paused)
    for seen in (schedule, paused):
        with pytest.raises(Conflict, match="changed meanwhile"):
            store.claim(seen, NOON + HOUR, [a_run()])

    resumed = store.resume("nightly", NOON + 5 * HOUR, "bob")

    assert (resumed.paused, resumed.through) == (False, NOON + 5 * HOUR)
    assert store.claim(resumed, NOON + 6 * HOUR, [a_run(5)])


def test_what_is_ordered_runs_once_unless_it_is_wanted_again(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    store.claim(schedule, NOON + 2 * HOUR, [a_run(0), a_run(1, state="skipped")])
    wanted = [a_run(hour, kind="ordered") for hour in range(3)]

    first = store.order("nightly", wanted, "bob")
    again = store.order("nightly", wanted, "bob", again=True)

    assert [run.start.hour for run in first] == [13, 14]
    assert [run.start.hour for run in again] == [12, 13, 14]
    assert store.order("nightly", wanted, "bob") == []
    assert store.get("nightly").through == NOON + 2 * HOUR
    assert {run.created_by for run in (*first, *again)} == {"bob"}


def test_a_run_moves_from_the_state_it_was_seen_in_and_once(
    store: BatchScheduleStore, schedule: BatchSchedule, clock: ManualClock
) -> None:
    (run,) = store.claim(schedule, NOON + HOUR, [a_run()])

    assert store.move(run, "running", job="a" * 32)
    assert not store.move(run, "running", job="b" * 32)
    (running,) = store.open_runs()
    assert (running.state, running.job, running.ended_at) == ("running", "a" * 32, None)
    clock.advance(60)
    assert store.move(running, "failed", reason="r" * 5000)

    (failed,) = store.runs("nightly")
    assert (failed.state, failed.job, failed.ended_at) == ("failed", "a" * 32, clock.now())
    assert failed.reason == "r" * 4000
    assert store.open_runs() == []


def test_what_has_ended_is_to_be_told_until_it_was(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    missed, run = store.claim(schedule, NOON + 2 * HOUR, [a_run(0, state="missed"), a_run(1)])
    assert list(store.untold()) == [missed]
    store.move(run, "succeeded")

    untold = store.untold()
    assert [one.state for one in untold] == ["missed", "succeeded"]
    store.tell(untold[:1])
    assert [one.state for one in store.untold()] == ["succeeded"]
    assert [one.told for one in store.runs("nightly")] == [False, True]


def test_each_file_goes_into_one_run_and_again_when_its_content_is_another(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    old = [ArrivedFile(f"s3://in/{number:04}", "v1") for number in range(1200)]
    run = store.claim_files(schedule, a_run(kind="arrival"), old)
    assert run is not None
    new = [ArrivedFile("s3://in/0007", "v2"), ArrivedFile("s3://in/new", "v1")]

    assert store.unseen("nightly", [*old, *new]) == set(new)
    second = store.claim_files(store.get("nightly"), a_run(1, kind="arrival"), [*old, *new])

    assert second is not None
    assert (run.files, second.files) == (1200, 2)
    assert store.files(second) == ["s3://in/0007", "s3://in/new"]
    assert store.files(run) == [file.location for file in old]
    known = store.get("nightly")
    assert store.claim_files(known, a_run(2, kind="arrival"), new) is None
    assert store.get("nightly") == known


def test_files_of_two_schedules_have_nothing_to_do_with_each_other(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    file = ArrivedFile("s3://in/a", "v1")
    store.claim_files(schedule, a_run(kind="arrival"), [file])
    other = store.create("other", nightly(), NOON, "ann")

    assert store.claim_files(other, a_run(kind="arrival"), [file]) is not None


def test_of_controls_that_claim_the_same_files_one_does(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    files = [ArrivedFile(f"s3://in/{number}", "v1") for number in range(20)]

    def claim(number: int) -> BatchRun | None:
        try:
            return store.claim_files(store.get("nightly"), a_run(kind="arrival"), files)
        except AuguriumError:
            return None

    with ThreadPoolExecutor(8) as controls:
        runs = [run for run in controls.map(claim, range(8)) if run is not None]
    assert len(runs) == 1
    assert len(store.files(runs[0])) == 20


def test_deleting_forgets_runs_and_files(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    file = ArrivedFile("s3://in/a", "v1")
    run = store.claim_files(schedule, a_run(kind="arrival"), [file])
    assert run is not None
    store.delete("nightly", "bob")

    assert (store.find(), store.untold(), store.open_runs()) == ([], [], [])
    assert not store.move(run, "running")
    again = store.create("nightly", nightly(), NOON, "bob")
    assert again.id != schedule.id
    assert store.unseen("nightly", [file]) == {file}
    assert store.runs("nightly") == []
    with pytest.raises(Conflict):
        store.claim(schedule, NOON + HOUR, [a_run()])


def test_old_runs_are_let_go_when_their_end_was_told(
    store: BatchScheduleStore, schedule: BatchSchedule
) -> None:
    first, *told = store.claim(
        schedule, NOON, [a_run(hour, state="skipped") for hour in range(200)]
    )
    store.tell(told)
    for begin in range(200, 1000 + MOST_RUNS, 450):
        some = [a_run(hour, state="skipped") for hour in range(begin, begin + 450)]
        store.tell(store.claim(store.get("nightly"), NOON, some))

    newest = store.get("nightly").runs
    kept = [run.number for run in store.runs("nightly", MOST_RUNS)]
    assert kept == list(range(newest, newest - MOST_RUNS, -1))
    assert list(store.runs("nightly", before=kept[-1])) == [first]


def test_what_people_decide_is_in_the_audit_log_and_what_clocks_do_is_not(
    kept_schedules: KeptSchedules, store: BatchScheduleStore
) -> None:
    store.create("nightly", nightly(), NOON, "ann")
    store.create("nightly", nightly(catch_up=True), NOON, "bob", anew=True)
    store.claim(store.get("nightly"), NOON + HOUR, [a_run()])
    store.pause("nightly", "bob")
    store.resume("nightly", NOON + HOUR, "bob")
    store.order("nightly", [a_run(0, kind="ordered")], "bob", again=True)
    store.delete("nightly", "cleo")

    entries = [
        (entry.action, entry.actor)
        for entry in kept_schedules.registry.audit()
        if entry.action.endswith("batch_schedule")
    ]
    assert sorted(entries) == sorted(
        [
            ("create_batch_schedule", "ann"),
            ("change_batch_schedule", "bob"),
            ("pause_batch_schedule", "bob"),
            ("resume_batch_schedule", "bob"),
            ("run_batch_schedule", "bob"),
            ("delete_batch_schedule", "cleo"),
        ]
    )


def test_a_schedule_that_is_too_large_is_refused(store: BatchScheduleStore) -> None:
    job = nightly().job
    many = replace(job.input, paths=tuple(f"s3://in/{n:0200}" for n in range(3000)))
    with pytest.raises(InvalidArgument, match=r"at most 524288 are allowed; name folders"):
        store.create("nightly", nightly(job=replace(job, input=many)), NOON, "ann")
