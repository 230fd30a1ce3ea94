"""Snapshots: what the registry wants, in the form in which engines take it."""

import asyncio
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
import structlog

from augurium.access.access import Access
from augurium.control.link_hub import SETTLE_TIMEOUT_S, LinkHub
from augurium.control.load_overrides import LoadOverrides
from augurium.control.replica_numbers import ReplicaNumbers
from augurium.core.errors import AuguriumError
from augurium.core.serving_policy import PlacementPolicy, ServingPolicy
from augurium.core.settings import BatchingSettings
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision
from augurium.core.traffic_slots import rearranged
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact, Version
from augurium.registry.registry import Registry
from augurium.runtimes.runtime import IN_ENGINE
from augurium.serving.snapshot import BatchingPolicy, DesiredModel, DesiredVersion, Snapshot

# every engine is told of every version at once
MOST_EXAMPLE_BYTES = 8 * 1024
ANYWHERE = PlacementPolicy()

log = structlog.get_logger()


class Snapshots:
    """Builds snapshots and hands them to the hub."""

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        batching: BatchingSettings,
        hub: LinkHub,
        overrides: LoadOverrides | None = None,
        replicas: ReplicaNumbers | None = None,
    ) -> None:
        self.replicas = replicas or ReplicaNumbers()
        self.overrides = overrides or LoadOverrides()
        self.log_level = ""
        self._registry = registry
        self._artifacts = artifacts
        self._batching = batching
        self._hub = hub
        self._access = Access()
        self._diverted: dict[str, TrafficPolicy | None] = {}
        self._exposed: set[str] = set()

    async def publish(self) -> int:
        """Pushes what the registry wants now to every engine; the revision that was pushed."""
        snapshot = await asyncio.to_thread(self.build)
        # put in here, not in `build`: a slow build must not bring a revoked key back, nor a number
        # of replicas, nor traffic to a version that was just rolled back
        models = tuple(map(self._as_told, snapshot.models))
        self._hub.push(
            msgspec.structs.replace(
                snapshot, models=models, access=self._access, log_level=self.log_level
            )
        )
        return snapshot.revision

    def scale(self, model: str, number: int) -> None:
        """Pushes another number of replicas of one model."""
        self.replicas.set(model, number)
        self._push_as_told()

    def divert(self, model: str, policy: TrafficPolicy | None) -> None:
        """Pushes another traffic policy of one model, whatever the registry says, until it has been
        told and `settle` is called: for what must not wait for a database.
        """
        self._diverted[model] = policy
        self._push_as_told()

    async def expose(self, model: str, wanted: bool) -> None:
        """Has engines record every request of a model, whatever its own policy says; or as that
        says again.
        """
        if wanted == (model in self._exposed):
            return
        self._exposed ^= {model}
        if wanted:
            self._push_as_told()
        else:
            await self.publish()

    async def settle(self, model: str) -> None:
        """From now on what the registry says of a model's traffic is right again."""
        if model in self._diverted:
            del self._diverted[model]
            await self.publish()

    def _push_as_told(self) -> None:
        models = tuple(map(self._as_told, self._hub.snapshot.models))
        self._hub.push(msgspec.structs.replace(self._hub.snapshot, models=models))

    def _as_told(self, model: DesiredModel) -> DesiredModel:
        number = self.replicas.of(model.name)
        if model.replicas != number:
            model = msgspec.structs.replace(model, replicas=number)
        if model.name in self._exposed and not model.serving.log.exposures:
            log = msgspec.structs.replace(model.serving.log, exposures=True)
            serving = msgspec.structs.replace(model.serving, log=log)
            model = msgspec.structs.replace(model, serving=serving)
        if model.name not in self._diverted:
            return model
        traffic = _diverted(model.traffic or TrafficRevision(), self._diverted[model.name])
        return msgspec.structs.replace(model, traffic=traffic)

    async def renew(self, access: Access) -> None:
        """Pushes who may call; returns when engines have taken it over, for their next start too,
        and does not wait for one that hangs.
        """
        if access == self._access:
            return
        self._access = access
        self._hub.push(msgspec.structs.replace(self._hub.snapshot, access=access))
        if not await self._hub.heard(SETTLE_TIMEOUT_S):
            log.warning("engines are late to learn who may call")

    def build(self) -> Snapshot:
        """The desired state, whole and of one revision. Blocking."""
        while True:
            revision = self._registry.revision()
            models = self._models()
            # the reads are not one transaction; a change in between could mix two states
            if self._registry.revision() == revision:
                return Snapshot(revision, models)

    def _models(self) -> tuple[DesiredModel, ...]:
        deployed = self._registry.deployed()
        # first, so that fetching the files of one version does not drop those of another
        self._artifacts.pin(_loaded_files(deployed))
        models = self._registry.models()
        policies = {model.name: model.serving for model in models}
        by_model = groupby(deployed, key=attrgetter("model"))
        versions = {
            model: tuple(self._desired(one, policies.get(model, ServingPolicy())) for one in group)
            for model, group in by_model
        }
        return tuple(
            DesiredModel(
                model.name,
                versions[model.name],
                model.default_version,
                model.aliases,
                model.serving,
                traffic=model.traffic,
            )
            for model in models
            if model.name in versions
        )

    def _desired(self, version: Version, policy: ServingPolicy) -> DesiredVersion:
        return DesiredVersion(
            model=version.model,
            version=version.version,
            runtime=version.runtime,
            path=self._path(version, version.servable),
            digest=version.servable.digest,
            weights_path=self._path(version, version.weights) if version.weights else None,
            weights_digest=version.weights.digest if version.weights else None,
            signature=version.signature,
            options=version.runtime_options,
            batching=self._policy(version),
            examples=_examples(version),
            placement=_placement(version, policy),
            device=policy.device,
        )

    def _path(self, version: Version, artifact: Artifact) -> str:
        try:
            return str(self._artifacts.local_path(artifact.digest))
        except AuguriumError:
            # an engine that holds the version keeps it; another says which file is missing
            log.exception("servable file is missing", model=version.model, version=version.version)
            return f"missing-artifact-{artifact.digest}"

    def _policy(self, version: Version) -> BatchingPolicy:
        own = version.batching_options
        settings = self._batching
        change = msgspec.to_builtins(self.overrides.of(version.model, version.version))
        said = {key: value for key, value in change.items() if value is not None}
        try:
            merged = msgspec.to_builtins(settings) | own | said
            settings = msgspec.convert(merged, BatchingSettings, strict=False)
        except msgspec.ValidationError as error:
            log.warning(
                "batching options are not valid; the node's own are used",
                model=version.model,
                version=version.version,
                reason=str(error),
            )
        return msgspec.convert(settings, BatchingPolicy, from_attributes=True)


def _diverted(current: TrafficRevision, policy: TrafficPolicy | None) -> TrafficRevision:
    wanted = {variant.label: variant.slots for variant in policy.split} if policy else {}
    slots = rearranged(current.slots, wanted)
    return msgspec.structs.replace(current, policy=policy, slots=slots)


def _placement(version: Version, serving: ServingPolicy) -> PlacementPolicy:
    """Who has several runners shares none of them: what they do is what its requests ask for."""
    placement = serving.placement
    if version.runtime in IN_ENGINE and placement.isolation != "dedicated":
        # engines run what is theirs the same way wherever others are
        return ANYWHERE
    if serving.replicas.most == 1 or placement.isolation is not None:
        return placement
    return msgspec.structs.replace(placement, isolation="dedicated")


def _examples(version: Version) -> tuple[Any, ...]:
    """As many of the version's rows as are small together, one without missing values first."""
    rows = sorted(version.examples, key=lambda row: isinstance(row, dict) and None in row.values())
    found, left = [], MOST_EXAMPLE_BYTES
    for row in rows:
        size = _size(row)
        if size <= left:
            found.append(row)
            left -= size
    return tuple(found)


def _size(row: Any) -> int:
    return len(msgspec.json.encode(row))


def _loaded_files(versions: Iterable[Version]) -> set[str]:
    """The digests of what engines load."""
    files = (file for version in versions for file in (version.servable, version.weights) if file)
    return {file.digest for file in files}
