"""Rollouts without a node: a world in memory, a database that can be away, a simple judge."""

from typing import Any

import msgspec

from augurium.control.event_feed import EventFeed
from augurium.control.rollout_course import Beginning, Watched
from augurium.control.rollout_state import Move, RolloutState
from augurium.control.rollouts import Rollouts
from augurium.control.variant_ticks import VariantTicks
from augurium.control.webhooks import Webhooks
from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument, NotReady
from augurium.core.rollout_settings import WebhookSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision, Variant
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.memory_rollouts import MemoryRollouts
from augurium.registry.records import Artifact, Model, TrafficChange, VersionDraft
from augurium.registry.rollout_records import (
    Rollout,
    RolloutDraft,
    RolloutNote,
    RolloutUpdate,
)
from augurium.serving.metrics import EngineMetrics, VersionMetrics

STEPS = (5.0, 50.0, 100.0)
TICK_S = 2.0


def split_of(control: int, version: int, weight: float) -> tuple[Variant, ...]:
    """Two variants, of which the candidate has this weight."""
    return (Variant(control, 100 - weight), Variant(version, weight))


class StepCourse:
    """Goes one step further with every tick, and rolls back after a tick with ten errors."""

    def __init__(self, exposes: bool = False) -> None:
        self._exposes = exposes

    def exposes(self, plan: dict[str, Any]) -> bool:
        return self._exposes

    def begin(self, model: Model, plan: dict[str, Any]) -> Beginning:
        if "version" not in plan:
            raise InvalidArgument("the plan names no version")
        control = model.default_version or 0
        return Beginning(
            plan=plan,
            version=plan["version"],
            control=control,
            split=split_of(control, plan["version"], STEPS[0]),
            course={"step": 0, "paused": False},
        )

    def tick_s(self, rollout: Rollout) -> float:
        return TICK_S

    async def advance(self, rollout: Rollout, state: RolloutState, watched: Watched) -> Move | None:
        course, move = dict(state.course), None
        for tick in watched.ticks:
            errors = sum(arm.errors for arm in tick.arms.values())
            if errors >= 10:
                note = RolloutNote(kind="verdict", text="bad", numbers={"errors": errors})
                return Move(
                    course=course,
                    outcome="rolled_back",
                    urgent=True,
                    reason=f"{errors} errors",
                    verdict={"cause": "errors"},
                    notes=(note,),
                )
            if course["paused"]:
                continue
            course["step"] += 1
            if course["step"] == len(STEPS):
                return Move(course=course, outcome="promoted", winner=rollout.version, reason="ok")
            weight = STEPS[course["step"]]
            note = RolloutNote(kind="step", text=f"{weight:g} %", action="advance_rollout")
            move = Move(
                course=dict(course),
                split=split_of(state.control, rollout.version, weight),
                notes=(note,),
            )
        return move

    def obey(
        self, rollout: Rollout, state: RolloutState, order: str, reason: str, now: float
    ) -> Move:
        if order in ("pause", "resume"):
            paused = order == "pause"
            if state.course["paused"] == paused:
                raise Conflict("it is so already")
            return Move(course=dict(state.course) | {"paused": paused}, paused=paused)
        if order == "promote":
            return Move(course=state.course, outcome="promoted", winner=rollout.version)
        return Move(course=state.course, outcome="rolled_back", urgent=True)

    async def peek(self, rollout: Rollout, state: RolloutState) -> dict[str, Any]:
        return {"peeked": True}


class MemoryEffects:
    """What engines were told, over a registry in memory that can be away."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.registry = registry
        self.away = False
        self.engines: TrafficPolicy | None = None
        self.diverted = False
        self.exposed = False
        self.missing: set[int] = set()
        self.faults: dict[int, str] = {}
        self.done: list[str] = []

    async def model(self, name: str) -> Model:
        self._check()
        return self.registry.model(name)

    def held(self, model: str) -> frozenset[int] | None:
        deployed = [version.version for version in self.registry.deployed()]
        return frozenset(deployed) - self.missing

    def fault(self, model: str, version: int) -> str:
        return self.faults.get(version, "")

    def told(self, model: str) -> TrafficPolicy | None:
        return self.engines

    async def set_policy(
        self, model: str, policy: TrafficPolicy | None, actor: str, reason: str, known: int
    ) -> TrafficRevision:
        self._check()
        current = self.registry.model(model).traffic or TrafficRevision()
        if current.policy != policy:
            if current.revision != known:
                raise Conflict(f"changed by {current.actor}")
            change = TrafficChange(policy=policy, reason=reason, based_on_revision=known)
            current = self.registry.set_traffic(model, change, actor)
            self.done.append(f"set by {actor}")
        self.engines, self.diverted = policy, False
        return current

    def divert(self, model: str, policy: TrafficPolicy | None) -> None:
        self.engines, self.diverted = policy, True

    async def expose(self, model: str, wanted: bool) -> None:
        self.exposed = wanted

    async def make_default(self, model: str, version: int, actor: str) -> None:
        self._check()
        if self.registry.model(model).default_version != version:
            self.registry.set_default(model, version, actor)
            self.done.append(f"default {version} by {actor}")

    def _check(self) -> None:
        if self.away:
            raise NotReady("the registry database does not answer")


class RolloutsAway(MemoryRollouts):
    """A store whose database can be away, or lose its answers."""

    away = False
    silent = False

    def start(self, draft: RolloutDraft, actor: str) -> Rollout:
        self._check()
        return super().start(draft, actor)

    def save(self, rollout: str, revision: int, update: RolloutUpdate, actor: str) -> Rollout:
        self._check()
        saved = super().save(rollout, revision, update, actor)
        if self.silent:
            self.silent = False
            raise NotReady("the answer was lost")
        return saved

    def get(self, rollout: str) -> Rollout:
        self._check()
        return super().get(rollout)

    def _check(self) -> None:
        if self.away:
            raise NotReady("the registry database does not answer")


class World:
    """A model `fraud` with two deployed versions, its rollouts, and requests that it gets."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = MemoryRegistry(self.clock)
        for _ in range(2):
            version = self.registry.register("fraud", a_draft(), "ann").version
            self.registry.set_deployed("fraud", version, True, "ann")
        self.registry.set_default("fraud", 1, "ann")
        self.store = RolloutsAway(self.registry, self.clock)
        self.effects = MemoryEffects(self.registry)
        self._metrics = {number: VersionMetrics("fraud", number) for number in (1, 2)}
        self.start_control()

    def start_control(self) -> None:
        """Another control process over the same world; what the one before held is lost."""
        self.ticks = VariantTicks(self._collect, EngineMetrics, self.clock)
        self.feed = EventFeed(self.store, Webhooks(WebhookSettings(), self.clock))
        self.rollouts = Rollouts(
            self.store,
            {"canary": StepCourse(), "experiment": StepCourse(exposes=True)},
            self.effects,
            self.ticks,
            self.feed,
            self.clock,
        )

    async def begin(self, actor: str = "ann", **plan: Any) -> Rollout:
        return await self.rollouts.begin("fraud", "canary", {"version": 2} | plan, actor)

    async def tick(self, errors: int = 0) -> None:
        """A tick with requests for both versions, and a look of the loop after it."""
        await self.ticks.step()
        # the tick in which a rollout begins says nothing of it
        self.clock.advance(TICK_S)
        await self.ticks.step()
        for number, metrics in self._metrics.items():
            for _ in range(20):
                metrics.ended("ok", 0.01, f"v{number}")
        self.fail(errors)
        self.clock.advance(TICK_S)
        await self.ticks.step()
        await self.rollouts.turn()

    def fail(self, errors: int) -> None:
        """So many requests for version 2 fail."""
        for _ in range(errors):
            self._metrics[2].ended("model_failed", 0.01, "v2")

    @property
    def weights(self) -> dict[str, float]:
        """What engines were told last, percent by variant."""
        policy = self.effects.engines
        return {one.label: one.weight for one in policy.split} if policy else {}

    async def _collect(self) -> EngineMetrics:
        content = msgspec.msgpack.encode(list(self._metrics.values()))
        return EngineMetrics(msgspec.msgpack.decode(content, type=list[VersionMetrics]))


def a_draft() -> VersionDraft:
    """A version that can be registered."""
    spec = TensorSpec("x", "FP32", (-1, 1))
    artifact = Artifact("ab" * 32, 1)
    return VersionDraft(
        framework="onnx",
        framework_version="1",
        runtime="onnx",
        source=artifact,
        source_name="model.onnx",
        servable=artifact,
        signature=Signature((spec,), (spec,)),
    )
