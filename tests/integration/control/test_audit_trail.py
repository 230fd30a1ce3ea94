"""Every route that changes something writes its audit entry in the transaction of the change.

One walk over all of them, on SQLite and on PostgreSQL. Each is called twice: first while the
database refuses entries, when nothing may have changed afterwards, then for good.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import onnx
import pytest
from sqlalchemy import Column, Engine, MetaData, Table, create_engine, make_url, select, text
from structlog.testing import capture_logs

from augurium.access.keys import KeyDraft
from augurium.access.principal import LOCAL
from augurium.access.rights import MANAGEMENT
from augurium.access.scopes import Scope
from augurium.control.app import create_app
from augurium.control.assembly import assembled
from augurium.control.services import Services
from augurium.core.batch_settings import BatchSettings
from augurium.core.home import NodeConfig
from augurium.core.settings import AccessSettings, NodeSettings, Settings, StorageSettings
from augurium.registry.database import sqlite_url
from augurium.registry.postgresql import driver_url
from augurium.registry.signing import SigningKeys
from tests.support.models import simple_model
from tests.support.postgres_server import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]

Connect = Callable[..., Any]
MODEL = "/api/v1/models/{model}"
VERSION = f"{MODEL}/versions/{{version}}"
ROLLOUTS = "/api/v1/rollouts"
ROLLOUT = f"{ROLLOUTS}/{{rollout}}"
SCHEDULES = "/api/v1/batch-schedules"
SCHEDULE = f"{SCHEDULES}/{{schedule}}"
JOBS = "/api/v1/batch-jobs"
JOB = f"{JOBS}/{{job}}"
ACTOR = "auditor"
# a file alone is no change: nothing stands on it until a version is registered
# and feedback changes nothing that is served; it is kept, with its time, in its own place
NO_CHANGE = {("POST", "/api/v1/artifacts"), ("POST", "/api/v1/feedback")}
# it changes nothing and is on record all the same
ON_RECORD = {("GET", f"{VERSION}/archive")}
REFUSE_ENTRIES = {
    "sqlite": [
        "CREATE TRIGGER refuse_entries BEFORE INSERT ON audit"
        " BEGIN SELECT RAISE(ABORT, 'no entries'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION refuse_entry() RETURNS trigger AS"
        " 'BEGIN RAISE EXCEPTION ''no entries''; END' LANGUAGE plpgsql",
        "CREATE TRIGGER refuse_entries BEFORE INSERT ON audit"
        " FOR EACH ROW EXECUTE FUNCTION refuse_entry()",
    ],
}
TAKE_ENTRIES = {
    "sqlite": "DROP TRIGGER refuse_entries",
    "postgresql": "DROP TRIGGER refuse_entries ON audit",
}


class Step(NamedTuple):
    """One call: what it sends, and what the audit log must say of it."""

    method: str
    route: str
    actions: tuple[str, ...]
    body: Any = None
    name: str = ""
    version: int = 1

    @property
    def path(self) -> str:
        filled = self.route.replace("{model}", "fraud").replace("{version}", str(self.version))
        for parameter in ("{alias}", "{key}", "{name}", "{schedule}"):
            filled = filled.replace(parameter, self.name)
        return filled


def story(public_key: str, digest: str, folder: Path) -> list[Step]:
    """A model's life, with every change there is; `digest` is of an uploaded file, `folder` is open
    to batch jobs.
    """
    order = {"artifact": digest, "filename": "simple.onnx"}
    key = {"name": "second", "scopes": ["predict"]}
    approval = f"{VERSION}/approval"
    traffic = {"policy": {"split": [{"version": 1, "weight": 100}]}}
    gone = {"grace_s": 0, "retention_s": 0}
    return [
        Step("POST", "/api/v1/keys", ("create_key",), key),
        Step("POST", "/api/v1/keys/{key}/rotation", ("rotate_key",), name="second"),
        Step("DELETE", "/api/v1/keys/{key}", ("revoke_key",), name="second"),
        Step("POST", "/api/v1/trust", ("trust",), {"name": "other", "key": public_key}),
        Step("DELETE", "/api/v1/trust/{name}", ("distrust",), name="other"),
        Step("POST", f"{MODEL}/imports", ("register",), order),
        Step("POST", f"{MODEL}/deployments", ("deploy", "set_default"), {"version": 1}),
        Step("PUT", f"{MODEL}/aliases/{{alias}}", ("set_alias",), {"version": 1}, "best"),
        Step("DELETE", f"{MODEL}/aliases/{{alias}}", ("remove_alias",), name="best"),
        Step("PUT", f"{MODEL}/traffic", ("set_traffic",), traffic),
        Step("POST", f"{MODEL}/traffic/revert", ("revert_traffic",), {"revision": 0}),
        Step("PUT", f"{MODEL}/traffic", ("set_traffic",), traffic),
        Step("DELETE", f"{MODEL}/traffic", ("clear_traffic",)),
        Step("DELETE", f"{MODEL}/default", ("clear_default",)),
        Step("DELETE", f"{MODEL}/deployments/{{version}}", ("undeploy",)),
        Step("PATCH", MODEL, ("edit",), {"description": "cards", "tags": {"team": "risk"}}),
        Step("PATCH", VERSION, ("edit",), {"tags": {"stage": "first"}}),
        Step("PUT", f"{MODEL}/card", ("set_card",), {"card": "# Fraud"}),
        Step("PUT", f"{VERSION}/card", ("set_card",), {"card": "# First"}),
        Step("POST", f"{approval}-request", ("request_approval",), {"reason": "better"}),
        Step("PUT", approval, ("approve",), {"approval": "approved", "reason": "seen"}),
        Step("PUT", f"{MODEL}/approval-rule", ("edit",), {"required": True}),
        Step("PUT", f"{MODEL}/serving", ("edit",), {"cache": {"ttl_s": 60}}),
        Step("GET", f"{VERSION}/archive", ("export",)),
        Step("POST", f"{MODEL}/archives", ("register",), b"ARCHIVE"),
        *rollouts(),
        *schedules(),
        *jobs(folder),
        Step("DELETE", VERSION, ("delete",), version=2),
        Step("POST", f"{VERSION}/restoration", ("restore",), version=2),
        Step("DELETE", MODEL, ("delete",)),
        Step("POST", f"{MODEL}/restoration", ("restore",)),
        Step("DELETE", VERSION, ("delete",), version=2),
        Step("POST", "/api/v1/gc", ("purge",), gone),
    ]


def rollouts() -> list[Step]:
    """Two canaries, one promoted and one aborted; nothing is left deployed."""
    # nobody asks, and the loop, which decides in its own name, has nothing to decide yet
    slow = {"tick_s": 300}
    start = {"model": "fraud", "kind": "canary"}
    begun = ("start_rollout", "set_traffic")
    why = {"reason": "because"}
    return [
        Step("PUT", f"{MODEL}/approval-rule", ("edit",), {"required": False}),
        Step("POST", f"{MODEL}/deployments", ("deploy", "set_default"), {"version": 1}),
        Step("POST", f"{MODEL}/deployments", ("deploy",), {"version": 2, "default": False}),
        Step("POST", ROLLOUTS, begun, start | {"plan": {"version": 2} | slow}),
        Step("POST", f"{ROLLOUT}/pause", ("pause_rollout",), why),
        Step("POST", f"{ROLLOUT}/resume", ("resume_rollout",), why),
        Step("POST", f"{ROLLOUT}/promote", ("promote_rollout", "set_default", "end_rollout"), why),
        Step("POST", ROLLOUTS, begun, start | {"plan": {"version": 1} | slow}),
        Step("POST", f"{ROLLOUT}/abort", ("abort_rollout", "clear_traffic", "end_rollout"), why),
        Step("DELETE", f"{MODEL}/default", ("clear_default",)),
        Step("DELETE", f"{MODEL}/deployments/{{version}}", ("undeploy",)),
        Step("DELETE", f"{MODEL}/deployments/{{version}}", ("undeploy",), version=2),
    ]


def schedules() -> list[Step]:
    """A schedule that rests where it would run, so that its loop changes nothing meanwhile."""
    job = {"model": "fraud", "input": {"paths": ["/in"]}, "output": {"path": "/out/{run}"}}
    yearly = {"name": "yearly", "spec": {"job": job, "cron": "0 0 1 1 *"}}
    create = Step("POST", SCHEDULES, ("create_batch_schedule",), yearly)
    change = {"replace": True}
    pause = Step("POST", f"{SCHEDULE}/pause", ("pause_batch_schedule",), name="yearly")
    return [
        create,
        Step("POST", SCHEDULES, ("change_batch_schedule",), yearly | change),
        pause,
        Step("POST", f"{SCHEDULE}/resume", ("resume_batch_schedule",), name="yearly"),
        pause,
        Step("POST", f"{SCHEDULE}/runs", ("run_batch_schedule",), {}, "yearly"),
        Step("DELETE", SCHEDULE, ("delete_batch_schedule",), name="yearly"),
    ]


def jobs(folder: Path) -> list[Step]:
    """A job that is ordered about; the node runs none."""
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps({f"INPUT{number}": [1] * 16 for number in range(2)}))
    spec = {"model": "fraud", "version": 1, "input": {"paths": [str(rows)]}}
    return [
        Step("POST", JOBS, ("submit_batch_job",), spec | {"output": {"path": f"{folder}/out"}}),
        Step("POST", f"{JOB}/pause", ("pause_batch_job",)),
        Step("POST", f"{JOB}/resume", ("resume_batch_job",)),
        Step("POST", f"{JOB}/cancel", ("cancel_batch_job",)),
        Step("POST", f"{JOB}/retry", ("retry_batch_job",)),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where batch jobs may read and write."""
    found = tmp_path / "data"
    found.mkdir()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path, folder: Path) -> NodeConfig:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    settings = Settings(
        node=NodeSettings(home=str(tmp_path / "home"), drain_delay_s=0),
        storage=StorageSettings(database_url=url),
        access=AccessSettings(required=True),
        batch=BatchSettings(enabled=False, roots=(str(folder),)),
    )
    return NodeConfig(settings, ("engine-0",))


@pytest.fixture
async def services(node: NodeConfig) -> AsyncIterator[Services]:
    async with assembled(node) as services:
        yield services


@pytest.fixture
async def api(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    issued = await services.access.create(KeyDraft(name=ACTOR, scopes=(Scope.ADMIN,)), LOCAL)
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {issued.key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080", headers=headers, timeout=60
    ) as client:
        yield client


class Database:
    """The registry's database as its administrator sees it."""

    def __init__(self, node: NodeConfig) -> None:
        url = node.settings.storage.database_url
        self._engine: Engine = create_engine(
            driver_url(make_url(url)) if url else sqlite_url(node.home.database)
        )
        self._metadata = MetaData()
        self._metadata.reflect(self._engine)

    def run(self, *statements: str) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    @contextmanager
    def refusing_entries(self) -> Iterator[None]:
        backend = self._engine.dialect.name
        self.run(*REFUSE_ENTRIES[backend])
        try:
            yield
        finally:
            self.run(TAKE_ENTRIES[backend])

    def content(self) -> dict[str, list[str]]:
        """All rows of all tables, but for when a key was last used: that is no change."""
        with self._engine.connect() as connection:
            return {
                table.name: sorted(map(str, connection.execute(select(*_changing(table)))))
                for table in self._metadata.sorted_tables
            }

    def close(self) -> None:
        self._engine.dispose()


def _changing(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.name != "last_used_at"]


@pytest.fixture
def database(node: NodeConfig, services: Services) -> Iterator[Database]:
    database = Database(node)
    yield database
    database.close()


@pytest.fixture
def public_key(tmp_path: Path) -> str:
    return SigningKeys(tmp_path / "other").own().key


class Walk:
    """Takes the steps and keeps the archive that one of them yields."""

    def __init__(self, api: httpx.AsyncClient, services: Services) -> None:
        self._api = api
        self._services = services
        self._archive = b""
        self._rollout = self._job = ""

    async def take(self, step: Step) -> httpx.Response:
        """The answer; that of an import when it has ended."""
        if step.body == b"ARCHIVE":
            answer = await self._api.request(step.method, step.path, content=self._archive)
        else:
            path = step.path.replace("{rollout}", self._rollout).replace("{job}", self._job)
            answer = await self._api.request(step.method, path, json=step.body)
        if step.route == ROLLOUTS and answer.is_success:
            self._rollout = answer.json()["id"]
        if step.route == JOBS and answer.is_success:
            self._job = answer.json()["id"]
        if step.route.endswith("/imports") and answer.is_success:
            return await self._ended(answer.json()["id"])
        if step.route.endswith("/archive") and answer.is_success:
            self._archive = answer.content
        return answer

    async def _ended(self, import_id: str) -> httpx.Response:
        async with asyncio.timeout(150):
            while True:
                answer = await self._api.get(f"/api/v1/imports/{import_id}")
                state = answer.json()["state"]
                if state != "running":
                    return httpx.Response(200 if state == "succeeded" else 500, text=answer.text)
                await asyncio.sleep(0.02)


async def test_no_change_without_its_entry_and_no_entry_without_its_change(
    api: httpx.AsyncClient,
    services: Services,
    database: Database,
    connect_engine: Connect,
    public_key: str,
    folder: Path,
) -> None:
    await connect_engine("engine-0")
    model = io.BytesIO()
    onnx.save(simple_model(), model)
    uploaded = await api.post("/api/v1/artifacts", content=model.getvalue())
    steps = story(public_key, uploaded.json()["digest"], folder)
    walk = Walk(api, services)
    for step in steps:
        before = database.content()
        trusted = services.transfers.trusted()
        # the log of what failed is long, and rendering it takes seconds
        with database.refusing_entries(), capture_logs():
            refused = await walk.take(step)
        assert refused.status_code >= 500, (step, refused.text)
        assert database.content() == before, step
        assert services.transfers.trusted() == trusted, step

        revision = services.registry.revision()
        done = await walk.take(step)
        assert done.is_success, (step, done.text)
        entries = services.registry.audit(limit=services.registry.revision() - revision)
        assert {entry.actor for entry in entries} == {ACTOR}, step
        assert set(step.actions) <= {entry.action for entry in entries}, step
    assert services.registry.verify_audit().intact

    walked = {(step.method, step.route) for step in steps}
    changing = {route for route in MANAGEMENT if route[0] != "GET"}
    assert walked == (changing - NO_CHANGE) | ON_RECORD


@pytest.mark.parametrize(
    ("tampering", "fault"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE revision = 2", "entry 2"),
        ("DELETE FROM audit WHERE revision = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE revision = 3", "entry 3 is missing"),
    ],
)
async def test_an_entry_that_was_altered_or_removed_is_found_out(
    api: httpx.AsyncClient, database: Database, tampering: str, fault: str
) -> None:
    for name in ("one", "two"):
        draft = {"name": name, "scopes": ["read"]}
        assert (await api.post("/api/v1/keys", json=draft)).status_code == 201
    intact = (await api.get("/api/v1/audit/verification")).json()
    database.run(tampering)
    found = (await api.get("/api/v1/audit/verification")).json()

    assert intact["faults"] == []
    assert found["faults"][0].startswith(fault)
