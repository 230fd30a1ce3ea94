"""The course of canaries: feeds ticks to `traffic/canary.py` and says what of it shall be done."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from augurium.control.canary_quality import QualityQuestion
from augurium.control.rollout_course import Beginning, Watched
from augurium.control.rollout_state import Move, RolloutState
from augurium.control.variant_ticks import Arm, Tick
from augurium.core.arm_counts import ArmCounts
from augurium.core.canary_plan import CanaryPlan, check_plan
from augurium.core.errors import Conflict, InvalidArgument
from augurium.core.traffic_policy import Variant
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout, RolloutNote
from augurium.traffic import canary as machine
from augurium.traffic.canary import Canary, CanaryAction, CanaryState, Emit, SetWeight
from augurium.traffic.canary_evidence import CanaryTick, Quality
from augurium.traffic.canary_findings import Outcome

# ticks that are not there after so many of their lengths are those in which nobody asked
PATIENCE = 2.5
ORDERS = {
    "pause": machine.pause,
    "resume": machine.resume,
    "promote": machine.promote,
    "abort": machine.abort,
}


# the quality that is known; it never waits
NewestQuality = Callable[[QualityQuestion], Quality | None]


class CanaryMemory(Struct, frozen=True):
    """The canary, and until when it has seen ticks, in seconds since the rollout began."""

    canary: Canary
    fed_s: float = 0.0


class CanaryCourse:
    """Judges canaries. All that it knows is in the state, but for `quality`, which is asked.

    `recorded` says whether this node keeps a prediction log.
    """

    def __init__(self, quality: NewestQuality, recorded: bool = True) -> None:
        self._quality = quality
        self._recorded = recorded

    def exposes(self, plan: dict[str, Any]) -> bool:
        # outcomes are those of requests that are recorded
        return _plan(plan).quality is not None

    def begin(self, model: Model, plan: dict[str, Any]) -> Beginning:
        wanted = _plan(plan)
        check_plan(wanted)
        if wanted.quality is not None and not self._recorded:
            # one whose outcomes cannot be known would be held until its deadline
            raise Conflict(
                "quality is judged by predictions that are recorded, and this node records none;"
                " set prediction_log.enabled = true, or leave quality out"
            )
        control = model.default_version
        if control is None:
            raise Conflict(
                f"model '{model.name}' has no default version, which a canary is compared with;"
                f" make one with `augurium deploy {model.name}@VERSION`"
            )
        if control == wanted.version:
            raise InvalidArgument(
                f"{model.name}@{control} is the default already; name the version that shall"
                " become it"
            )
        if wanted.version not in model.deployed_versions:
            raise Conflict(
                f"{model.name}@{wanted.version} is not deployed; load it first with `augurium"
                f" deploy {model.name}@{wanted.version} --no-default`"
            )
        return Beginning(
            plan=to_builtins(wanted),
            version=wanted.version,
            control=control,
            split=_split(control, wanted.version, 0.0),
            course=to_builtins(CanaryMemory(Canary())),
        )

    def tick_s(self, rollout: Rollout) -> float:
        return _plan(rollout.plan).tick_s

    async def advance(self, rollout: Rollout, state: RolloutState, watched: Watched) -> Move | None:
        plan, memory = _plan(rollout.plan), _memory(state)
        canary, fed_s = memory.canary, memory.fed_s
        ticks = [_tick(rollout, state, tick, watched.fault) for tick in watched.ticks]
        if not ticks:
            if watched.now - fed_s < PATIENCE * plan.tick_s and not watched.fault:
                return None
            ticks = [CanaryTick(max(0.0, watched.now - fed_s - plan.tick_s), fault=watched.fault)]
        # it is that since the beginning, so that the last one says all
        ticks[-1] = msgspec.structs.replace(ticks[-1], quality=self._known(rollout, state, plan))
        actions: list[CanaryAction] = []
        for tick in ticks:
            canary, asked = machine.advance(canary, plan, tick, watched.at)
            actions += asked
            fed_s += tick.seconds
        fed_s = max(fed_s, watched.now - PATIENCE * plan.tick_s)
        return _move(rollout, state, CanaryMemory(canary, fed_s), actions)

    def obey(
        self, rollout: Rollout, state: RolloutState, order: str, reason: str, now: float
    ) -> Move:
        plan, memory = _plan(rollout.plan), _memory(state)
        canary, actions = ORDERS[order](memory.canary, plan, reason)
        done = [action for action in actions if not isinstance(action, Emit)]
        move = _move(rollout, state, CanaryMemory(canary, memory.fed_s), done)
        return msgspec.structs.replace(move, paused=canary.state is CanaryState.PAUSED)

    async def peek(self, rollout: Rollout, state: RolloutState) -> dict[str, Any]:
        return state.verdict

    def _known(self, rollout: Rollout, state: RolloutState, plan: CanaryPlan) -> Quality | None:
        """What its outcomes are, as far as they were read."""
        if plan.quality is None:
            return None
        question = QualityQuestion(
            rollout.model,
            plan.quality.name,
            f"v{state.control}",
            f"v{rollout.version}",
            rollout.created_at.timestamp(),
        )
        return self._quality(question)


def _plan(plan: dict[str, Any]) -> CanaryPlan:
    try:
        return msgspec.convert(plan, CanaryPlan)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the plan of the canary does not fit: {error}") from error


def _memory(state: RolloutState) -> CanaryMemory:
    # what comes from the registry was JSON, where the bins of histograms are texts
    return msgspec.convert(state.course, CanaryMemory, str_keys=True)


def _split(control: int, version: int, percent: float) -> tuple[Variant, ...]:
    return Variant(control, round(100 - percent, 2)), Variant(version, percent)


def _tick(rollout: Rollout, state: RolloutState, tick: Tick, fault: str) -> CanaryTick:
    arms = tick.arms
    baseline, candidate = (
        arms.get(Arm(version, f"v{version}"), ArmCounts())
        for version in (state.control, rollout.version)
    )
    return CanaryTick(tick.seconds, baseline, candidate, fault=fault)


def _move(
    rollout: Rollout, state: RolloutState, memory: CanaryMemory, actions: Sequence[CanaryAction]
) -> Move:
    canary = memory.canary
    verdict = _verdict(canary) or state.verdict
    move = Move(course=to_builtins(memory), verdict=verdict, notes=_notes(canary, actions, verdict))
    if canary.state is CanaryState.ROLLED_BACK:
        told = verdict | {"cause": _cause(verdict, canary)}
        return msgspec.structs.replace(
            move, outcome="rolled_back", reason=canary.reason, verdict=told, urgent=True
        )
    if canary.state is CanaryState.PROMOTED:
        return msgspec.structs.replace(
            move, outcome="promoted", reason=canary.reason, winner=rollout.version
        )
    for action in actions:
        if isinstance(action, SetWeight):
            split = _split(state.control, rollout.version, action.percent)
            return msgspec.structs.replace(move, split=split, reason=canary.reason)
    return move


def _verdict(canary: Canary) -> dict[str, Any]:
    """The newest decision with its numbers; empty before the first."""
    if not canary.log:
        return {}
    told: dict[str, Any] = to_builtins(canary.log[-1])
    return told | {"sentences": [canary.reason] if canary.reason else []}


def _notes(
    canary: Canary, actions: Sequence[CanaryAction], verdict: dict[str, Any]
) -> tuple[RolloutNote, ...]:
    return tuple(
        RolloutNote(
            # the end itself is told when it is in effect
            kind="decided" if canary.ended else action.event,
            text=action.reason,
            numbers={"percent": verdict.get("percent"), "findings": verdict.get("findings", [])},
            action="decide_rollout" if canary.ended else "advance_rollout",
        )
        for action in actions
        if isinstance(action, Emit)
    )


def _cause(verdict: dict[str, Any], canary: Canary) -> str:
    """Why it was rolled back, in a word, for metrics."""
    failed = [
        str(finding["check"])
        for finding in verdict.get("findings", ())
        if finding["outcome"] == Outcome.FAILED
    ]
    if failed:
        return failed[0]
    return "deadline" if canary.late else "operator"
