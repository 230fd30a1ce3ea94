"""What a rollout does to the world: traffic policies, defaults, and what engines are told.

Everything can be done again without doing it twice, because a control that dies in the middle does
it again.
"""

import asyncio
from typing import Protocol

from augurium.control.deployments import Deployments
from augurium.control.engine_link import FAILED
from augurium.control.link_hub import LinkHub
from augurium.control.snapshots import Snapshots
from augurium.control.traffic import Traffic
from augurium.core.errors import Conflict
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.registry.records import Model
from augurium.registry.registry import Registry

ACTOR = "rollouts"


class Effects(Protocol):
    """The port of what rollouts change, and of what they must know of a model before."""

    async def model(self, name: str) -> Model:
        """The model with its default and its traffic policy. Raises NotFound."""
        ...

    def held(self, model: str) -> frozenset[int] | None:
        """The versions that engines were told to hold; None where they were told of no such
        model.
        """
        ...

    def fault(self, model: str, version: int) -> str:
        """Why a version cannot serve in an engine; empty if it can in all."""
        ...

    def told(self, model: str) -> TrafficPolicy | None:
        """The traffic policy that engines were told last."""
        ...

    async def set_policy(
        self, model: str, policy: TrafficPolicy | None, actor: str, reason: str, known: int
    ) -> TrafficRevision:
        """Makes this the traffic policy of a model, if it is not already; the revision that it is.
        Every engine answers by it then.

        `known` is the newest revision that was set for the rollout. Raises Conflict if somebody
        else has set another one since.
        """
        ...

    def divert(self, model: str, policy: TrafficPolicy | None) -> None:
        """Tells engines at once that this is the policy, whatever the registry says, until
        `set_policy` has done it for good. Never waits.
        """
        ...

    async def expose(self, model: str, wanted: bool) -> None:
        """Has engines record every request of a model, or no more than its own policy says."""
        ...

    async def make_default(self, model: str, version: int, actor: str) -> None:
        """Makes a version the default, if it is not already."""
        ...


class NodeEffects:
    """The effects on a real node."""

    def __init__(
        self,
        registry: Registry,
        traffic: Traffic,
        deployments: Deployments,
        snapshots: Snapshots,
        hub: LinkHub,
    ) -> None:
        self._registry = registry
        self._traffic = traffic
        self._deployments = deployments
        self._snapshots = snapshots
        self._hub = hub

    async def model(self, name: str) -> Model:
        return await asyncio.to_thread(self._registry.model, name)

    def held(self, model: str) -> frozenset[int] | None:
        for known in self._hub.snapshot.models:
            if known.name == model:
                return frozenset(version.version for version in known.versions)
        return None

    def fault(self, model: str, version: int) -> str:
        for link in self._hub.links():
            state = link.state_of(model, version, 0)
            if state is not None and state.state == FAILED:
                return f"{link.hello.engine} cannot load it: {state.reason}"
        return ""

    def told(self, model: str) -> TrafficPolicy | None:
        for known in self._hub.snapshot.models:
            if known.name == model:
                return known.traffic.policy if known.traffic else None
        return None

    async def set_policy(
        self, model: str, policy: TrafficPolicy | None, actor: str, reason: str, known: int
    ) -> TrafficRevision:
        current = await self._traffic.current(model)
        if current.policy != policy and current.revision != known:
            raise Conflict(
                f"the traffic policy of '{model}' was changed by {current.actor or 'somebody'}"
                f" meanwhile ({current.reason or 'no reason given'})"
            )
        if current.policy != policy:
            current = await self._traffic.set(model, policy, actor, reason, current.revision)
        await self._snapshots.settle(model)
        return current

    def divert(self, model: str, policy: TrafficPolicy | None) -> None:
        self._snapshots.divert(model, policy)

    async def make_default(self, model: str, version: int, actor: str) -> None:
        known = await self.model(model)
        if known.default_version != version:
            await self._deployments.deploy(model, version, True, actor)

    async def expose(self, model: str, wanted: bool) -> None:
        await self._snapshots.expose(model, wanted)
