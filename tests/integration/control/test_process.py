import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from augurium.core.clock import SystemClock
from augurium.core.home import NodeConfig
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Model, VersionDraft
from augurium.registry.sql_registry import SqlRegistry

Fixture = Callable[..., Any]
TERM, KILL, INTERRUPT = signal.SIGTERM, signal.SIGKILL, signal.SIGINT


@pytest.fixture
async def client(control: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{control.url}/api/v1", timeout=60) as client:
        yield client


def _register(node: NodeConfig, model: str, times: int) -> None:
    """As an import would, in a database that two processes share."""
    artifact = ObstoreArtifacts(node.home.artifacts).put([model.encode()], 1024)
    spec = TensorSpec("x", "FP32", (-1, 1))
    registry = SqlRegistry(open_database(sqlite_url(node.home.database)), SystemClock())
    for _ in range(times):
        draft = VersionDraft(
            framework="onnx",
            framework_version="1",
            runtime="onnx",
            source=artifact,
            source_name="model.onnx",
            servable=artifact,
            signature=Signature((spec,), (spec,)),
        )
        registry.register(model, draft, "test")
    registry.close()


def _stored(node: NodeConfig, model: str) -> Model:
    registry = SqlRegistry(open_database(sqlite_url(node.home.database)), SystemClock())
    stored = registry.model(model)
    registry.close()
    return stored


@pytest.mark.parametrize("number", [TERM, INTERRUPT])
async def test_it_ends_well_when_told_to(number: int, control: Any) -> None:
    control.signal(number)

    status, log = await control.ended()

    assert status == 0
    assert [line.split()[3] for line in log.splitlines()] == ["up", "stopped"]
    assert not control.node.home.link_socket.exists()


async def test_it_ends_when_its_supervisor_lets_go_of_it(control: Any) -> None:
    control.let_go()

    assert (await control.ended())[0] == 0


async def test_a_kept_connection_does_not_hold_it_up(
    control: Any, client: httpx.AsyncClient
) -> None:
    await client.get("/live")

    control.signal(TERM)

    assert (await control.ended())[0] == 0


async def test_a_taken_port_is_said_in_one_line(control: Any) -> None:
    second = await asyncio.to_thread(_run_to_its_end, control.node.home.config)

    assert second.returncode == 3
    assert second.stderr.count("\n") == 1
    assert "Address already in use" in second.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_a_bad_configuration_is_said_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)

    ended = _run_to_its_end(tmp_path / "config.json")

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("obstacle", ["registry.db", "run/link.sock"])
def test_a_home_that_cannot_be_used_is_said_in_one_line(
    obstacle: str, node: NodeConfig, tmp_path: Path
) -> None:
    (node.home.path / obstacle).mkdir(parents=True)

    ended = _run_with(node, tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1


def test_a_home_that_is_a_file_is_said_in_one_line(node: NodeConfig, tmp_path: Path) -> None:
    node.home.path.write_text("not a folder")

    ended = _run_with(node, tmp_path)

    assert ended.returncode == 1
    assert "choose another --home" in ended.stderr
    assert ended.stderr.count("\n") == 1


def _run_with(node: NodeConfig, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = msgspec.structs.replace(node.settings.node, control_port=0)
    config = msgspec.structs.replace(
        node, settings=msgspec.structs.replace(node.settings, node=settings)
    )
    (folder / "config.json").write_bytes(msgspec.json.encode(config))
    return _run_to_its_end(folder / "config.json")


def _run_to_its_end(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "augurium.control", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


async def test_what_an_interrupted_run_left_is_cleared_at_start(control: Any) -> None:
    await control.kill()
    leftover = control.node.home.staging / "import-1" / "model.onnx"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    upload = control.node.home.artifacts / "staging" / "upload-1"
    upload.parent.mkdir(exist_ok=True)
    upload.write_bytes(b"half")

    control.start()
    await control.until_up()

    assert list(control.node.home.staging.iterdir()) == []
    assert not upload.exists()


async def test_deployments_outlive_a_restart(
    control: Any, client: httpx.AsyncClient, connect_engine_to: Fixture
) -> None:
    _register(control.node, "iris", 1)
    engine = await connect_engine_to(control.node.home.link_socket, "engine-0")
    deployed = await client.post("/models/iris/deployments", json={"version": 1})
    control.signal(TERM)
    await control.ended()
    await asyncio.wait_for(engine.closed.wait(), 20)

    control.start()
    await control.until_up()
    again = await connect_engine_to(control.node.home.link_socket, "engine-0")

    assert deployed.status_code == 200
    assert again.snapshot == engine.snapshot
    assert again.default_of("iris") == 1


async def test_a_kill_in_mid_deployment_leaves_the_default_and_a_registry_that_works(
    control: Any, client: httpx.AsyncClient, connect_engine_to: Fixture
) -> None:
    _register(control.node, "iris", 2)
    engine = await connect_engine_to(control.node.home.link_socket, "engine-0", slow={("iris", 2)})
    await client.post("/models/iris/deployments", json={"version": 1})
    deployment = asyncio.create_task(client.post("/models/iris/deployments", json={"version": 2}))
    await engine.until(lambda: engine.holds("iris", 2))

    control.signal(KILL)
    await control.ended()

    with pytest.raises(httpx.TransportError):
        await deployment
    assert _stored(control.node, "iris").default_version == 1
    control.start()
    await control.until_up()
    again = await connect_engine_to(control.node.home.link_socket, "engine-0", pid=2)
    assert again.default_of("iris") == 1
    retried = await client.post("/models/iris/deployments", json={"version": 2})
    assert retried.status_code == 200
    assert again.default_of("iris") == 2


async def test_a_stop_in_mid_deployment_undoes_it(
    control: Any, client: httpx.AsyncClient, connect_engine_to: Fixture
) -> None:
    _register(control.node, "iris", 1)
    engine = await connect_engine_to(control.node.home.link_socket, "engine-0", slow={("iris", 1)})
    deployment = asyncio.create_task(client.post("/models/iris/deployments", json={"version": 1}))
    await engine.until(lambda: engine.holds("iris", 1))

    control.signal(TERM)

    assert (await deployment).status_code == 503
    assert (await control.ended())[0] == 0
    assert _stored(control.node, "iris").deployed_versions == ()


async def test_a_large_upload_takes_little_memory(control: Any, client: httpx.AsyncClient) -> None:
    size = 256 * 1024 * 1024

    async def model() -> AsyncIterator[bytes]:
        for _ in range(size // 65536):
            yield b"x" * 65536

    reply = await client.post("/artifacts", content=model(), timeout=120)

    assert reply.json()["size_bytes"] == size
    assert _peak_bytes(control.pid) < 200 * 1024 * 1024


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


async def test_an_upload_that_breaks_off_leaves_nothing(
    control: Any, client: httpx.AsyncClient
) -> None:
    async def half_a_model() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await client.post("/artifacts", content=half_a_model())
    control.signal(TERM)
    status, log = await control.ended()

    assert status == 0
    assert "error" not in log
    assert [file for file in control.node.home.artifacts.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /api/v1/live HTTP/1.1\r\n\r\n",
        "GET /api/v1/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /api/v1/artifacts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +5\r\n\r\nabcde",
        "POST /api/v1/artifacts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00",
    ],
)
async def test_what_is_not_http_is_refused(request_text: str, control: Any) -> None:
    port = control.node.settings.node.control_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_text.encode("latin-1"))
    writer.write_eof()

    answer = await asyncio.wait_for(reader.read(), 20)

    writer.close()
    assert answer.split(b" ")[1:2] == [b"400"]
    await control.until_up()
