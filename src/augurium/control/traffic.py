"""Traffic policies: who answers the requests that name no version, from now on and in every engine.

What is decided here is a numbered revision in the registry first and told to the engines next, so
it outlives this process; engines go on by the newest they were told when it is away.
"""

import asyncio
import time

import msgspec
import structlog

from augurium.control.link_hub import SETTLE_TIMEOUT_S, LinkHub
from augurium.control.snapshots import Snapshots
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.registry.records import TrafficChange
from augurium.registry.registry import Registry
from augurium.registry.traffic_rules import current_revision

log = structlog.get_logger()


class AppliedRevision(TrafficRevision, frozen=True, kw_only=True):
    """A revision, whether every connected engine answers by it already, and how many milliseconds
    that took.
    """

    applied: bool
    milliseconds: float


class Traffic:
    """Changes the policies of models and tells what they were."""

    def __init__(
        self,
        registry: Registry,
        snapshots: Snapshots,
        hub: LinkHub,
        settle_timeout_s: float = SETTLE_TIMEOUT_S,
    ) -> None:
        self._registry = registry
        self._snapshots = snapshots
        self._hub = hub
        self._settle_timeout_s = settle_timeout_s
        self._changes: set[asyncio.Task[AppliedRevision]] = set()

    async def current(self, model: str) -> TrafficRevision:
        """The newest revision, that of number 0 before the first. Raises NotFound."""
        return current_revision(await asyncio.to_thread(self._registry.model, model))

    async def history(
        self, model: str, limit: int = 100, before: int | None = None
    ) -> list[TrafficRevision]:
        """The newest revisions first, only those below `before` if given. Raises NotFound."""
        found = await asyncio.to_thread(self._registry.traffic_history, model, limit, before)
        return list(found)

    async def set(
        self,
        model: str,
        policy: TrafficPolicy | None,
        actor: str,
        reason: str = "",
        based_on_revision: int | None = None,
    ) -> AppliedRevision:
        """Gives a model a policy; returns when every connected engine answers by it, or a few
        seconds later where one does not say so.

        Raises NotFound, InvalidArgument for a policy that cannot be meant, Conflict for one that
        cannot be now, and where `based_on_revision` is not the newest any more.
        """
        change = TrafficChange(policy=policy, reason=reason, based_on_revision=based_on_revision)
        return await self._made(model, change, actor)

    async def clear(
        self, model: str, actor: str, reason: str = "", based_on_revision: int | None = None
    ) -> AppliedRevision:
        """Takes the policy away: the default version answers. Raises as `set`."""
        return await self.set(model, None, actor, reason, based_on_revision)

    async def revert(
        self,
        model: str,
        revision: int | None,
        actor: str,
        reason: str = "",
        based_on_revision: int | None = None,
    ) -> AppliedRevision:
        """Brings the policy of an earlier revision back, that of the one before the newest if None
        is named. Units stay where they are as far as its shares allow. Raises as `set`.
        """
        earlier = await self._earlier(model, revision)
        change = TrafficChange(
            policy=earlier.policy,
            reason=reason,
            based_on_revision=based_on_revision,
            brings_back=earlier.revision,
        )
        return await self._made(model, change, actor)

    async def _earlier(self, model: str, revision: int | None) -> TrafficRevision:
        current = await self.current(model)
        if revision is None:
            if not current.revision:
                raise Conflict(
                    f"model '{model}' never had a traffic policy; there is none to revert"
                )
            revision = current.revision - 1
        if revision < 0:
            raise InvalidArgument(
                f"revision {revision} is below 0, which is before the first policy"
            )
        if revision == 0:
            return TrafficRevision()
        found = await self.history(model, 1, revision + 1)
        if not found or found[0].revision != revision:
            raise NotFound(
                f"the traffic policy of '{model}' has no revision {revision}; the newest is"
                f" {current.revision}, see `augurium traffic history {model}`"
            )
        return found[0]

    async def _made(self, model: str, change: TrafficChange, actor: str) -> AppliedRevision:
        """A caller who leaves does not leave engines behind what the registry says."""
        task = asyncio.ensure_future(self._make(model, change, actor))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _make(self, model: str, change: TrafficChange, actor: str) -> AppliedRevision:
        started = time.perf_counter()
        revision = await asyncio.to_thread(self._registry.set_traffic, model, change, actor)
        pushed = await self._snapshots.publish()
        applied = await self._hub.settle(pushed, self._settle_timeout_s)
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        told = {"model": model, "revision": revision.revision, "milliseconds": milliseconds}
        if applied:
            log.info("traffic policy changed", **told)
        else:
            log.warning("engines are late", **told)
        fields = msgspec.structs.asdict(revision)
        return AppliedRevision(**fields, applied=applied, milliseconds=milliseconds)
