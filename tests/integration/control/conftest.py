"""The control process without its process: real registry, files and Unix socket, and engines."""

import asyncio
import contextlib
import functools
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from augurium.control.app import create_app
from augurium.control.assembly import assembled
from augurium.control.process import PORT_TAKEN
from augurium.control.readiness import waiting_for
from augurium.control.services import Services
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import Artifact, Version, VersionDraft
from augurium.serving.link import (
    Applied,
    Collect,
    Counters,
    Hello,
    Push,
    Told,
    Update,
    desired,
    receive,
    send,
)
from augurium.serving.linked_control import LinkedControl
from augurium.serving.metrics import EngineMetrics
from augurium.serving.open_questions import OpenQuestions
from augurium.serving.questions import Answer, Question
from augurium.serving.snapshot import Snapshot, VersionState
from tests.support.logs import log_to_stderr

PATIENCE_S = 90.0


class EngineClient:
    """The engine's end of the link. It holds at once what it is told to, with these exceptions.

    `broken` are versions that fail with a reason, `slow` those that stay loading until `release`; a
    `silent` engine does not answer requests for counters.
    """

    def __init__(self, socket_file: Path, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.broken: dict[tuple[str, int], str] = {}
        self.slow: set[tuple[str, int]] = set()
        self.silent = False
        self.metrics = EngineMetrics()
        self.control = LinkedControl(self._ask)
        self.questions = OpenQuestions()
        self.snapshot = Snapshot(-1)
        self.closed = asyncio.Event()
        self._socket_file = socket_file
        self._change = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> "EngineClient":
        reader, self._writer = await asyncio.open_unix_connection(str(self._socket_file))
        send(self._writer, Hello(self.name, self.pid))
        self._task = asyncio.create_task(self._live(reader, self._writer))
        await self.until(lambda: self.snapshot.revision >= 0)
        return self

    async def kill(self) -> None:
        if self._writer is not None and self._task is not None:
            self._writer.transport.abort()
            await self._task

    async def hang_up(self) -> None:
        """Ends the connection after everything that was said has arrived."""
        if self._writer is not None and self._task is not None:
            self._writer.write_eof()
            await self._task

    def release(self, model: str, version: int) -> None:
        self.slow.discard((model, version))
        self._report()

    def report_counters(self) -> None:
        self._send(Counters(self.metrics))

    def say(self, message: Any) -> None:
        self._send(message)

    def holds(self, model: str, version: int) -> bool:
        return any(
            (desired.model, desired.version) == (model, version)
            for wanted in self.snapshot.models
            for desired in wanted.versions
        )

    def default_of(self, model: str) -> int | None:
        for wanted in self.snapshot.models:
            if wanted.name == model:
                return wanted.default_version
        return None

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self._change.wait()

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (message := await receive(reader)) is not None:
            if isinstance(message, Push | Update):
                self.snapshot = desired(self.snapshot, message)
                self._report()
            elif isinstance(message, Collect) and not self.silent:
                self._send(Counters(self.metrics, message.request))
            elif isinstance(message, Told):
                self.questions.settle(message)
            self._change.set()
            self._change = asyncio.Event()
        self.questions.break_off()
        self.closed.set()
        writer.close()

    async def _ask(self, question: Question, timeout_s: float) -> Answer:
        return await self.questions.ask(question, self._send, min(timeout_s, PATIENCE_S))

    def _report(self) -> None:
        states = tuple(
            self._state(desired.model, desired.version)
            for wanted in self.snapshot.models
            for desired in wanted.versions
        )
        self._send(Applied(self.snapshot.revision, states))

    def _state(self, model: str, version: int) -> VersionState:
        if (model, version) in self.broken:
            return VersionState(model, version, "failed", self.broken[model, version])
        return VersionState(model, version, "loading" if (model, version) in self.slow else "ready")

    def _send(self, message: Any) -> None:
        if self._writer is not None:
            send(self._writer, message)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Whatever a test configures, the next test finds logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log_to_stderr()


@pytest.fixture
def node(tmp_path: Path) -> NodeConfig:
    settings = Settings(node=NodeSettings(home=str(tmp_path / "home"), drain_delay_s=0))
    return NodeConfig(settings, ("engine-0", "engine-1"))


@pytest.fixture
async def services(node: NodeConfig) -> AsyncIterator[Services]:
    async with assembled(node) as services:
        yield services


@pytest.fixture
async def api(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080/api/v1", timeout=PATIENCE_S
    ) as client:
        yield client


@pytest.fixture
async def connect_engine_to() -> AsyncIterator[Callable[..., Awaitable[EngineClient]]]:
    """Connects an engine: `await connect_engine_to(socket_file, "engine-0", pid=7)`."""
    async with AsyncExitStack() as stack:

        async def connect(socket: Path, name: str, pid: int = 1, **traits: Any) -> EngineClient:
            engine = EngineClient(socket, name, pid)
            for trait, value in traits.items():
                setattr(engine, trait, value)
            await engine.connect()
            stack.push_async_callback(engine.kill)
            return engine

        yield connect


@pytest.fixture
def connect_engine(
    node: NodeConfig, services: Services, connect_engine_to: Callable[..., Awaitable[EngineClient]]
) -> Callable[..., Awaitable[EngineClient]]:
    """Connects an engine to the services: `await connect_engine("engine-0", pid=7)`."""
    return functools.partial(connect_engine_to, node.home.link_socket)


class ControlProcess:
    """`python -m augurium.control` with its own home and port."""

    def __init__(self, node: NodeConfig) -> None:
        self.node = node
        self.url = f"http://127.0.0.1:{node.settings.node.control_port}"
        self._process: subprocess.Popen[str] | None = None
        self._lifeline = -1

    def start(self) -> None:
        self.node.home.create()
        self.node.home.config.write_bytes(msgspec.json.encode(self.node))
        read_end, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "augurium.control", str(self.node.home.config), str(read_end)],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(read_end,),
        )
        os.close(read_end)

    async def until_up(self) -> None:
        await self.until_up_or_ended()
        assert self.status is None, await self.ended()

    async def until_up_or_ended(self) -> None:
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
            while self.status is None:
                with contextlib.suppress(httpx.TransportError):
                    await client.get(f"{self.url}/api/v1/live")
                    # whoever took the port answers too, but has no link
                    if self.node.home.link_socket.exists():
                        return
                await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll() if self._process else None

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def let_go(self) -> None:
        """What the supervisor does when it stops, and what happens to its end when it dies."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def ended(self) -> tuple[int, str]:
        """Exit status and log, once it has ended."""
        process = self._process
        if process is None:
            return 0, ""
        _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
        self.let_go()
        return process.returncode, log

    async def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            await self.ended()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[ControlProcess]:
    """A real control process, up; killed in the end if it has not ended before."""
    # a port that is free now may be somebody else's by then
    for _ in range(3):
        process = _control_on_a_free_port(tmp_path / "home")
        process.start()
        await process.until_up_or_ended()
        if process.status != PORT_TAKEN:
            break
        await process.ended()
    await process.until_up()
    yield process
    await process.kill()


def _control_on_a_free_port(home: Path) -> ControlProcess:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = NodeSettings(home=str(home), control_port=port)
    return ControlProcess(NodeConfig(Settings(node=settings), ("engine-0",)))


@pytest.fixture
def until_waiting_for(
    node: NodeConfig, services: Services
) -> Callable[[list[str]], Coroutine[Any, Any, None]]:
    """Waits until exactly these reasons keep the node from being ready."""

    async def until(reasons: list[str]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while waiting_for(node.engines, services.hub, stopping=False) != reasons:
                await services.hub.change()

    return until


@pytest.fixture
def register(
    services: Services, api: httpx.AsyncClient
) -> Callable[..., Coroutine[Any, Any, Version]]:
    """Registers the next version of a model with a file of its own: `await register("iris")`."""

    async def register_version(model: str, **details: Any) -> Version:
        content = f"{model} {services.registry.revision()}".encode()
        reply = await api.post("/artifacts", content=content)
        artifact = msgspec.json.decode(reply.content, type=Artifact)
        spec = TensorSpec("x", "FP32", (-1, 1))
        draft = VersionDraft(
            framework="onnx",
            framework_version="1",
            runtime="onnx",
            source=artifact,
            source_name="model.onnx",
            servable=artifact,
            signature=Signature((spec,), (spec,)),
            **details,
        )
        return services.registry.register(model, draft, "test")

    return register_version
