"""The course of experiments and bandits: sums of the records at planned looks, verdicts, weights.

Verdicts are made by `traffic/experiment_verdict.py`, which finds out itself whether a look is due;
between two looks only guardrails and the sample ratio decide.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs, to_builtins

from augurium.control.rollout_course import Beginning, Watched
from augurium.control.rollout_state import Move, RolloutState
from augurium.core.clock import Clock
from augurium.core.errors import Conflict, InvalidArgument
from augurium.core.experiment_design import DAY_S, ExperimentDesign, check_design
from augurium.core.traffic_policy import Variant
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout, RolloutNote
from augurium.traffic.bandit import bandit_variants
from augurium.traffic.experiment_result import (
    ExperimentPhase,
    ExperimentRun,
    ExperimentVerdict,
    Outcome,
)
from augurium.traffic.experiment_verdict import experiment_verdict
from augurium.traffic.variant_sums import ExperimentSums

TICK_S = 10.0
SOONEST_S, LATEST_S = 60.0, 600.0
ASKED_PER_LOOK = 20
# where that would be too often
LEAST_ASKED_PER_LOOK = 5
# what the sums of an experiment on a model are until a time
SumsOf = Callable[
    [str, ExperimentDesign, Sequence[ExperimentPhase], float], Awaitable[ExperimentSums]
]
ENDS = {
    Outcome.SHIP: "completed",
    Outcome.NO_DIFFERENCE: "completed",
    Outcome.UNDERPOWERED: "completed",
    Outcome.HARM: "rolled_back",
    Outcome.STOPPED: "rolled_back",
    Outcome.INVALID: "failed",
}
# what does not wait for an operator who has paused it
HARMFUL = frozenset({Outcome.HARM, Outcome.STOPPED})


class LookTaken(Struct, frozen=True, kw_only=True):
    """A look for the picture: the first primary metric of one treatment."""

    at: float
    look: int
    metric: str
    variant: str
    effect: float
    low: float | None
    high: float | None
    z: float
    bound: float


class ExperimentMemory(Struct, frozen=True, kw_only=True):
    """What is remembered of an experiment: its looks, the times of its weights, and when it was
    asked and when weights were decided the last time, in seconds since 1970.
    """

    run: ExperimentRun
    phases: tuple[ExperimentPhase, ...]
    history: tuple[LookTaken, ...] = ()
    asked_at: float = 0.0
    weighed_at: float = 0.0
    paused: bool = False


class ExperimentCourse:
    """Judges experiments; with a `bandit` in the design it moves weights too.

    `recorded` says whether this node keeps a prediction log.
    """

    def __init__(
        self, sums_of: SumsOf, clock: Clock, kind: str = "experiment", recorded: bool = True
    ) -> None:
        self._sums_of = sums_of
        self._clock = clock
        self._kind = kind
        self._recorded = recorded
        # from here on the monotonic clock counts: a wall clock that is set ends no experiment
        self._epoch = clock.now().timestamp() - clock.monotonic()

    def exposes(self, plan: dict[str, Any]) -> bool:
        return True

    def begin(self, model: Model, plan: dict[str, Any]) -> Beginning:
        wanted = dict(plan)
        version = wanted.pop("version", None)
        design = _design(wanted)
        if (self._kind == "bandit") != (design.bandit is not None):
            fits = "an experiment" if design.bandit is None else "a bandit"
            raise InvalidArgument(f"the design is that of {fits}; start it as {fits}")
        if not self._recorded:
            raise InvalidArgument(
                f"{self._kind}s are judged by predictions that are recorded, and this node records"
                " none; set prediction_log.enabled = true"
            )
        control = design.variants[0].version
        if model.default_version is None:
            raise Conflict(f"model '{model.name}' has no default version to go back to")
        treatments = [variant.version for variant in design.variants[1:]]
        if version is not None and version not in treatments:
            raise InvalidArgument(
                f"version {version} is no treatment of the design, which compares"
                f" {', '.join(map(str, treatments))} with {control}"
            )
        now = self._now()
        memory = ExperimentMemory(
            run=ExperimentRun(started_at=now),
            phases=(_phase(design.variants, now),),
            asked_at=now,
            weighed_at=now,
        )
        return Beginning(
            plan=to_builtins(design),
            version=version or treatments[0],
            control=model.default_version,
            split=design.variants,
            course=to_builtins(memory),
            unit=design.unit,
            salt=design.salt,
        )

    def tick_s(self, rollout: Rollout) -> float:
        return TICK_S

    async def advance(self, rollout: Rollout, state: RolloutState, watched: Watched) -> Move | None:
        design, memory = _design(rollout.plan), _memory(state)
        at = self._now()
        if at - memory.asked_at < _interval(design):
            return None
        sums = await self._sums_of(rollout.model, design, memory.phases, at)
        verdict = experiment_verdict(design, sums, memory.run, at)
        known = structs.replace(
            memory,
            run=verdict.run,
            asked_at=at,
            history=(*memory.history, *_looked(design, verdict)),
        )
        move = Move(course=to_builtins(known), verdict=_told(verdict), notes=_notes(verdict))
        if verdict.outcome is not Outcome.RUNNING and (
            not memory.paused or verdict.outcome in HARMFUL
        ):
            return _ended(move, verdict)
        return self._weighed(move, known, design, sums)

    def obey(
        self, rollout: Rollout, state: RolloutState, order: str, reason: str, now: float
    ) -> Move:
        memory = _memory(state)
        if order in ("pause", "resume"):
            paused = order == "pause"
            if memory.paused == paused:
                raise Conflict(f"rollout {rollout.id} is {'paused' if paused else 'running'}")
            course = to_builtins(structs.replace(memory, paused=paused))
            return Move(course=course, paused=paused)
        if order == "promote":
            return Move(course=state.course, outcome="promoted", winner=rollout.version)
        return Move(course=state.course, outcome="rolled_back", urgent=True)

    async def peek(self, rollout: Rollout, state: RolloutState) -> dict[str, Any]:
        design, memory, at = _design(rollout.plan), _memory(state), self._now()
        sums = await self._sums_of(rollout.model, design, memory.phases, at)
        return _told(experiment_verdict(design, sums, memory.run, at))

    def _weighed(
        self, move: Move, memory: ExperimentMemory, design: ExperimentDesign, sums: ExperimentSums
    ) -> Move:
        """With other weights, if a bandit's time has come."""
        at = memory.asked_at
        if design.bandit is None or memory.paused:
            return move
        if at - memory.weighed_at < design.bandit.every_s:
            return move
        split = bandit_variants(design, sums)
        known = structs.replace(memory, weighed_at=at)
        if _phase(split, at).shares == memory.phases[-1].shares:
            return structs.replace(move, course=to_builtins(known))
        known = structs.replace(known, phases=(*memory.phases, _phase(split, at)))
        weights = {variant.label: variant.weight for variant in split}
        text = ", ".join(f"{label} {weight:g} %" for label, weight in weights.items())
        note = RolloutNote(
            kind="weights", text=text, numbers={"weights": weights}, action="weigh_rollout"
        )
        return structs.replace(
            move, course=to_builtins(known), split=split, notes=(*move.notes, note)
        )

    def _now(self) -> float:
        return self._epoch + self._clock.monotonic()


def _design(plan: dict[str, Any]) -> ExperimentDesign:
    try:
        design = msgspec.convert(plan, ExperimentDesign)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the design does not fit: {error}") from error
    check_design(design)
    return design


def _memory(state: RolloutState) -> ExperimentMemory:
    return msgspec.convert(state.course, ExperimentMemory)


def _phase(split: Sequence[Variant], at: float) -> ExperimentPhase:
    return ExperimentPhase(at, {variant.label: variant.weight / 100 for variant in split})


def _interval(design: ExperimentDesign) -> float:
    """How often the records are read: guardrails are to be seen between two looks, and no look of
    a short experiment is to be late.
    """
    if design.bandit is not None:
        return min(max(design.bandit.every_s / ASKED_PER_LOOK, SOONEST_S), LATEST_S)
    step_s = (design.most_days or design.least_days) * DAY_S / design.looks
    soonest = min(SOONEST_S, step_s / LEAST_ASKED_PER_LOOK)
    return min(max(step_s / ASKED_PER_LOOK, soonest), LATEST_S)


def _told(verdict: ExperimentVerdict) -> dict[str, Any]:
    told: dict[str, Any] = to_builtins(verdict)
    # it stands in the memory
    told.pop("run", None)
    return told


def _looked(design: ExperimentDesign, verdict: ExperimentVerdict) -> tuple[LookTaken, ...]:
    if verdict.look is None or not verdict.run.looks:
        return ()
    metric = next(one for one in verdict.metrics if one.role == "primary")
    scores = verdict.run.looks[-1].scores
    return tuple(
        LookTaken(
            at=verdict.at,
            look=verdict.look,
            metric=metric.name,
            variant=comparison.variant,
            effect=comparison.effect,
            low=comparison.interval[0] if comparison.interval else None,
            high=comparison.interval[1] if comparison.interval else None,
            z=scores.get(f"{metric.name}/{comparison.variant}", 0.0),
            bound=verdict.bound or 0.0,
        )
        for comparison in metric.comparisons
    )


def _notes(verdict: ExperimentVerdict) -> tuple[RolloutNote, ...]:
    if verdict.look is None:
        return ()
    text = f"look {verdict.look} of {verdict.looks_planned}: {' '.join(verdict.sentences[:1])}"
    return (RolloutNote(kind="look", text=text, numbers={"units": verdict.units}),)


def _ended(move: Move, verdict: ExperimentVerdict) -> Move:
    reason = " ".join(verdict.sentences[:1]) or str(verdict.outcome)
    told = {"cause": str(verdict.outcome)} | (move.verdict or {})
    note = RolloutNote(
        kind="verdict",
        text=reason,
        numbers={"outcome": str(verdict.outcome), "variant": verdict.variant},
        action="decide_rollout",
    )
    outcome = ENDS[verdict.outcome]
    return structs.replace(
        move,
        outcome=outcome,
        reason=reason,
        verdict=told,
        urgent=outcome != "completed",
        notes=(*move.notes, note),
    )
