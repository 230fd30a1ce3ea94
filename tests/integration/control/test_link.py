import asyncio
import stat
import struct
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from augurium.control.app import create_app
from augurium.control.assembly import assembled
from augurium.control.readiness import waiting_for
from augurium.control.services import Services
from augurium.core.home import NodeConfig
from augurium.core.settings import AccessSettings
from augurium.core.signature import Signature
from augurium.serving.link import Counters, Hello, Push, send
from augurium.serving.metrics import EngineMetrics, VersionMetrics
from augurium.serving.snapshot import DesiredModel, DesiredVersion, Snapshot

Fixture = Callable[..., Any]
METRICS_URL = "http://127.0.0.1:8080/metrics"
PATIENCE_S = 20.0


def _counted(requests: int, pending: int = 0) -> EngineMetrics:
    version = VersionMetrics("iris", 1, outcomes={"ok": requests}, pending=pending)
    return EngineMetrics([version], {"not_found": requests})


async def _metric(api: httpx.AsyncClient, name: str, **labels: str) -> float | None:
    page = (await api.get(METRICS_URL)).text
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


async def _until_counted(api: httpx.AsyncClient, count: float, name: str, **labels: str) -> None:
    """A page has the last counters of engines that do not answer at once."""
    give_up_at = time.monotonic() + PATIENCE_S
    while (found := await _metric(api, name, **labels)) != count:
        assert time.monotonic() < give_up_at, f"{name} is {found}"
        await asyncio.sleep(0.02)


async def _until_connected(services: Services, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(services.hub.links()) != count:
            await services.hub.change()


async def test_only_the_owner_may_open_the_link(node: NodeConfig, services: Services) -> None:
    mode = stat.S_IMODE(node.home.link_socket.stat().st_mode)

    assert mode == 0o600


async def test_an_engine_is_told_the_desired_state_when_it_connects(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    first = await connect_engine("engine-0")
    await register("iris")
    await api.post("/models/iris/deployments", json={"version": 1})

    second = await connect_engine("engine-1")

    assert second.snapshot == first.snapshot
    assert second.holds("iris", 1)


async def test_the_server_lists_its_engines(
    api: httpx.AsyncClient, connect_engine: Fixture, register: Fixture
) -> None:
    engine = await connect_engine("engine-0", pid=41)
    await register("iris")
    await api.post("/models/iris/deployments", json={"version": 1})

    server = (await api.get("/server")).json()

    assert server["expected_engines"] == ["engine-0", "engine-1"]
    assert server["engines"] == [
        {
            "engine": "engine-0",
            "pid": 41,
            "connected": True,
            "revision": engine.snapshot.revision,
            "states": [{"model": "iris", "version": 1, "state": "ready", "reason": ""}],
        }
    ]


async def test_the_node_is_ready_when_every_expected_engine_holds_what_is_wanted(
    api: httpx.AsyncClient,
    connect_engine: Fixture,
    register: Fixture,
    until_waiting_for: Fixture,
) -> None:
    first = await connect_engine("engine-0", slow={("iris", 1)})
    missing = await api.get("/ready")
    await register("iris")
    deployment = asyncio.create_task(
        api.post("/models/iris/deployments", json={"version": 1, "default": False})
    )
    await first.until(lambda: first.holds("iris", 1))
    await connect_engine("engine-1")
    await until_waiting_for(["engine-0 is loading iris@1"])
    loading = await api.get("/ready")
    first.release("iris", 1)
    await deployment
    await until_waiting_for([])
    ready = await api.get("/ready")

    assert missing.status_code == 503
    assert "engine-1 is not connected" in missing.json()["waiting_for"]
    assert loading.json() == {"ready": False, "waiting_for": ["engine-0 is loading iris@1"]}
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "waiting_for": []}


async def test_whoever_needs_no_key_does_not_learn_which_models_there_are(
    node: NodeConfig, connect_engine_to: Fixture
) -> None:
    settings = msgspec.structs.replace(node.settings, access=AccessSettings(required=True))
    keyed = msgspec.structs.replace(node, settings=settings, engines=("engine-0",))
    iris = DesiredVersion("iris", 1, "onnx", "", "", Signature((), ()))
    async with assembled(keyed) as services:
        services.hub.push(Snapshot(1, (DesiredModel("iris", (iris,)),)))
        await connect_engine_to(node.home.link_socket, "engine-0", slow={("iris", 1)})
        while waiting_for(keyed.engines, services.hub, stopping=False) != [
            "engine-0 is loading iris@1"
        ]:
            await services.hub.change()
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as api:
            answer = await api.get("/api/v1/ready")

    assert answer.json() == {"ready": False, "waiting_for": ["engine-0 is loading a version"]}


async def test_counters_add_up_over_engines(
    api: httpx.AsyncClient, connect_engine: Fixture
) -> None:
    await connect_engine("engine-0", metrics=_counted(10, pending=2))
    await connect_engine("engine-1", metrics=_counted(5, pending=1))

    await _until_counted(api, 15, "augurium_requests_total", outcome="ok")
    assert await _metric(api, "augurium_unrouted_requests_total", outcome="not_found") == 15
    assert await _metric(api, "augurium_pending_requests") == 3
    assert await _metric(api, "augurium_engines_connected") == 2


async def test_the_page_of_metrics_is_compressed_for_who_takes_that(
    api: httpx.AsyncClient, connect_engine: Fixture
) -> None:
    engine = await connect_engine("engine-0")
    engine.metrics = _counted(10)
    await _until_counted(api, 10, "augurium_requests_total")
    plain = await api.get(METRICS_URL, headers={"accept-encoding": "identity"})
    packed = await api.get(METRICS_URL, headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert "augurium_requests_total" in plain.text


async def test_counters_never_go_back_when_an_engine_restarts(
    api: httpx.AsyncClient, services: Services, connect_engine: Fixture
) -> None:
    engine = await connect_engine("engine-0", pid=1, metrics=_counted(10, pending=2))
    await _until_counted(api, 10, "augurium_requests_total")
    await engine.kill()
    await _until_connected(services, 0)
    while_away = await _metric(api, "augurium_requests_total")
    pending_while_away = await _metric(api, "augurium_pending_requests")
    await connect_engine("engine-0", pid=2, metrics=_counted(3))

    assert (while_away, pending_while_away) == (10, 0)
    await _until_counted(api, 13, "augurium_requests_total")
    assert await _metric(api, "augurium_engine_restarts_total", engine="engine-0") == 1


async def test_an_engine_that_connects_again_is_not_counted_twice(
    api: httpx.AsyncClient, services: Services, connect_engine: Fixture
) -> None:
    engine = await connect_engine("engine-0", pid=1, metrics=_counted(10))
    await _until_counted(api, 10, "augurium_requests_total")
    await engine.kill()
    await _until_connected(services, 0)
    again = await connect_engine("engine-0", pid=1, metrics=_counted(12), silent=True)
    before_it_reported = await _metric(api, "augurium_requests_total")
    again.silent = False

    assert before_it_reported == 10
    await _until_counted(api, 12, "augurium_requests_total")
    assert await _metric(api, "augurium_engine_restarts_total", engine="engine-0") == 0


async def test_a_new_process_takes_the_slot_from_an_old_link_that_hangs(
    api: httpx.AsyncClient, services: Services, connect_engine: Fixture
) -> None:
    old = await connect_engine("engine-0", pid=1, metrics=_counted(10))
    await _until_counted(api, 10, "augurium_requests_total")

    await connect_engine("engine-0", pid=2, metrics=_counted(1))

    await asyncio.wait_for(old.closed.wait(), 20)
    await _until_counted(api, 11, "augurium_requests_total")
    assert await _metric(api, "augurium_engines_connected") == 1


async def test_a_silent_engine_is_reported_with_its_last_counters(
    api: httpx.AsyncClient, connect_engine: Fixture
) -> None:
    silent = await connect_engine("engine-0", metrics=_counted(10))
    await connect_engine("engine-1", metrics=_counted(5))
    await _until_counted(api, 15, "augurium_requests_total")
    silent.silent = True

    assert await _metric(api, "augurium_requests_total") == 15


async def test_counters_sent_unasked_are_kept(
    api: httpx.AsyncClient, services: Services, connect_engine: Fixture
) -> None:
    engine = await connect_engine("engine-0", silent=True)
    engine.say(Counters(_counted(4)))
    await engine.hang_up()
    await _until_connected(services, 0)

    assert await _metric(api, "augurium_requests_total") == 4


async def test_an_engine_that_reads_nothing_holds_up_nobody(
    node: NodeConfig,
    services: Services,
    api: httpx.AsyncClient,
    connect_engine: Fixture,
) -> None:
    _, writer = await asyncio.open_unix_connection(str(node.home.link_socket))
    send(writer, Hello("engine-1", 9))
    await _until_connected(services, 1)
    healthy = await connect_engine("engine-0")
    # each is far more than the socket's buffer takes
    for revision in range(1000, 1050):
        services.hub.push(_big_snapshot(revision))
        await healthy.until(lambda revision=revision: healthy.snapshot.revision == revision)

    assert len((await api.get("/server")).json()["engines"]) == 2
    writer.transport.abort()


def _big_snapshot(revision: int) -> Snapshot:
    models = tuple(DesiredModel(f"model-{number}-{'x' * 100}") for number in range(5000))
    return Snapshot(revision, models)


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 2**31),
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", 1) + b"\x80",
    ],
)
async def test_whoever_speaks_something_else_is_hung_up_on(
    opening: bytes, node: NodeConfig, api: httpx.AsyncClient, connect_engine: Fixture
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(node.home.link_socket))
    writer.write(opening)
    writer.write_eof()

    assert await asyncio.wait_for(_rest(reader), 20) == b""
    writer.close()
    await connect_engine("engine-0")
    assert (await api.get("/live")).status_code == 200


@pytest.mark.parametrize("name", ["", "../rest", "rest 0", 'rest"0', "x" * 300])
async def test_an_engine_with_a_bad_name_is_hung_up_on(
    name: str, node: NodeConfig, services: Services
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(node.home.link_socket))
    send(writer, Hello(name, 1))

    assert await asyncio.wait_for(_rest(reader), 20) == b""
    assert services.hub.slots() == []
    writer.close()


async def test_an_engine_that_sends_what_control_sends_is_hung_up_on(
    connect_engine: Fixture,
) -> None:
    engine = await connect_engine("engine-0")
    engine.say(Push(Snapshot(99)))

    await asyncio.wait_for(engine.closed.wait(), 20)


async def test_older_snapshots_are_not_pushed_over_newer_ones(
    services: Services, connect_engine: Fixture
) -> None:
    services.hub.push(Snapshot(7))
    services.hub.push(Snapshot(6))

    engine = await connect_engine("engine-0")

    assert engine.snapshot.revision == 7


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
