"""Schedules of batch jobs: one job for each interval, whatever clocks and controls do."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.batch.templates import job_of
from augurium.core.errors import Conflict, InvalidArgument, NotFound, NotReady
from augurium.registry.records import VersionDraft
from tests.support.schedules import HOUR, TEN, Schedules, hourly

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world(draft: VersionDraft) -> Schedules:
    return Schedules(draft)


def starts(world: Schedules) -> list[int]:
    """The hours that jobs were submitted for, in the order of their submission."""
    return [(job.due_at or TEN).hour - 1 for job in world.submitted]


async def test_a_job_is_submitted_when_its_interval_has_ended(world: Schedules) -> None:
    await world.create()
    await world.later(59 * MINUTE)
    assert world.submitted == []
    await world.later(MINUTE)

    (job,) = world.submitted
    assert job.spec.input.paths == ("/in/2026-11-01/10",)
    assert job.spec.output.path == "/out/2026-11-01T10:00:00+00:00"
    assert (job.schedule, job.due_at, job.created_by) == ("hourly", TEN + HOUR, "schedule:hourly")
    (run,) = world.runs
    assert (run.state, run.job, run.start) == ("running", job.id, TEN)


async def test_how_a_job_ended_is_written_down_and_told_once(world: Schedules) -> None:
    await world.create()
    await world.later(HOUR)
    world.end(world.submitted[0])
    await world.turns()
    await world.later(HOUR)
    world.end(world.submitted[1], "failed", "row 7 has no amount")
    await world.turns()
    await world.turns(world.another_control())

    assert [run.state for run in world.runs] == ["succeeded", "failed"]
    assert [(one.kind, one.topic) for one in world.told] == [
        ("batch_succeeded", "batch.succeeded"),
        ("batch_failed", "batch.failed"),
    ]
    failed = world.told[1]
    assert failed.text == "run 2 of schedule 'hourly' failed: row 7 has no amount"
    assert (failed.job, failed.start) == (world.submitted[1].id, TEN + HOUR)


async def test_a_control_that_dies_before_a_receiver_has_answered_leaves_the_telling_to_the_next(
    world: Schedules,
) -> None:
    await world.create()
    await world.later(HOUR)
    world.end(world.submitted[0])
    world.deaf = True
    await world.turns()
    before = len(world.told)
    world.deaf = False
    await world.turns(world.another_control())
    await world.turns(world.another_control())

    assert before > 0
    assert len(world.told) == before + 1
    assert len({one.message_id for one in world.told}) == 1


async def test_without_catch_up_only_the_newest_of_missed_intervals_runs_and_others_are_told(
    world: Schedules,
) -> None:
    await world.create()
    await world.later(4 * HOUR)

    assert starts(world) == [13]
    (told,) = world.told
    assert (told.kind, told.count) == ("batch_missed", 3)
    assert (told.start, told.end) == (TEN, TEN + 3 * HOUR)
    assert "run --for" in told.text


async def test_with_catch_up_every_missed_interval_runs_once_and_the_oldest_first(
    world: Schedules,
) -> None:
    await world.create(catch_up=True)
    await world.later(4 * HOUR)
    assert starts(world) == [10]
    for done in range(4):
        world.end(world.submitted[done])
        await world.turns()

    assert starts(world) == [10, 11, 12, 13]
    assert {one.kind for one in world.told} == {"batch_succeeded"}


async def test_catching_up_is_bounded(world: Schedules) -> None:
    await world.create(catch_up=True, most_catch_up=2)
    await world.later(8 * HOUR)

    assert [(run.state, run.start.hour, run.count) for run in world.runs] == [
        ("missed", 10, 6),
        ("running", 16, 1),
        ("waiting", 17, 1),
    ]


async def test_an_interval_waits_for_the_job_of_the_one_before(world: Schedules) -> None:
    await world.create()
    await world.later(HOUR)
    await world.later(HOUR)
    assert starts(world) == [10]
    world.end(world.submitted[0])
    await world.turns()

    assert starts(world) == [10, 11]
    assert [one.kind for one in world.told] == ["batch_succeeded"]


async def test_an_interval_may_be_skipped_instead_and_that_is_told(world: Schedules) -> None:
    await world.create(overlap="skip")
    await world.later(HOUR)
    await world.later(HOUR)
    world.end(world.submitted[0])
    await world.later(HOUR)

    assert starts(world) == [10, 12]
    assert [run.state for run in world.runs] == ["succeeded", "skipped", "running"]
    assert "batch_skipped" in {one.kind for one in world.told}


async def test_of_several_controls_one_submits(world: Schedules) -> None:
    controls = [world.control, *(world.another_control() for _ in range(3))]
    await world.create(catch_up=True)
    world.clock.advance(3 * 3600)
    await world.turns(*controls)

    assert starts(world) == [10]
    assert len(world.runs) == 3


async def test_a_control_that_dies_between_claim_and_submission_leaves_it_to_the_next(
    world: Schedules,
) -> None:
    await world.create()
    world.jobs.refusal = NotReady("the check has no place")
    await world.later(HOUR)
    assert [(run.state, run.reason) for run in world.runs] == [
        ("waiting", "the check has no place")
    ]
    world.jobs.refusal = None
    await world.turns(world.another_control())

    assert starts(world) == [10]
    assert [run.state for run in world.runs] == ["running"]


async def test_a_control_that_dies_behind_the_submission_makes_no_second_job(
    world: Schedules,
) -> None:
    await world.create()
    world.jobs.refusal = NotReady("not now")
    await world.later(HOUR)
    (run,) = world.runs
    world.jobs.refusal = None
    # what the control that died did last
    job = job_of(hourly().job, run.interval, UTC, run.number)
    await world.jobs.submit(job, "schedule:hourly", run.key, "hourly", run.end)
    world.end(world.submitted[0])
    # its output is there now, and another look at it would refuse the job
    world.jobs.refusal = Conflict("the folder is not empty")
    await world.turns(world.another_control())

    assert len(world.submitted) == 1
    assert [one.state for one in world.runs] == ["succeeded"]


async def test_what_may_pass_is_tried_again_and_fails_after_an_hour(world: Schedules) -> None:
    await world.create(cron="0 10 * * *")
    world.jobs.refusal = NotReady("the store does not answer")
    await world.later(24 * HOUR)
    for _ in range(70):
        await world.later(MINUTE)

    assert [run.state for run in world.runs] == ["failed"]
    assert [one.kind for one in world.told] == ["batch_failed"]
    assert "for an hour: the store does not answer" in world.told[0].text


async def test_a_job_that_cannot_be_is_told_at_once_and_the_next_interval_has_its_own(
    world: Schedules,
) -> None:
    await world.create()
    world.jobs.refusal = NotFound("/in/2026-11-01/10 does not exist")
    await world.later(HOUR)
    assert "does not exist" in world.told[0].text
    world.jobs.refusal = None
    await world.later(HOUR)

    assert starts(world) == [11]


async def test_a_clock_that_was_ahead_for_a_moment_makes_nothing_run(world: Schedules) -> None:
    await world.create()
    await world.later(30 * MINUTE)
    world.clock.set(1000 * HOUR)
    await world.turns()
    world.clock.set(-1000 * HOUR)
    await world.later(2 * MINUTE)
    assert world.submitted == []
    await world.later(30 * MINUTE)

    assert starts(world) == [10]
    assert world.told == []


async def test_a_clock_that_was_ahead_for_long_loses_nothing_and_doubles_nothing(
    world: Schedules,
) -> None:
    await world.create()
    world.clock.set(5 * HOUR)
    await world.turns()
    await world.later(2 * MINUTE)
    assert starts(world) == [14]
    world.end(world.submitted[0])
    world.clock.set(-5 * HOUR)
    await world.turns()
    for _ in range(6):
        await world.later(HOUR)
        for job in world.submitted:
            if not job.ended:
                world.end(job)

    assert sorted(starts(world)) == [10, 11, 12, 13, 14, 15]


async def test_a_clock_that_goes_back_submits_nothing_twice(world: Schedules) -> None:
    await world.create(catch_up=True)
    for _ in range(3):
        await world.later(HOUR)
        world.end(world.submitted[-1])
    world.clock.set(-2 * HOUR)
    for _ in range(4):
        await world.later(HOUR + MINUTE)
        for job in world.submitted:
            if not job.ended:
                world.end(job)

    assert starts(world) == [10, 11, 12, 13, 14]


async def test_metrics_say_how_runs_ended_and_how_late_a_schedule_is(world: Schedules) -> None:
    await world.create()
    world.jobs.refusal = NotReady("the store does not answer")
    await world.later(HOUR + 10 * MINUTE)
    assert world.control.facts.late_s == {"hourly": 600}
    world.jobs.refusal = None
    await world.later(MINUTE)
    assert world.control.facts.late_s == {"hourly": 660}
    world.end(world.submitted[0])
    await world.turns()

    assert world.control.facts.late_s == {"hourly": 0}
    assert world.control.facts.ended == {("hourly", "succeeded"): 1}


@pytest.mark.parametrize("ahead", [2, 10, 90])
async def test_nodes_whose_clocks_disagree_submit_each_interval_once_and_do_not_cry_wolf(
    world: Schedules, ahead: int
) -> None:
    controls = [world.another_control(ahead * MINUTE), world.control]
    await world.create(cron="*/5 * * * *")
    for _ in range(12):
        world.clock.advance(300)
        for _ in range(3):
            await world.turns(*controls)
            for job in world.submitted:
                if not job.ended:
                    world.end(job)

    due = [job.due_at for job in world.submitted]
    assert len(due) == len(set(due))
    # what the first look of the one ahead passed over
    assert [one.kind for one in world.told].count("batch_missed") <= 1
    assert {one.kind for one in world.told} <= {"batch_succeeded", "batch_missed"}


async def test_a_pause_begins_no_job_and_without_catch_up_what_it_lasted_is_passed_over(
    world: Schedules,
) -> None:
    await world.create()
    await world.control.pause("hourly", "bob")
    await world.later(3 * HOUR + 10 * MINUTE)
    assert world.control.upcoming(world.store.get("hourly")) == ()
    await world.control.resume("hourly", "bob")
    await world.turns()
    assert world.submitted == []
    await world.later(HOUR)

    assert starts(world) == [13]
    assert world.told == []


async def test_with_catch_up_what_a_pause_lasted_is_made_up_for(world: Schedules) -> None:
    await world.create(catch_up=True)
    await world.control.pause("hourly", "bob")
    await world.later(2 * HOUR)
    await world.control.resume("hourly", "bob")
    await world.turns()

    assert [run.start.hour for run in world.runs] == [10, 11]


async def test_a_job_that_runs_is_followed_through_a_pause(world: Schedules) -> None:
    await world.create()
    await world.later(HOUR)
    await world.control.pause("hourly", "bob")
    world.end(world.submitted[0])
    await world.turns()

    assert [run.state for run in world.runs] == ["succeeded"]


async def test_days_of_the_past_run_one_after_the_other_and_what_is_due_goes_before_them(
    world: Schedules,
) -> None:
    await world.create()
    span = ("2026-10-30T00:00", "2026-10-30T03:00")
    runs, left_out = await world.control.order("hourly", "bob", span)
    assert ([run.start.hour for run in runs], left_out) == ([0, 1, 2], 0)
    await world.turns()
    await world.later(HOUR)
    for done in range(4):
        world.end(world.submitted[done])
        await world.turns()

    assert starts(world) == [0, 10, 1, 2]
    assert world.submitted[0].spec.input.paths == ("/in/2026-10-30/00",)


async def test_an_order_leaves_out_what_had_its_job_unless_it_is_wanted_again(
    world: Schedules,
) -> None:
    await world.create()
    await world.later(HOUR)
    world.end(world.submitted[0])
    await world.later(3 * HOUR)
    span = ("2026-11-01", "2026-11-01")
    runs, left_out = await world.control.order("hourly", "bob", span)

    # one had its job, one waits for it, two were missed, and those of the night were never due
    assert left_out == 2
    assert [run.start.hour for run in runs] == [*range(10), 11, 12]
    (again,), none = await world.control.order("hourly", "bob", ("", ""), again=True)
    assert (again.start.hour, none) == (13, 0)


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        (("2027-01-01", "2027-01-02"), "no interval of 'hourly' begins from 2027-01-01"),
        (("2020-01-01", "2026-10-01"), "more than 1000 intervals"),
        (("2026-10-02", "2026-10-01"), "holds no time"),
        (("yesterday", "today"), "is no day and no time; expected one such as 2026-11-01"),
    ],
)
async def test_an_order_for_no_interval_or_too_many_is_refused(
    world: Schedules, span: tuple[str, str], problem: str
) -> None:
    await world.create()
    with pytest.raises(InvalidArgument, match=problem):
        await world.control.order("hourly", "bob", span)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"cron": ""}, "give one of them"),
        ({"cron": "every hour"}, "cannot be read"),
        ({"timezone": "Europe/Atlantis"}, "no time zone"),
        ({"job": "/out"}, r"several runs would write to /out, .* put \{start\} or \{run\}"),
        ({"job": "/out/{date}"}, "several runs would write to /out/2026-11-01,"),
        ({"job": "/out/{dat}"}, "is no template"),
    ],
)
async def test_a_schedule_that_cannot_be_is_refused(
    world: Schedules, fields: dict[str, Any], problem: str
) -> None:
    job = hourly().job
    if "job" in fields:
        output = type(job.output)(path=fields["job"])
        fields = {"job": type(job)(model="fraud", input=job.input, output=output)}
    with pytest.raises(InvalidArgument, match=problem):
        await world.create(**fields)


async def test_changing_a_schedule_keeps_how_far_it_has_come_unless_its_times_change(
    world: Schedules,
) -> None:
    await world.create(catch_up=True)
    world.clock.advance(2.5 * 3600)
    await world.control.create("hourly", hourly(catch_up=True, most_catch_up=9), "bob", anew=True)
    assert world.store.get("hourly").through == TEN
    await world.control.create("hourly", hourly(cron="*/30 * * * *"), "bob", anew=True)

    assert world.store.get("hourly").through == TEN + 2.5 * HOUR


async def test_a_deleted_schedule_leaves_its_job_alone(world: Schedules) -> None:
    await world.create()
    await world.later(HOUR)
    await world.control.delete("hourly", "bob")
    await world.later(HOUR)

    (job,) = world.submitted
    assert not job.ended
    with pytest.raises(NotFound):
        await world.control.order("hourly", "bob", ("", ""))


STEPS = st.lists(
    st.tuples(
        st.integers(1, 200),
        st.integers(-240, 240) | st.just(0),
        st.booleans(),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.booleans())
async def test_no_interval_has_two_jobs_and_none_is_lost_whatever_the_clock_does(
    draft: VersionDraft, steps: list[tuple[int, int, bool, int]], catch_up: bool
) -> None:
    world = Schedules(draft)
    await world.create(catch_up=catch_up, most_catch_up=1000)
    controls = [world.another_control() for _ in range(3)]
    for minutes, set_by, ends, control in steps:
        world.clock.set(set_by * MINUTE)
        world.clock.advance(minutes * 60)
        await world.turns(controls[control])
        if ends:
            for job in world.submitted:
                if not job.ended:
                    world.end(job)
    # in the end the clock is right for long enough, and every job ends
    for _ in range(120):
        world.clock.advance(70)
        await world.turns(*controls)
        for job in world.submitted:
            if not job.ended:
                world.end(job)
        if not world.store.open_runs():
            break

    due = [job.due_at for job in world.submitted]
    assert len(due) == len(set(due))
    now = world.clock.now()
    told = {
        run.start + hour * HOUR
        for run in world.runs
        for hour in range(int((run.end - run.start) / HOUR))
    }
    ended = {TEN + hour * HOUR for hour in range(int((now - TEN) / HOUR))}
    assert ended <= told
