"""Feedback over real databases and files: what was acknowledged is there, whatever happens."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import Engine

from augurium.control.app import create_app
from augurium.control.assembly import assembled
from augurium.control.services import Services
from augurium.core.clock import SystemClock
from augurium.core.errors import NotReady
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings, StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.feedback.compaction import Compaction
from augurium.feedback.journal import Segment
from augurium.feedback.row import StoredRow
from augurium.feedback.segments import FeedbackSegments
from augurium.feedback.sql_journal import SqlJournal
from augurium.records.location import open_records
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.registry import Registry
from augurium.registry.sql_registry import SqlRegistry
from tests.integration.control.conftest import ControlProcess
from tests.support.postgres_server import postgres_server

LINES = {"content-type": "application/x-ndjson"}
FILE = Artifact("ab" * 32, 1)
SPEC = TensorSpec("x", "FP32", (-1, 1))
DRAFT = VersionDraft(
    framework="onnx",
    framework_version="1",
    runtime="onnx",
    source=FILE,
    source_name="model.onnx",
    servable=FILE,
    signature=Signature((SPEC,), (SPEC,)),
)


def lines(first: int, count: int) -> bytes:
    return b"".join(
        msgspec.json.encode(
            {"model": "churn", "prediction_id": f"p{place}", "name": "converted", "value": place}
        )
        + b"\n"
        for place in range(first, first + count)
    )


def register(registry: Registry) -> None:
    registry.register("churn", DRAFT, "test")


async def upload_and_register(services: Services, api: httpx.AsyncClient) -> None:
    file = msgspec.convert((await api.post("/artifacts", content=b"model")).json(), Artifact)
    draft = msgspec.structs.replace(DRAFT, source=file, servable=file)
    services.registry.register("churn", draft, "test")


def opened(node: NodeConfig) -> Engine:
    node.home.create()
    return open_database(sqlite_url(node.home.database))


def outcomes(services: Services) -> int:
    with services.feedback.last_values("churn") as connection:
        found = connection.execute("SELECT count(*) FROM last_values").fetchone()
    return int(found[0]) if found else 0


@contextlib.asynccontextmanager
async def api_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080/api/v1", timeout=60
    ) as api:
        yield api


class CutOffJournal(SqlJournal):
    """Its process ends when segments are written and nothing lists them yet."""

    def replace(self, rows: Sequence[StoredRow], segments: Sequence[Segment]) -> bool:
        raise NotReady("the process is gone")


async def test_a_crash_between_a_segment_and_the_journal_loses_and_doubles_nothing(
    node: NodeConfig,
) -> None:
    database = opened(node)
    registry = SqlRegistry(database, SystemClock())
    register(registry)
    async with assembled(node) as services, api_of(services) as api:
        assert (await api.post("/feedback", content=lines(0, 50), headers=LINES)).is_success
    records = open_records(StorageSettings(), node.home, SystemClock(), {})
    crashing = Compaction(
        CutOffJournal(database), FeedbackSegments(records), node.settings.feedback, SystemClock()
    )
    with pytest.raises(NotReady):
        crashing.run(everything=True)
    registry.close()

    async with assembled(node) as services:
        assert outcomes(services) == 50
        assert await services.feedback.flush() == 50
        assert outcomes(services) == 50


async def test_what_was_acknowledged_is_there_after_a_kill_in_the_middle_of_a_load(
    control: ControlProcess,
) -> None:
    registry = SqlRegistry(opened(control.node), SystemClock())
    register(registry)
    registry.close()
    acknowledged = 0
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for block in range(10_000):
            yield lines(1_000_000 + block * 5000, 5000)
            if block == 25:
                begun.set()

    async with httpx.AsyncClient(base_url=f"{control.url}/api/v1", timeout=60) as api:
        for first in (0, 10, 20_000):
            count = 20_000 if first else 10
            reply = await api.post("/feedback", content=lines(first, count), headers=LINES)
            acknowledged += reply.json()["accepted"]
        endless_load = asyncio.create_task(api.post("/feedback", content=endless(), headers=LINES))
        async with asyncio.timeout(60):
            await begun.wait()
        control.signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await endless_load
    await control.ended()
    assert acknowledged == 40_010

    async with assembled(control.node) as services:
        # of the load that was not answered nothing can be read
        assert outcomes(services) == 40_000


async def test_while_the_database_is_gone_senders_are_told_and_may_send_again(
    tmp_path: Path,
) -> None:
    with postgres_server() as server:
        storage = StorageSettings(database_url=server.url())
        home = NodeSettings(home=str(tmp_path / "home"))
        node = NodeConfig(Settings(node=home, storage=storage), ())
        async with assembled(node) as services, api_of(services) as api:
            await upload_and_register(services, api)
            assert (await api.post("/feedback", content=lines(0, 5), headers=LINES)).is_success

            server.stop()
            for rows in (5, 20_000):
                refused = await api.post("/feedback", content=lines(5, rows), headers=LINES)
                assert refused.status_code == 503, refused.text
                assert int(refused.headers["retry-after"]) >= 1
                assert refused.json()["kind"] == "not_ready"
            server.start()

            again = await api.post("/feedback", content=lines(5, 20_000), headers=LINES)
            assert again.json()["accepted"] == 20_000
            assert outcomes(services) == 20_005


async def test_many_small_posts_at_once_are_all_kept(services: Services) -> None:
    async with api_of(services) as api:
        await upload_and_register(services, api)
        replies = await asyncio.gather(
            *(api.post("/feedback", content=lines(place, 1), headers=LINES) for place in range(200))
        )

    assert {reply.status_code for reply in replies} == {200}
    assert outcomes(services) == 200
