"""Models loaded and unloaded as a whole: what the repository extension of the protocol asks for.

Loading is deploying: the newest version that may be deployed, or those that are named, in every
engine, and the newest of them as the default. Other versions stay where they are.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from augurium.control.deployments import Deployments
from augurium.control.load_overrides import Key
from augurium.control.snapshots import Snapshots
from augurium.control.transfers import Note
from augurium.control.turns import Turns
from augurium.core.errors import (
    AuguriumError,
    Conflict,
    InvalidArgument,
    NotFound,
    Unprocessable,
    error_of,
)
from augurium.core.settings import BatchingSettings
from augurium.registry.records import Model, Version
from augurium.registry.registry import Registry
from augurium.serving.questions import BatchingChange, Load, Loaded

APPROVED = "approved"
UNKNOWN = "failed to poll from model repository: no model of this name is registered"
log = structlog.get_logger()


class ModelLoads:
    """One load or unload per model at a time."""

    def __init__(
        self, registry: Registry, deployments: Deployments, snapshots: Snapshots, note: Note
    ) -> None:
        self._registry = registry
        self._deployments = deployments
        self._snapshots = snapshots
        self._note = note
        self._turns = Turns()

    async def load(self, order: Load) -> Loaded:
        """Raises InvalidArgument with the reason when that cannot be, and NotReady,
        DeadlineExceeded and Overloaded as deployments do; all is as before then.
        """
        async with self._turns.of(order.model):
            try:
                versions = await asyncio.to_thread(self._wanted, order)
                await self._deploy(versions, order)
            except (NotFound, Conflict, Unprocessable, InvalidArgument) as error:
                raise InvalidArgument(f"failed to load '{order.model}', {error}") from error
            except AuguriumError as error:
                raise error_of(error.kind, f"failed to load '{order.model}', {error}") from error
        return Loaded(tuple(version.version for version in versions))

    async def unload(self, model: str, actor: str) -> None:
        """Raises NotFound, and Conflict while an alias points at a version."""
        async with self._turns.of(model):
            try:
                await self._deployments.undeploy_all(model, actor)
            except AuguriumError as error:
                raise error_of(error.kind, f"failed to unload '{model}', {error}") from error

    async def _deploy(self, versions: Sequence[Version], order: Load) -> None:
        overrides = self._snapshots.overrides
        before = {(v.model, v.version): overrides.of(v.model, v.version) for v in versions}
        after = {key: order.batching for key, change in before.items() if change != order.batching}
        deployed: list[Version] = []
        try:
            await asyncio.to_thread(self._set, after, order.actor)
            for version in versions:
                default = version is versions[-1]
                anew = (version.model, version.version) in after
                await self._deployments.deploy(
                    order.model, version.version, default, order.actor, anew
                )
                deployed.append(version)
        except BaseException:
            await asyncio.shield(self._undo(deployed, before, order.actor))
            raise

    async def _undo(
        self, deployed: Sequence[Version], before: Mapping[Key, BatchingChange], actor: str
    ) -> None:
        try:
            for version in deployed:
                if not version.deployed:
                    await self._deployments.undeploy(version.model, version.version, actor)
            await asyncio.to_thread(self._set, before, actor)
            await self._snapshots.publish()
        except AuguriumError:
            # the first error is the caller's answer
            log.exception("failed load not undone")

    def _set(self, changes: Mapping[Key, BatchingChange], actor: str) -> None:
        overrides = self._snapshots.overrides
        for (model, version), change in changes.items():
            previous = overrides.of(model, version)
            if change == previous:
                continue
            details = {"batching": _said(change), "previous": _said(previous)}
            with self._note(actor, "set_batching", model, version, details):
                overrides.set({(model, version): change})

    def _wanted(self, order: Load) -> list[Version]:
        """The versions to load, ascending."""
        try:
            model = self._registry.model(order.model)
        except NotFound:
            raise NotFound(UNKNOWN) from None
        if model.deleted_at is not None:
            raise NotFound(UNKNOWN)
        found = self._named(order) if order.versions else [self._newest(model)]
        for version in found:
            _check_batching(version, order.batching)
        return found

    def _named(self, order: Load) -> list[Version]:
        return [
            self._registry.version(order.model, number) for number in sorted(set(order.versions))
        ]

    def _newest(self, model: Model) -> Version:
        versions = self._registry.versions(model.name)
        if model.requires_approval:
            versions = [version for version in versions if version.approval == APPROVED]
        if not versions:
            needed = " that is approved" if model.requires_approval else ""
            raise NotFound(f"it has no version{needed}")
        return versions[-1]


def _check_batching(version: Version, change: BatchingChange) -> None:
    said = _said(change)
    if change.max_batch_size is not None and not version.signature.batched:
        raise InvalidArgument(
            f"version {version.version} takes whole tensors, not rows, so max_batch_size cannot be"
            " set"
        )
    try:
        msgspec.convert(said, BatchingSettings)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"it cannot batch like this: {error}") from error


def _said(change: BatchingChange) -> dict[str, float]:
    found: dict[str, float | None] = msgspec.to_builtins(change)
    return {key: value for key, value in found.items() if value is not None}
