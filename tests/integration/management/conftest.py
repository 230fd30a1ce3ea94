"""The command line and the client against a real management API over a real registry."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from augurium.cli.app import app
from augurium.client import Client
from augurium.control.app import create_app
from augurium.control.assembly import assembled
from augurium.control.http_server import http_server
from augurium.control.services import Services
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import Artifact, Version, VersionDraft

Register = Callable[..., Version]


class ManagementApi:
    """The control process' services and its HTTP server, in a thread of their own."""

    def __init__(self, config: NodeConfig) -> None:
        self.url = ""
        self._config = config
        self._services: Services | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    @property
    def services(self) -> Services:
        assert self._services is not None
        return self._services

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(setattr, self._server, "should_exit", True)
        self._thread.join()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with assembled(self._config) as self._services:
            self._server = http_server(create_app(self._services), 1)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                self._up.set()
                await self._server.serve([listening])


@pytest.fixture
def management(tmp_path: Path) -> Iterator[ManagementApi]:
    settings = Settings(node=NodeSettings(home=str(tmp_path / "home")))
    api = ManagementApi(NodeConfig(settings, ()))
    api.start()
    yield api
    api.stop()


@pytest.fixture
def register(management: ManagementApi, client: Client, tmp_path: Path) -> Register:
    """Registers a version of `model` with a stored file; name what differs from the usual one."""

    def register_one(model: str, **details: object) -> Version:
        file = tmp_path / "model.onnx"
        file.write_bytes(str(details).encode())
        sent = client.upload(file)
        artifact = Artifact(sent.digest, sent.size_bytes)
        spec = TensorSpec("x", "FP32", (-1, 1))
        draft = VersionDraft(
            framework="onnx",
            framework_version="1",
            runtime="onnx",
            source=artifact,
            source_name="model.onnx",
            servable=artifact,
            signature=Signature((spec,), (spec,)),
            **details,  # type: ignore[arg-type]
        )
        return management.services.registry.register(model, draft, "ann")

    return register_one


@pytest.fixture
def client(management: ManagementApi) -> Iterator[Client]:
    with Client(management.url) as client:
        yield client


@pytest.fixture
def augurium(management: ManagementApi) -> Callable[..., Result]:
    """Runs `augurium` with these arguments against the API; standard error apart."""
    environment = {"AUGURIUM_URL": management.url, "COLUMNS": "300", "TERM": "dumb"}
    runner = CliRunner(env=environment | {"NO_COLOR": "1"})
    return lambda *arguments, **options: runner.invoke(app, list(arguments), **options)
