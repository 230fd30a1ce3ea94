"""Batch jobs over the management API: submitted, listed, told, ordered about, followed."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from augurium.batch.submission import Refusal, SubmissionOrder, SubmissionVerdict
from augurium.control.batch_assembly import batch_jobs
from augurium.control.services import Services
from augurium.core.batch_job import BatchSpec
from augurium.core.batch_settings import BatchSettings
from augurium.core.clock import ManualClock
from augurium.core.errors import CLASS_BY_KIND, DeadlineExceeded, ErrorKind, PermissionDenied
from augurium.core.settings import AccessSettings
from augurium.registry.batch_records import BatchJob, BatchProgress, JobPlan
from augurium.registry.batch_store import BatchStore
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft

JOBS = "/api/v1/batch-jobs"


class MemoryCheck:
    """Takes every job but those that read from `/missing`, and has no time for those of `/slow`;
    `orders` are what it was asked.
    """

    def __init__(self) -> None:
        self.orders: list[SubmissionOrder] = []

    async def __call__(self, order: SubmissionOrder) -> SubmissionVerdict:
        self.orders.append(order)
        if order.spec.input.paths[0].startswith("/slow"):
            raise DeadlineExceeded("the input could not be looked at")
        if order.spec.input.paths[0].startswith("/missing"):
            refusal = Refusal(ErrorKind.NOT_FOUND, "there is no file at /missing")
            raise CLASS_BY_KIND[refusal.kind](refusal.reason)
        return SubmissionVerdict(files=1)


@pytest.fixture
def check() -> MemoryCheck:
    return MemoryCheck()


@pytest.fixture
def services(
    services: Services, registry: MemoryRegistry, clock: ManualClock, check: MemoryCheck
) -> Services:
    store = MemoryBatchJobs(registry, clock)
    batch = batch_jobs(services.node, registry, store, clock, check=check)
    return dataclasses.replace(services, batch=batch)


@pytest.fixture
def store(services: Services) -> BatchStore:
    return services.batch.store


@pytest.fixture(autouse=True)
def fraud(registry: MemoryRegistry, draft: VersionDraft) -> None:
    """A model with two versions, the first of them the default and the second `next`."""
    for _ in range(2):
        registry.register("fraud", draft, "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")
    registry.set_alias("fraud", "next", 2, "ann")


def asked(**said: Any) -> dict[str, Any]:
    body = {"model": "fraud", "input": {"paths": ["/data/in"]}, "output": {"path": "/data/out"}}
    return body | said


async def submitted(api: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    answer = await api.post(JOBS, json=asked(**said))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def begun(store: BatchStore, clock: ManualClock, partitions: int = 2) -> BatchJob:
    """The next job as a process of another node begins it."""
    job = store.claim("elsewhere", LeaseWatch(clock), 9, 15.0)
    assert job is not None
    store.plan(job.id, job.token, JobPlan(content=b"", partitions=partitions, rows=200))
    return job


async def test_a_job_is_queued_for_the_version_that_was_meant(
    api: httpx.AsyncClient, check: MemoryCheck
) -> None:
    default = await submitted(api, labels={"team": "risk"})
    aliased = await submitted(api, alias="next", output={"path": "/data/other"})

    assert (default["model"], default["version"], aliased["version"]) == ("fraud", 1, 2)
    assert (default["state"], default["created_by"]) == ("queued", "local")
    assert default["labels"] == {"team": "risk"}
    assert (await api.get(f"{JOBS}/{default['id']}")).json() == default
    assert [order.version.version for order in check.orders] == [1, 2]


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        ({"model": "unknown"}, 404, "unknown"),
        ({"version": 9}, 404, "9"),
        ({"alias": "best"}, 404, "best"),
        ({"alias": "next", "version": 1}, 400, "one of them"),
        ({"input": {"paths": []}}, 400, "paths"),
        ({"input": {"paths": ["/missing/x"]}}, 404, "/missing"),
        ({"speed": 3}, 400, "speed"),
        ({"priority": 101}, 400, "priority"),
        ({"output": {"path": "/data/out", "mode": "maybe"}}, 400, "maybe"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_with_the_reason(
    api: httpx.AsyncClient, said: dict[str, Any], status: int, why: str
) -> None:
    answer = await api.post(JOBS, json=asked(**said))

    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert (await api.get(JOBS)).json() == {"jobs": []}


async def test_a_model_without_a_default_asks_for_a_version(
    api: httpx.AsyncClient, registry: MemoryRegistry, draft: VersionDraft
) -> None:
    registry.register("churn", draft, "ann")
    answer = await api.post(JOBS, json=asked(model="churn"))

    assert answer.status_code == 409
    assert "name one, such as churn@1" in answer.json()["error"]


async def test_sent_again_with_its_key_it_is_the_same_job_without_another_look(
    api: httpx.AsyncClient, check: MemoryCheck
) -> None:
    key = {"idempotency-key": "nightly-7"}
    first = await api.post(JOBS, json=asked(), headers=key)
    again = await api.post(JOBS, json=asked(), headers=key)
    other = await api.post(JOBS, json=asked(seed=1), headers=key)

    assert first.json()["id"] == again.json()["id"]
    assert len(check.orders) == 1
    assert other.status_code == 409


async def test_input_that_takes_long_to_look_at_is_left_to_the_job(
    api: httpx.AsyncClient, store: BatchStore
) -> None:
    job = await submitted(api, input={"paths": ["/slow"]})

    assert job["state"] == "queued"
    assert "could not be looked at" in [line.text for line in store.log_lines(job["id"])][-1]


@pytest.mark.parametrize("place", ["{home}", "{home}/state/x", "{home}/..", "file://{home}", "/"])
async def test_no_job_writes_into_the_folder_of_the_node(
    api: httpx.AsyncClient, tmp_path: Path, place: str
) -> None:
    found = place.replace("{home}", str(tmp_path))
    answer = await api.post(JOBS, json=asked(output={"path": found}))

    assert answer.status_code == 403
    assert "the folder of the node itself" in answer.json()["error"]


async def test_a_node_that_asks_for_keys_opens_no_folder_by_itself(
    services: Services, registry: MemoryRegistry, clock: ManualClock, check: MemoryCheck
) -> None:
    settings = msgspec.structs.replace(services.node.settings, access=AccessSettings(required=True))
    closed = msgspec.structs.replace(services.node, settings=settings)
    opened = msgspec.structs.replace(
        closed,
        settings=msgspec.structs.replace(settings, batch=BatchSettings(roots=("/data",))),
    )
    spec = msgspec.convert(asked(), BatchSpec)
    store = services.batch.store

    with pytest.raises(PermissionDenied, match=r"batch\.roots"):
        await batch_jobs(closed, registry, store, clock, check=check).submit(spec, "ann")
    assert check.orders == []
    await batch_jobs(opened, registry, store, clock, check=check).submit(spec, "ann")
    assert check.orders[0].roots == ("/data",)


async def test_jobs_are_listed_by_model_and_state_the_newest_first(
    api: httpx.AsyncClient, store: BatchStore, clock: ManualClock
) -> None:
    first, second = [(await submitted(api))["id"] for _ in range(2)]
    begun(store, clock)

    async def listed(query: str) -> list[str]:
        return [job["id"] for job in (await api.get(f"{JOBS}?{query}")).json()["jobs"]]

    assert await listed("model=fraud") == [second, first]
    assert await listed("state=running") == [first]
    assert await listed("state=running&state=queued&limit=1") == [second]
    assert await listed("before=2") == [first]
    assert await listed("model=churn") == []


async def test_orders_are_passed_on_and_those_that_come_too_late_are_refused(
    api: httpx.AsyncClient,
) -> None:
    job = f"{JOBS}/{(await submitted(api))['id']}"

    assert (await api.post(f"{job}/pause")).json()["state"] == "paused"
    assert (await api.post(f"{job}/resume")).json()["state"] == "queued"
    assert (await api.post(f"{job}/retry")).status_code == 409
    assert (await api.post(f"{job}/cancel")).json()["state"] == "cancelled"
    assert (await api.post(f"{job}/resume")).status_code == 409
    assert (await api.post(f"{job}/retry")).json()["state"] == "queued"
    assert (await api.post(f"{JOBS}/{'0' * 32}/cancel")).status_code == 404


async def test_two_who_cancel_at_once_are_both_told_that_it_is(
    api: httpx.AsyncClient, store: BatchStore, clock: ManualClock
) -> None:
    job = f"{JOBS}/{(await submitted(api))['id']}"
    begun(store, clock)
    answers = await asyncio.gather(*(api.post(f"{job}/cancel") for _ in range(2)))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["wanted"] for answer in answers} == {"cancel"}


async def test_a_job_tells_how_far_it_is(
    api: httpx.AsyncClient, store: BatchStore, clock: ManualClock
) -> None:
    await submitted(api)
    job = begun(store, clock)
    store.renew(job.id, job.token, BatchProgress(read_rows=150, rejected={"malformed": 2}))
    store.commit(job.id, job.token, 0, b"")
    told = (await api.get(f"{JOBS}/{job.id}")).json()

    assert (told["state"], told["holder"], told["attempts"]) == ("running", "elsewhere", 0)
    assert (told["rows"], told["partitions"], told["committed"]) == (200, 2, 1)
    assert told["progress"] == {"read_rows": 150, "rejected": {"malformed": 2}}


async def test_the_report_is_there_when_the_job_has_ended(
    api: httpx.AsyncClient, store: BatchStore, clock: ManualClock
) -> None:
    await submitted(api)
    job = begun(store, clock, partitions=0)
    early = await api.get(f"{JOBS}/{job.id}/report")
    store.move(job.id, job.token, "publishing")
    store.move(job.id, job.token, "succeeded", report=b'{"rows":{"written":7}}')
    late = await api.get(f"{JOBS}/{job.id}/report")

    assert early.status_code == 404
    assert "running" in early.json()["error"]
    assert late.json() == {"rows": {"written": 7}}


async def test_a_log_is_read_on_from_where_it_was_left(
    api: httpx.AsyncClient, store: BatchStore
) -> None:
    job = (await submitted(api))["id"]
    store.log(job, "info", "first", {"rows": 3})
    newest = (await api.get(f"{JOBS}/{job}/logs")).json()["newest"]
    store.log(job, "error", "second")
    found = (await api.get(f"{JOBS}/{job}/logs?after={newest}")).json()

    assert [(line["level"], line["text"]) for line in found["lines"]] == [("error", "second")]


@contextlib.asynccontextmanager
async def events_of(services: Services, job: str) -> AsyncIterator[asyncio.Task[list[Any]]]:
    """What those who follow a job are told, until its end."""

    async def told() -> list[Any]:
        return [news async for news in services.batch.progress.follow(job) if news is not None]

    task = asyncio.create_task(told())
    yield task
    task.cancel()


async def test_who_follows_a_job_is_told_what_happens_until_its_end(
    api: httpx.AsyncClient, store: BatchStore, clock: ManualClock
) -> None:
    job = (await submitted(api))["id"]
    store.log(job, "info", "begins soon")
    await api.post(f"{JOBS}/{job}/cancel")
    answer = await api.get(f"{JOBS}/{job}/events")
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    events = [(dict(line.split(": ", 1) for line in block)) for block in blocks[1:]]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event["event"] for event in events][-1] == "job"
    assert msgspec.json.decode(events[-1]["data"])["state"] == "cancelled"
    lines = [msgspec.json.decode(event["data"]) for event in events if event["event"] == "log"]
    assert "begins soon" in [line["text"] for line in lines]
    assert [event["id"] for event in events if event["event"] == "log"] == [
        str(line["number"]) for line in lines
    ]


async def test_a_stopping_node_lets_go_of_those_who_follow(
    api: httpx.AsyncClient, services: Services
) -> None:
    job = (await submitted(api))["id"]
    async with events_of(services, job) as task:
        services.batch.progress.stop()
        told = await asyncio.wait_for(task, 10)

    assert [news.id for news in told if isinstance(news, BatchJob)] == [job]
