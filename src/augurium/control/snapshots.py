"""Snapshots: what the registry wants, in the form in which engines take it."""

import asyncio
from itertools import groupby
from operator import attrgetter

import msgspec
import structlog

from augurium.control.link_hub import LinkHub
from augurium.core.errors import NotFound
from augurium.core.settings import BatchingSettings
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Version
from augurium.registry.registry import Registry
from augurium.serving.snapshot import BatchingPolicy, DesiredModel, DesiredVersion, Snapshot

BATCHING_PREFIX = "batching."
log = structlog.get_logger()


class Snapshots:
    """Builds snapshots and hands them to the hub."""

    def __init__(
        self,
        registry: Registry,
        artifacts: ArtifactStore,
        batching: BatchingSettings,
        hub: LinkHub,
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._batching = batching
        self._hub = hub

    async def publish(self) -> int:
        """Pushes what the registry wants now to every engine; the revision that was pushed."""
        snapshot = await asyncio.to_thread(self.build)
        self._hub.push(snapshot)
        return snapshot.revision

    def build(self) -> Snapshot:
        """The desired state, whole and of one revision. Blocking."""
        while True:
            revision = self._registry.revision()
            models = self._models()
            # the reads are not one transaction; a change in between could mix two states
            if self._registry.revision() == revision:
                return Snapshot(revision, models)

    def _models(self) -> tuple[DesiredModel, ...]:
        deployed = groupby(self._registry.deployed(), key=attrgetter("model"))
        versions = {model: tuple(map(self._desired, group)) for model, group in deployed}
        return tuple(
            DesiredModel(model.name, versions[model.name], model.default_version, model.aliases)
            for model in self._registry.models()
            if model.name in versions
        )

    def _desired(self, version: Version) -> DesiredVersion:
        return DesiredVersion(
            model=version.model,
            version=version.version,
            runtime=version.runtime,
            path=self._path(version),
            digest=version.servable.digest,
            signature=version.signature,
            options={
                key: value
                for key, value in version.options.items()
                if not key.startswith(BATCHING_PREFIX)
            },
            batching=self._policy(version),
        )

    def _path(self, version: Version) -> str:
        try:
            return str(self._artifacts.local_path(version.servable.digest))
        except NotFound:
            # an engine that holds the version keeps it; another says which file is missing
            log.exception("servable file is missing", model=version.model, version=version.version)
            return f"missing-artifact-{version.servable.digest}"

    def _policy(self, version: Version) -> BatchingPolicy:
        own = {
            key.removeprefix(BATCHING_PREFIX): value
            for key, value in version.options.items()
            if key.startswith(BATCHING_PREFIX)
        }
        settings = self._batching
        try:
            merged = msgspec.to_builtins(settings) | own
            settings = msgspec.convert(merged, BatchingSettings, strict=False)
        except msgspec.ValidationError as error:
            log.warning(
                "batching options are not valid; the node's own are used",
                model=version.model,
                version=version.version,
                reason=str(error),
            )
        return msgspec.convert(settings, BatchingPolicy, from_attributes=True)
