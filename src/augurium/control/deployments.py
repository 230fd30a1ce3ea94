"""Deployments: which versions the engines hold, and where defaults and aliases point.

Order is what makes a change safe. A version is wanted first, loaded by every engine next, and only
then pointed at; the default of before serves until that moment. Each step is one transaction of the
registry, so control may die between any two: at worst a version is held that nothing points at.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from augurium.control.device_check import check_device
from augurium.control.engine_link import FAILED
from augurium.control.fallback_check import check_fallback
from augurium.control.link_hub import SETTLE_TIMEOUT_S, LinkHub
from augurium.control.load_watch import LoadWatch
from augurium.control.placement_check import check_placement
from augurium.control.snapshots import Snapshots
from augurium.control.turns import Turns
from augurium.core.errors import AuguriumError, Conflict, NotFound, Unprocessable
from augurium.core.serving_policy import ServingPolicy
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Model, ModelEdit, Version
from augurium.registry.registry import Registry
from augurium.registry.traffic_rules import check_no_policy
from augurium.scaling.model_policy import model_policy
from augurium.serving.questions import BatchingChange

LOAD_TIMEOUT_S = 120.0
log = structlog.get_logger()


class Deployment(msgspec.Struct, frozen=True):
    """A version that every engine has ready. `seconds` is how long that took."""

    model: str
    version: int
    default: bool
    state: str
    seconds: float


class Deployments:
    """Changes what the engines hold; one change per model at a time."""

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        snapshots: Snapshots,
        hub: LinkHub,
        load_timeout_s: float = LOAD_TIMEOUT_S,
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._snapshots = snapshots
        self._hub = hub
        self._load_timeout_s = load_timeout_s
        self._turns = Turns()
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ends deployments in progress with NotReady; they leave everything as it was."""
        self._stopping.set()
        self._hub.wake()

    async def deploy(
        self, model: str, number: int, default: bool, actor: str, anew: bool = False
    ) -> Deployment:
        """Loads a version into every connected engine; if `default`, then makes it the default.

        `anew` says that how it batches has changed: engines that hold it load it again.

        Raises NotFound, Unprocessable when an engine cannot load it, NotReady when none is there or
        comes, DeadlineExceeded; the deployed versions and the default are as before then.
        """
        started = time.monotonic()
        async with self._turns.of(model):
            version = await asyncio.to_thread(self._loadable, model, number)
            watch = LoadWatch(self._hub, model, number, self._stopping)
            await watch.until_somebody()
            try:
                await self._load(version, watch, actor, anew)
                if default:
                    await _complete(self._registry.set_default, model, number, actor)
            except BaseException:  # a cancelled caller must not leave a half-made deployment either
                if not version.deployed:
                    await asyncio.shield(self._restore(version, actor))
                raise
            if default:
                await self._publish()
        seconds = round(time.monotonic() - started, 3)
        log.info("deployed", model=model, version=number, default=default, seconds=seconds)
        return Deployment(model, number, default, "ready", seconds)

    async def undeploy(self, model: str, number: int, actor: str) -> None:
        """Takes a version out of every engine.

        Raises NotFound, and Conflict if the default, an alias or the traffic policy leads to it.
        """
        async with self._turns.of(model):
            await asyncio.to_thread(self._require_held, model, number)
            await self._let_go(model, [number], actor)
            await self._publish()
        log.info("undeployed", model=model, version=number)

    async def undeploy_all(self, model: str, actor: str) -> None:
        """Takes every version of a model out of every engine, and its default away.

        Raises NotFound, and Conflict if an alias points at one or the model has a traffic policy;
        nothing has changed then.
        """
        async with self._turns.of(model):
            known = await asyncio.to_thread(self._registry.model, model)
            self._require_no_alias(known)
            check_no_policy(known)
            try:
                if known.default_version is not None:
                    await _complete(self._registry.clear_default, model, actor)
                await self._let_go(model, known.deployed_versions, actor)
            finally:
                await self._publish()
        log.info("undeployed", model=model, versions=known.deployed_versions)

    async def clear_default(self, model: str, actor: str) -> Model:
        """Takes the default away from a model. Raises NotFound, and Conflict while it has a traffic
        policy.
        """
        async with self._turns.of(model):
            await _complete(self._registry.clear_default, model, actor)
            await self._publish()
        return await asyncio.to_thread(self._registry.model, model)

    async def set_alias(self, model: str, alias: str, number: int, actor: str) -> Model:
        """Points an alias at a deployed version.

        Raises NotFound, and Conflict if the version is not deployed or failed to load.
        """
        async with self._turns.of(model):
            await asyncio.to_thread(self._require_deployed, model, number)
            self._require_not_failed(model, number)
            await _complete(self._registry.set_alias, model, alias, number, actor)
            await self._publish()
        return await asyncio.to_thread(self._registry.model, model)

    async def remove_alias(self, model: str, alias: str, actor: str) -> Model:
        """Removes an alias. Raises NotFound."""
        async with self._turns.of(model):
            await _complete(self._registry.remove_alias, model, alias, actor)
            await self._publish()
        return await asyncio.to_thread(self._registry.model, model)

    async def set_serving(self, model: str, policy: ServingPolicy, actor: str) -> Model:
        """Decides how a model is served, from now on and in every engine.

        Raises NotFound, InvalidArgument for a placement, replicas or a device that cannot be, and
        that and Conflict for a fallback that cannot be.
        """
        async with self._turns.of(model):
            model_policy(policy.replicas)
            await asyncio.to_thread(check_fallback, self._registry, model, policy)
            await asyncio.to_thread(check_placement, self._registry, model, policy)
            await asyncio.to_thread(check_device, self._registry, model, policy)
            await _complete(self._registry.edit_model, model, ModelEdit(serving=policy), actor)
            await self._publish()
        return await asyncio.to_thread(self._registry.model, model)

    async def _load(self, version: Version, watch: LoadWatch, actor: str, anew: bool) -> None:
        revision = self._hub.snapshot.revision
        if not version.deployed:
            await self._want(version, True, actor)
        if anew or not version.deployed:
            revision = await self._snapshots.publish()
        await watch.until_ready(revision, self._load_timeout_s)

    async def _restore(self, version: Version, actor: str) -> None:
        log.warning("deployment failed", model=version.model, version=version.version)
        try:
            await self._want(version, False, actor)
            await self._snapshots.publish()
        except AuguriumError:
            # the first error is the caller's answer; nothing points at the version that stays
            log.exception("failed deployment not undone", model=version.model)

    async def _want(self, version: Version, deployed: bool, actor: str) -> None:
        await _complete(
            self._registry.set_deployed, version.model, version.version, deployed, actor
        )

    async def _let_go(self, model: str, numbers: Iterable[int], actor: str) -> None:
        """How they batched because of how they were loaded is forgotten with them."""
        for number in numbers:
            await _complete(self._registry.set_deployed, model, number, False, actor)
            await asyncio.to_thread(
                self._snapshots.overrides.set, {(model, number): BatchingChange()}
            )

    async def _publish(self) -> None:
        revision = await self._snapshots.publish()
        # a caller who was answered may rely on the change; an engine that hangs is not waited for
        if not await self._hub.settle(revision, SETTLE_TIMEOUT_S):
            log.warning("engines are late", revision=revision)

    def _loadable(self, model: str, number: int) -> Version:
        version = self._registry.version(model, number)
        try:
            # fetched here, so that whoever deploys is told why if that fails
            for file in filter(None, (version.servable, version.weights)):
                self._artifacts.local_path(file.digest)
        except NotFound as error:
            raise Unprocessable(
                f"the servable file of {model}@{number} is missing from the artifact store; "
                "register the model again"
            ) from error
        return version

    def _require_no_alias(self, model: Model) -> None:
        for alias, number in model.aliases.items():
            raise Conflict(
                f"alias '{alias}' points at {model.name}@{number}; take it away first with"
                f" `augurium alias {model.name}@{alias} --remove`"
            )

    def _require_held(self, model: str, number: int) -> None:
        if not self._registry.version(model, number).deployed:
            raise NotFound(f"{model}@{number} is not deployed")

    def _require_deployed(self, model: str, number: int) -> None:
        if not self._registry.version(model, number).deployed:
            raise Conflict(
                f"{model}@{number} is not deployed; deploy it first, then point the alias at it"
            )

    def _require_not_failed(self, model: str, number: int) -> None:
        for link in self._hub.links():
            state = link.state_of(model, number, 0)
            if state is not None and state.state == FAILED:
                raise Conflict(
                    f"{model}@{number} failed to load in {link.hello.engine}: {state.reason}"
                )


async def _complete(change: Callable[..., object], *arguments: object) -> None:
    """Makes a change in a thread; a caller who is cancelled goes on only when it is made.

    Otherwise what undoes the change could overtake it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(change, *arguments))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
