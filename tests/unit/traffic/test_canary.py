"""Where a canary goes, tick by tick, and what operators can do."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from augurium.core.canary_plan import CanaryPlan
from augurium.core.errors import Conflict
from augurium.traffic.canary import (
    KEPT,
    Canary,
    CanaryAction,
    CanaryState,
    Emit,
    Freeze,
    Moved,
    Promote,
    SetWeight,
    abort,
    advance,
    pause,
    promote,
    resume,
    wanted,
)
from augurium.traffic.canary_evidence import CanaryTick
from augurium.traffic.canary_findings import Action
from tests.support.canary import arm, tick

PLAN = CanaryPlan(2, slo_ms=100, tick_s=10)
GOOD, BAD = tick(arm(2000)), tick(arm(200, 120))
NOBODY = CanaryTick(10)
S = CanaryState


class Story:
    """A canary that is kept before everything that it asks for."""

    def __init__(self, plan: CanaryPlan = PLAN) -> None:
        self.plan = plan
        self.canary = Canary()
        self.asked: list[CanaryAction] = []
        self.now = 1000.0

    def ticks(self, one: CanaryTick, times: int = 1) -> None:
        for _ in range(times):
            self.now += one.seconds
            self._keep(advance(self.canary, self.plan, one, self.now))

    def move(self, mover: Callable[[Canary, CanaryPlan, str], Moved], reason: str = "ann") -> None:
        self._keep(mover(self.canary, self.plan, reason))

    def _keep(self, moved: Moved) -> None:
        canary, actions = moved
        # as it is read back
        self.canary = msgspec.json.decode(msgspec.json.encode(canary), type=Canary)
        assert self.canary == canary
        self.asked.extend(actions)

    @property
    def weights(self) -> list[float]:
        return [one.percent for one in self.asked if isinstance(one, SetWeight)]

    @property
    def events(self) -> list[str]:
        return [one.event for one in self.asked if isinstance(one, Emit)]


def test_a_good_candidate_goes_through_every_step_and_becomes_the_default() -> None:
    story = Story()

    story.ticks(GOOD, 2)
    assert (story.canary.state, story.weights) == (S.ANALYZING, [5, 5])
    story.ticks(GOOD, 30)
    assert story.weights[-1] == 25
    story.ticks(GOOD, 29)
    assert story.weights[-1] == 25
    story.ticks(GOOD, 1)
    assert story.weights[-1] == 50
    story.ticks(GOOD, 30)
    story.ticks(tick(arm(2000), arm(0)), 29)
    assert (story.canary.state, story.weights[-1]) == (S.ANALYZING, 100)
    story.ticks(tick(arm(2000), arm(0)))

    assert story.canary.state is S.PROMOTED
    assert Promote(2) in story.asked
    assert story.events == ["warmup", "analyzing", "step", "step", "step", "promoted"]


def test_a_step_tells_what_the_candidate_gets_and_how_it_earned_it() -> None:
    story = Story()

    story.ticks(GOOD, 32)

    (step,) = [one for one in story.asked if isinstance(one, Emit) and one.event == "step"]
    assert step.reason.startswith("the candidate gets 25 %: at most ")
    assert "within the margin" in step.reason
    assert story.canary.reason == step.reason


def test_a_bad_candidate_loses_its_traffic_and_is_frozen() -> None:
    story = Story()

    story.ticks(GOOD, 5)
    story.ticks(BAD)

    assert story.canary.state is S.ROLLED_BACK
    assert story.asked[-3:] == [SetWeight(0), Freeze(2), Emit("rolled_back", story.canary.reason)]
    assert "errors are more: lately 120 errors in 6200" in story.canary.reason


def test_what_happens_in_warm_up_is_not_compared() -> None:
    plan = replace(PLAN, warm_up_requests=100_000, warm_up_s=60)
    story = Story(plan)
    story.ticks(GOOD)
    story.ticks(tick(arm(40, 4)), 5)

    assert story.canary.state is S.WARMUP
    assert story.canary.evidence.errors.difference.n == 0
    story.ticks(GOOD)
    assert story.weights == [5, 5]
    assert story.events == ["warmup", "analyzing"]
    assert story.canary.evidence.window.candidate.requests == 0


@pytest.mark.parametrize("state", [S.PENDING, S.WARMUP, S.ANALYZING, S.PAUSED])
def test_hard_limits_hold_in_every_state(state: CanaryState) -> None:
    resumes = S.ANALYZING if state is S.PAUSED else None
    canary, actions = advance(Canary(state, resumes=resumes), PLAN, BAD, 0)

    assert canary.state is S.ROLLED_BACK
    assert Freeze(2) in actions


def test_a_paused_canary_keeps_its_weight_and_grows_no_older() -> None:
    story = Story(replace(PLAN, deadline_s=1500))
    story.ticks(GOOD, 10)
    before = story.canary
    story.move(pause)
    story.ticks(GOOD, 500)

    assert (story.canary.state, story.weights[-1]) == (S.PAUSED, 5)
    assert (story.canary.age_s, story.canary.step_s) == (before.age_s, before.step_s)
    story.move(resume)
    assert story.canary.state is S.ANALYZING
    assert story.canary.step_s == before.step_s
    story.ticks(GOOD, 22)
    assert story.weights[-1] == 25


def test_operators_promote_and_abort_whenever_it_has_not_ended() -> None:
    for mover, state in ((promote, S.PROMOTED), (abort, S.ROLLED_BACK)):
        story = Story()
        story.ticks(GOOD, 4)
        story.move(pause)
        story.move(mover, "ann says so")
        assert (story.canary.state, story.canary.reason) == (state, "ann says so")
        with pytest.raises(Conflict, match="start another"):
            story.move(mover)


def test_moves_that_cannot_be_say_why() -> None:
    with pytest.raises(Conflict, match="nothing to resume"):
        resume(Canary(), PLAN, "")
    with pytest.raises(Conflict, match="paused already"):
        pause(Canary(S.PAUSED, resumes=S.WARMUP), PLAN, "")


def test_nothing_moves_what_has_ended() -> None:
    for state in (S.PROMOTED, S.ROLLED_BACK):
        assert advance(Canary(state), PLAN, BAD, 0) == (Canary(state), ())


def test_what_was_wanted_is_wanted_again_after_a_crash() -> None:
    assert wanted(Canary(), PLAN) == ()
    assert wanted(Canary(S.PAUSED, resumes=S.PENDING), PLAN) == ()
    assert wanted(Canary(S.ANALYZING, step=2), PLAN) == (SetWeight(50),)
    assert wanted(Canary(S.PAUSED, step=1, resumes=S.ANALYZING), PLAN) == (SetWeight(25),)
    assert wanted(Canary(S.PROMOTED), PLAN) == (Promote(2),)
    assert wanted(Canary(S.ROLLED_BACK), PLAN) == (SetWeight(0), Freeze(2))


def test_without_traffic_it_is_held_until_the_deadline() -> None:
    story = Story(replace(PLAN, deadline_s=1200))

    story.ticks(NOBODY, 119)
    assert not story.canary.ended
    assert story.canary.log[-1].action is Action.NO_DATA
    story.ticks(NOBODY)

    assert story.canary.state is S.ROLLED_BACK
    assert "deadline of 1200 s has passed: nobody asks" in story.canary.reason


def test_at_the_deadline_it_can_be_promoted_or_held_and_told_once() -> None:
    promoted = Story(replace(PLAN, deadline_s=1200, at_deadline="promote"))
    held = Story(replace(PLAN, deadline_s=1200, at_deadline="hold"))
    for story in (promoted, held):
        story.ticks(NOBODY, 130)

    assert promoted.canary.state is S.PROMOTED
    assert not held.canary.ended
    assert held.events.count("late") == 1
    held.ticks(BAD)
    assert held.canary.ended
    assert held.events[-1] == "rolled_back"


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_changes_nothing_but_what_is_told(jump: float) -> None:
    steady, jumped = Story(), Story()
    for number in range(40):
        steady.ticks(GOOD)
        jumped.now += jump if number == 7 else 0
        jumped.ticks(GOOD)

    untold = [replace(story.canary, log=()) for story in (steady, jumped)]
    assert untold[0] == untold[1]
    assert jumped.asked == steady.asked


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_tick_of_an_hour_is_no_hour_that_was_watched(seconds: float) -> None:
    story = Story(replace(PLAN, deadline_s=1300))
    story.ticks(GOOD, 5)

    story.ticks(CanaryTick(seconds, arm(19_000), arm(1000)))

    assert (story.canary.state, story.weights[-1]) == (S.ANALYZING, 5)
    assert story.canary.age_s in (80, 50)


def test_the_log_says_why_and_is_bounded() -> None:
    story = Story(replace(PLAN, deadline_s=0))
    story.ticks(tick(arm(1), seconds=5), 400)

    log = story.canary.log
    assert len(log) == KEPT
    assert log[-1].at == story.now
    assert log[-1].age_s - log[0].age_s > 900
    assert {one.check for one in log[-1].findings} >= {"errors", "slo_breaches", "margin"}
    errors = next(one for one in log[-1].findings if one.check == "errors")
    assert None not in (errors.statistic, errors.threshold, errors.low, errors.high)


MOVES = {"pause": pause, "resume": resume, "promote": promote, "abort": abort}
STEPS = st.lists(st.sampled_from(["good", "bad", "none", *MOVES]), max_size=30)
TICKS = {"good": GOOD, "bad": BAD, "none": NOBODY}
SHORT = CanaryPlan(2, steps=(10, 60), hold_s=20, warm_up_s=10, tick_s=10)


@settings(max_examples=60)
@given(STEPS)
def test_no_order_of_moves_and_ticks_leaves_a_state_that_cannot_be(steps: list[str]) -> None:
    story, ended = Story(SHORT), False
    for name in steps:
        if name in TICKS:
            story.ticks(TICKS[name])
        else:
            try:
                story.move(MOVES[name])
            except Conflict:
                continue
        canary = story.canary
        assert not ended
        ended = canary.ended
        assert (canary.state is S.PAUSED) == (canary.resumes is not None)
        assert canary.resumes in (None, S.PENDING, S.WARMUP, S.ANALYZING)
        assert 0 <= canary.step < len(SHORT.steps)
        if canary.state is S.ROLLED_BACK:
            assert story.weights[-1] == 0
        if ended:
            break


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=25), st.integers(0, 24))
def test_what_is_read_back_at_any_time_has_the_same_future(errors: list[int], at: int) -> None:
    kept = Canary()
    canary = Canary()
    for number, count in enumerate(errors):
        one = tick(arm(300, count))
        canary, actions = advance(canary, SHORT, one, number)
        if number == at:
            kept = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Canary)
        kept, again = advance(kept, SHORT, one, number)
        assert again == actions

    assert kept == canary


@settings(max_examples=25)
@given(st.integers(3, 12), st.integers(200, 2000))
def test_a_candidate_that_is_always_worse_by_more_than_the_margin_is_never_promoted(
    errors: int, requests: int
) -> None:
    """0.15 to 6 % more errors, in every tick."""
    story = Story(replace(SHORT, alpha=0.01, deadline_s=0))
    story.ticks(tick(arm(requests, errors)), 60)

    assert story.canary.state in (S.ANALYZING, S.ROLLED_BACK)
    assert Promote(2) not in story.asked
