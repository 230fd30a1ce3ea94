"""The loop that decides how many replicas each model has, and tells the engines.

Control decides because the number is part of what it tells every engine; the engines keep it, so
that without control it stays.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import structlog

from augurium.control.link_hub import LinkHub
from augurium.control.model_replicas import ModelReplicas, node_room
from augurium.control.replica_gauge import ReplicaGauge, reading
from augurium.control.snapshots import Snapshots
from augurium.core.accelerators import Accelerators
from augurium.core.accelerators import Reading as Device
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError
from augurium.core.serving_policy import ReplicasPolicy
from augurium.core.settings import ScalingSettings
from augurium.scaling.model_policy import model_policy
from augurium.scaling.observation import Observation
from augurium.scaling.policy import ScalingPolicy
from augurium.scaling.scaler import LoggedDecision, Scaler
from augurium.serving.metrics import EngineMetrics
from augurium.serving.placement import in_engine
from augurium.serving.snapshot import DesiredModel

log = structlog.get_logger()


class ScaledModel:
    """One model, what is measured of it, and who decides about it."""

    def __init__(self, group: ModelReplicas, policy: ScalingPolicy, clock: Clock) -> None:
        self.group = group
        self.gauge = ReplicaGauge()
        self.scaler = Scaler(group, policy, clock)


class ReplicaScaling:
    """All models that do not simply have one replica. Belongs to one event loop."""

    def __init__(
        self,
        hub: LinkHub,
        snapshots: Snapshots,
        clock: Clock,
        settings: ScalingSettings,
        accelerators: Accelerators,
    ) -> None:
        self._accelerators = accelerators
        self.models: dict[str, ScaledModel] = {}
        self._hub = hub
        self._snapshots = snapshots
        self._clock = clock
        self._interval_s = settings.interval_s
        self._stale_s = settings.stale_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Decides from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Decides no more; the numbers stay."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def step(self) -> None:
        """Looks, decides and tells."""
        scaled = dict(self._scaled())
        self._forget(scaled)
        if not scaled:
            return
        totals = await self._hub.collect()
        devices = await asyncio.to_thread(self._accelerators.read)
        for name, policy in scaled.items():
            model = self._model(name, policy)
            logged = model.scaler.step(self._observed(model, totals, devices))
            if logged is not None:
                _log(name, logged)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.step()
            except Exception:  # the edge of a task: the numbers stay, and control lives
                log.exception("scaling of replicas failed")

    def _scaled(self) -> Iterator[tuple[str, ScalingPolicy]]:
        for model in self._hub.snapshot.models:
            replicas = model.serving.replicas
            if (replicas.least, replicas.most) == (1, 1) or not _in_runners(model):
                continue
            try:
                yield model.name, self._policy(model, replicas)
            except AuguriumError as error:
                # such as a time zone that this machine does not know any more
                log.error("replicas not scaled", model=model.name, reason=str(error))

    def _policy(self, model: DesiredModel, replicas: ReplicasPolicy) -> ScalingPolicy:
        sleeps = all(version.may_sleep for version in model.versions)
        may_sleep = sleeps and not model.serving.residency.pinned
        return model_policy(replicas, may_sleep=may_sleep, stale_s=self._stale_s)

    def _forget(self, scaled: dict[str, ScalingPolicy]) -> None:
        """What is not scaled any more has one replica again."""
        for name in self.models.keys() - scaled.keys():
            del self.models[name]
        for name in self._snapshots.replicas.all.keys() - scaled.keys():
            self._snapshots.scale(name, 1)

    def _model(self, name: str, policy: ScalingPolicy) -> ScaledModel:
        known = self.models.get(name)
        if known is None:
            number = self._snapshots.replicas.of(name)
            group = ModelReplicas(name, number, self._snapshots.scale, lambda: node_room(self._hub))
            known = self.models[name] = ScaledModel(group, policy, self._clock)
        known.scaler.policy = policy
        return known

    def _observed(
        self, model: ScaledModel, totals: EngineMetrics, devices: Sequence[Device]
    ) -> Observation | None:
        counted = [link.counted_at for link in self._hub.links()]
        if not counted or None in counted:
            return None
        name = model.group.name
        read = reading(
            min(at for at in counted if at is not None),
            (version for version in totals.versions if version.model == name),
        )
        model.group.pids = read.pids
        return model.gauge.observe(read, devices)


def _in_runners(model: DesiredModel) -> bool:
    return not all(in_engine(version) for version in model.versions)


def _log(model: str, logged: LoggedDecision) -> None:
    decision = logged.decision
    # why nothing changes may alternate where a measure is near its target
    say = log.debug if decision.direction == "hold" else log.info
    say(
        "replicas",
        model=model,
        direction=decision.direction,
        replicas=decision.current,
        wanted=decision.wanted,
        cause=decision.cause,
        reason=decision.reason,
        done=logged.done,
        **decision.numbers,
    )
