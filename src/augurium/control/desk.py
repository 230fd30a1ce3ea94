"""The desk where engines ask about the whole node."""

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from augurium.control.link_hub import LinkHub
from augurium.control.model_index import model_index
from augurium.control.model_loads import ModelLoads
from augurium.control.node_engines import NodeEngines
from augurium.control.node_log import NodeLog
from augurium.core.errors import NotReady
from augurium.core.slots import slot_order
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.registry import Registry
from augurium.serving.metrics import VersionMetrics
from augurium.serving.questions import (
    Answer,
    Counted,
    Load,
    Logging,
    LogLevel,
    Mend,
    Mended,
    Question,
    Statistics,
    Unload,
    Unloaded,
)

# statistics are asked for rarely, and shall be exact
COLLECT_TIMEOUT_S = 3.0
log = structlog.get_logger()


class Desk:
    """Answers each question with what the node's own parts say."""

    def __init__(
        self,
        registry: Registry,
        hub: LinkHub,
        loads: ModelLoads,
        node_log: NodeLog,
        artifacts: ArtifactStore,
        engines: NodeEngines,
    ) -> None:
        self._engines = engines
        self._registry = registry
        self._hub = hub
        self._loads = loads
        self._log = node_log
        self._artifacts = artifacts

    async def answer(self, question: Question) -> Answer:
        """Raises what `NodeControl` says."""
        match question:
            case Statistics():
                await self._until_all_were_heard()
                counted = await self._hub.collect(COLLECT_TIMEOUT_S)
                return Counted(tuple(_asked(counted.versions, question)))
            case Load():
                return await self._loads.load(question)
            case Unload():
                await self._loads.unload(question.model, question.actor)
                return Unloaded()
            case Logging():
                if question.level is not None:
                    await self._log.set(question.level, question.actor)
                return LogLevel(self._log.level)
            case Mend(digest):
                path = await asyncio.to_thread(self._artifacts.mended, digest)
                log.warning("artifact mended", digest=digest)
                return Mended(str(path))
        links, revision = self._hub.links(), self._hub.snapshot.revision
        return await asyncio.to_thread(model_index, self._registry, links, revision)

    async def _until_all_were_heard(self) -> None:
        """Waits for engines that this process knows nothing of: they may have counted before it
        started. Raises NotReady if one stays away.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COLLECT_TIMEOUT_S):
                while self._unheard():
                    await self._hub.change()
        if unheard := self._unheard():
            raise NotReady(
                f"{', '.join(unheard)} has not connected yet, so the sums would not be right; try"
                " again in a moment"
            )

    def _unheard(self) -> list[str]:
        if not self._engines.known:
            return ["the supervisor"]
        heard = {slot.hello.engine for slot in self._hub.slots()}
        return sorted(set(self._engines.expected) - heard, key=slot_order)


def _asked(versions: Iterable[VersionMetrics], question: Statistics) -> Iterable[VersionMetrics]:
    for version in versions:
        if question.model is not None and version.model != question.model:
            continue
        if question.version is not None and version.version != question.version:
            continue
        yield version
