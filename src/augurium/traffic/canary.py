"""A canary as a value, and what moves it: ticks, and operators.

It is kept before what it asks for is done. Whoever finds it again asks `wanted` what holds in its
state and does that once more: doing it twice changes nothing. Times are sums of how long ticks
were, so neither a clock that is set nor a control that was away makes a step older.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from augurium.core.canary_plan import CanaryPlan
from augurium.core.errors import Conflict
from augurium.traffic.canary_evidence import CanaryTick, Evidence
from augurium.traffic.canary_findings import Action, Finding, Verdict
from augurium.traffic.canary_judge import judge, judge_limits

# of decisions; those that say the same for long are thinned out
KEPT = 40
THINNED_S = 30.0
# a longer tick is one in which nobody looked
LONGEST_S = 30.0


class CanaryState(StrEnum):
    """Where a canary is."""

    PENDING = "pending"
    WARMUP = "warmup"
    ANALYZING = "analyzing"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


ENDED = frozenset({CanaryState.PROMOTED, CanaryState.ROLLED_BACK})


class Decision(Struct, frozen=True, omit_defaults=True):
    """What was decided in a tick: when, in which state and step, and all that was found.

    `age_s` are the seconds that the canary was watched until then.
    """

    at: float
    age_s: float
    state: CanaryState
    percent: float
    action: Action
    findings: tuple[Finding, ...]


class Canary(Struct, frozen=True, omit_defaults=True):
    """All that is known of a canary. `step` counts from 0; `resumes` is where a paused one was."""

    state: CanaryState = CanaryState.PENDING
    step: int = 0
    reason: str = ""
    resumes: CanaryState | None = None
    age_s: float = 0.0
    step_s: float = 0.0
    late: bool = False
    """Its deadline has passed, and has been told."""
    evidence: Evidence = Evidence()
    log: tuple[Decision, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing moves it any more."""
        return self.state in ENDED


class SetWeight(Struct, frozen=True, tag=True):
    """The candidate has so many percent of the units."""

    percent: float


class Promote(Struct, frozen=True, tag=True):
    """The candidate is the default version, and there is no split any more."""

    version: int


class Freeze(Struct, frozen=True, tag=True):
    """The candidate gets no traffic until somebody says that it may."""

    version: int


class Emit(Struct, frozen=True, tag=True):
    """Somebody should be told: what happened, and why."""

    event: str
    reason: str


CanaryAction = SetWeight | Promote | Freeze | Emit
Moved = tuple[Canary, tuple[CanaryAction, ...]]


def wanted(canary: Canary, plan: CanaryPlan) -> tuple[CanaryAction, ...]:
    """What holds in its state, to be done again after a crash."""
    if canary.state is CanaryState.ROLLED_BACK:
        return SetWeight(0), Freeze(plan.version)
    if canary.state is CanaryState.PROMOTED:
        return (Promote(plan.version),)
    if CanaryState.PENDING in (canary.state, canary.resumes):
        return ()
    return (SetWeight(plan.steps[canary.step]),)


def advance(canary: Canary, plan: CanaryPlan, tick: CanaryTick, now: float) -> Moved:
    """The canary after a tick, and what to do then. `now` is told only, as the time of decisions.

    The first tick gives a pending one its first weight; it says nothing of the candidate yet,
    unless that is at fault.
    """
    if canary.ended:
        return canary, ()
    canary, verdict = _judged(canary, plan, _bounded(plan, tick))
    canary = _logged(canary, plan, verdict, now)
    if verdict.action is Action.ROLL_BACK:
        return _entered(canary, plan, CanaryState.ROLLED_BACK, verdict.reason)
    if canary.state is CanaryState.PAUSED:
        return canary, ()
    if canary.state is CanaryState.PENDING:
        return _entered(canary, plan, CanaryState.WARMUP, f"the candidate gets {plan.steps[0]:g} %")
    if canary.state is CanaryState.WARMUP and _warm(canary, plan):
        warm = "warmed up; its answers are compared from now on"
        return _entered(canary, plan, CanaryState.ANALYZING, warm)
    if verdict.action is Action.PROMOTE:
        return _onward(canary, plan, _proof(verdict))
    return _at_deadline(canary, plan, verdict)


def pause(canary: Canary, plan: CanaryPlan, reason: str) -> Moved:
    """Keeps its weight and compares no more; hard limits still hold. Raises Conflict for one that
    is paused or has ended.
    """
    if canary.state is CanaryState.PAUSED:
        raise Conflict("the canary is paused already; resume, promote or abort it")
    _check_alive(canary, "paused")
    held = replace(canary, resumes=canary.state)
    return _entered(held, plan, CanaryState.PAUSED, reason)


def resume(canary: Canary, plan: CanaryPlan, reason: str) -> Moved:
    """Goes on where it was paused. Raises Conflict for one that is not paused."""
    if canary.resumes is None:
        raise Conflict(f"the canary is {canary.state}, not paused; there is nothing to resume")
    return _entered(canary, plan, canary.resumes, reason, event="resumed")


def promote(canary: Canary, plan: CanaryPlan, reason: str) -> Moved:
    """Makes the candidate the default at once. Raises Conflict for one that has ended."""
    _check_alive(canary, "promoted")
    return _entered(canary, plan, CanaryState.PROMOTED, reason)


def abort(canary: Canary, plan: CanaryPlan, reason: str) -> Moved:
    """Takes all traffic from the candidate. Raises Conflict for one that has ended."""
    _check_alive(canary, "aborted")
    return _entered(canary, plan, CanaryState.ROLLED_BACK, reason)


def _check_alive(canary: Canary, what: str) -> None:
    if canary.ended:
        raise Conflict(
            f"the canary is {canary.state} ({canary.reason}), and cannot be {what} any more; "
            "start another"
        )


def _judged(canary: Canary, plan: CanaryPlan, tick: CanaryTick) -> tuple[Canary, Verdict]:
    """The canary with what the tick says, and what the judge says of it."""
    paused = canary.state is CanaryState.PAUSED
    comparing = CanaryState.ANALYZING in (canary.state, canary.resumes)
    known = canary.evidence
    evidence = known.compared(plan, tick) if comparing else known.watched(tick)
    # while it is paused it grows no older: nothing is held, and no deadline comes nearer
    more_s = 0.0 if paused else tick.seconds
    seen = replace(
        canary, evidence=evidence, age_s=canary.age_s + more_s, step_s=canary.step_s + more_s
    )
    if comparing and not paused:
        return seen, judge(plan, evidence, seen.step_s)
    return seen, judge_limits(plan, evidence)


def _warm(canary: Canary, plan: CanaryPlan) -> bool:
    asked = canary.evidence.step.candidate.requests
    return canary.step_s >= plan.warm_up_s or asked >= plan.warm_up_requests


def _onward(canary: Canary, plan: CanaryPlan, reason: str) -> Moved:
    if canary.step + 1 == len(plan.steps):
        return _entered(canary, plan, CanaryState.PROMOTED, reason)
    further = replace(canary, step=canary.step + 1)
    told = f"the candidate gets {plan.steps[further.step]:g} %: {reason}"
    return _entered(further, plan, CanaryState.ANALYZING, told, event="step")


def _proof(verdict: Verdict) -> str:
    """What says most of all that passed; all of it stands in the log of decisions."""
    margins = [one.reason for one in verdict.findings if one.check == "margin"]
    return margins[0] if margins else verdict.reason


def _at_deadline(canary: Canary, plan: CanaryPlan, verdict: Verdict) -> Moved:
    if canary.late or not plan.deadline_s or canary.age_s < plan.deadline_s:
        return canary, ()
    reason = f"the deadline of {plan.deadline_s:g} s has passed: {verdict.reason}"
    if plan.at_deadline == "hold":
        return replace(canary, late=True), (Emit("late", reason),)
    promoted = plan.at_deadline == "promote"
    state = CanaryState.PROMOTED if promoted else CanaryState.ROLLED_BACK
    return _entered(replace(canary, late=True), plan, state, reason)


def _entered(
    canary: Canary, plan: CanaryPlan, state: CanaryState, reason: str, event: str = ""
) -> Moved:
    """The canary in a state, or in another step of it, and what that asks for."""
    evidence, step_s, resumes = canary.evidence, canary.step_s, canary.resumes
    paused = CanaryState.PAUSED in (canary.state, state)
    if not paused and state is not CanaryState.ROLLED_BACK:
        evidence, step_s = evidence.at_next_step(), 0.0
    if state is not CanaryState.PAUSED:
        resumes = None
    entered = replace(
        canary, state=state, reason=reason, evidence=evidence, step_s=step_s, resumes=resumes
    )
    return entered, (*wanted(entered, plan), Emit(event or state.value, reason))


def _bounded(plan: CanaryPlan, tick: CanaryTick) -> CanaryTick:
    longest_s = max(LONGEST_S, 3 * plan.tick_s)
    return replace(tick, seconds=min(max(0.0, tick.seconds), longest_s))


def _logged(canary: Canary, plan: CanaryPlan, verdict: Verdict, now: float) -> Canary:
    percent = plan.steps[canary.step]
    made = Decision(now, canary.age_s, canary.state, percent, verdict.action, verdict.findings)
    log = canary.log
    if len(log) > 1 and _same(log[-2], log[-1], made):
        log = log[:-1]
    return replace(canary, log=(*log, made)[-KEPT:])


def _same(first: Decision, middle: Decision, last: Decision) -> bool:
    """Whether the one in the middle says nothing that those around it do not."""
    said = {(one.state, one.percent, one.action) for one in (first, middle, last)}
    return len(said) == 1 and last.age_s - first.age_s < THINNED_S
