import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from augurium.access.access import Access
from augurium.control.link_hub import COLLECT_TIMEOUT_S
from augurium.control.services import Services
from augurium.control.snapshots import Snapshots
from augurium.core.settings import BatchingSettings
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.serving.link import Counters
from augurium.serving.metrics import EngineMetrics

Fixture = Callable[..., Any]


async def test_who_may_call_is_told_when_engines_have_it_however_long_they_take(
    services: Services, connect_engine: Fixture, tmp_path: Path
) -> None:
    artifacts = MemoryArtifacts(tmp_path)
    snapshots = Snapshots(services.registry, artifacts, BatchingSettings(), services.hub)
    engine = await connect_engine("engine-0", silent=True)
    access = Access(rate=7.0)

    telling = asyncio.create_task(snapshots.renew(access))
    await engine.until(lambda: engine.snapshot.access == access)
    await asyncio.sleep(2 * COLLECT_TIMEOUT_S)
    early = telling.done()
    engine.say(Counters(EngineMetrics(), request=1_000))
    await asyncio.wait_for(telling, 4)

    assert not early
