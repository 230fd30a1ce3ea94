"""What an engine keeps on disk of who may call, so that its next start knows it too."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from augurium.access.access import Access
from augurium.access.keys import LiveKey
from augurium.access.scopes import Scope
from augurium.control.link_hub import LinkHub
from augurium.core.home import NodeConfig
from augurium.core.settings import AccessSettings, NodeSettings, Settings
from augurium.core.signature import Signature
from augurium.serving.app import Engine
from augurium.serving.snapshot import DesiredModel, DesiredVersion, Snapshot, load_snapshot

PATIENCE_S = 20.0
KEY = LiveKey("id", "app", bytes(32), (Scope.PREDICT,), (), 0.0, 0, None)


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    settings = Settings(
        node=NodeSettings(home=str(tmp_path / "home")), access=AccessSettings(required=True)
    )
    config = NodeConfig(settings, ("engine-0",))
    config.home.create()
    return config


@pytest.fixture
async def hub(config: NodeConfig) -> AsyncIterator[LinkHub]:
    hub = LinkHub(config.home.link_socket)
    await hub.start()
    engine = Engine(config, "engine-0")
    engine.load()
    engine.connect()
    yield hub
    await engine.stop()
    await hub.stop()


@pytest.fixture
def endless(tmp_path: Path) -> Snapshot:
    """A snapshot with a version that never ends loading: its file is a pipe that nobody fills."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    version = DesiredVersion("endless", 1, "onnx", str(pipe), "", Signature((), ()))
    return Snapshot(1, (DesiredModel("endless", (version,)),), Access(keys=(KEY,)))


def unblock(snapshot: Snapshot) -> None:
    """Lets whoever waits for the pipe go on."""
    with suppress(OSError):
        os.close(os.open(snapshot.models[0].versions[0].path, os.O_WRONLY | os.O_NONBLOCK))


async def until_kept(config: NodeConfig, hub: LinkHub, access: Access) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not hub.links():
            await hub.change()
        file = config.home.snapshot("engine-0")
        while not file.exists() or load_snapshot(file).access != access:
            # until the engine has answered what came before
            await hub.collect()


async def test_a_key_revoked_while_a_version_loads_does_not_come_back_with_the_next_start(
    config: NodeConfig, hub: LinkHub, endless: Snapshot
) -> None:
    hub.push(endless)
    try:
        await until_kept(config, hub, Access(keys=(KEY,)))
        hub.push(Snapshot(1, endless.models, Access()))
        await until_kept(config, hub, Access())
    finally:
        unblock(endless)
