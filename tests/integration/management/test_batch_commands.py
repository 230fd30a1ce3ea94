"""Batch jobs on the command line and with the clients, against a real management API whose jobs are
run by another node: this test.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from augurium.client import AsyncClient, Client
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.batch_settings import BatchSettings
from augurium.core.clock import SystemClock
from augurium.core.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    NotFound,
    Unprocessable,
)
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings
from augurium.registry.batch_records import BatchDraft, BatchJob, BatchProgress, JobPlan
from augurium.registry.batch_store import BatchStore
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.records import Version
from tests.integration.management.conftest import ManagementApi

Augurium = Callable[..., Result]
Register = Callable[..., Version]
PARTITIONS, ROWS = 2, 200


@pytest.fixture
def management(tmp_path: Path) -> Iterator[ManagementApi]:
    settings = Settings(
        node=NodeSettings(home=str(tmp_path / "home")), batch=BatchSettings(enabled=False)
    )
    api = ManagementApi(NodeConfig(settings, ()))
    api.start()
    yield api
    api.stop()


class OtherNode:
    """Takes jobs, and runs them as far as it is told."""

    def __init__(self, store: BatchStore) -> None:
        self.store = store

    def submit(self, **labels: str) -> str:
        spec = BatchSpec(
            model="churn",
            input=InputSpec(paths=("/data/a", "/data/b")),
            output=OutputSpec(path="/data/out"),
            labels=labels,
        )
        return self.store.submit(BatchDraft(spec=spec, version=1), "ann").id

    def begin(self) -> BatchJob:
        job = self.store.claim("elsewhere", LeaseWatch(SystemClock()), 9, 15.0)
        assert job is not None
        self.store.plan(job.id, job.token, JobPlan(content=b"", partitions=PARTITIONS, rows=ROWS))
        progress = BatchProgress(
            read_rows=100,
            written_rows=95,
            rejected={"malformed": 5},
            rows_per_s=2500.0,
            eta_s=90.0,
            workers=2,
        )
        return self.store.renew(job.id, job.token, progress)

    def finish(self, job: BatchJob) -> None:
        for number in range(PARTITIONS):
            self.store.commit(job.id, job.token, number, b"")
        done = BatchProgress(read_rows=ROWS, written_rows=195, rejected={"malformed": 5})
        self.store.renew(job.id, job.token, done)
        self.store.move(job.id, job.token, "publishing")
        self.store.log(job.id, "info", "all partitions are published")
        self.store.move(job.id, job.token, "succeeded", report=b'{"rows":{"written":195}}')

    def fail(self, job: BatchJob) -> None:
        self.store.move(job.id, job.token, "failed", "no column 'amount' in /data/a")


@pytest.fixture
def other(management: ManagementApi, register: Register) -> OtherNode:
    register("churn")
    return OtherNode(management.services.batch.store)


def test_jobs_are_listed_and_told(augurium: Augurium, other: OtherNode) -> None:
    first, second = other.submit(), other.submit(team="risk")
    other.begin()
    listed = augurium("batch", "list")
    active = json.loads(augurium("batch", "list", "--state", "running", "--json").stdout)
    told = augurium("batch", "status", first).stdout
    newest = json.loads(augurium("batch", "status", "churn", "--json").stdout)

    assert [word for word in listed.stdout.split() if word in (first, second)] == [second, first]
    assert [job["id"] for job in active] == [first]
    for said in ("churn@1", "running", "/data/a and 1 more", "95 of 200 rows, 5 rejected"):
        assert said in told
    assert "elsewhere, 2 workers" in told
    assert (newest["id"], newest["labels"]) == (second, {"team": "risk"})
    assert newest["spec"]["output"] == {"path": "/data/out"}


def test_a_job_is_ordered_about(augurium: Augurium, other: OtherNode) -> None:
    job = other.submit()

    assert "paused" in augurium("batch", "pause", job).stderr
    assert "queued" in augurium("batch", "resume", "churn").stderr
    cancelled = json.loads(augurium("batch", "cancel", job, "--json").stdout)
    assert cancelled["state"] == "cancelled"
    late = augurium("batch", "pause", job)
    assert late.exit_code == 1
    assert "cancelled" in late.stderr
    assert "queued" in augurium("batch", "retry", job).stderr
    assert augurium("batch", "cancel", "0" * 32).exit_code == 1


def test_a_running_job_that_is_to_be_cancelled_says_so(
    augurium: Augurium, other: OtherNode
) -> None:
    job = other.submit()
    other.begin()

    assert "running, cancelling" in augurium("batch", "cancel", job).stderr


@contextlib.contextmanager
def watching(management: ManagementApi, job: str) -> Iterator[subprocess.Popen[str]]:
    """`augurium batch watch` in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "augurium.cli", "batch", "watch", job],
        env=os.environ | {"AUGURIUM_URL": management.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def test_a_job_is_watched_until_it_has_succeeded(
    management: ManagementApi, other: OtherNode
) -> None:
    other.submit()
    job = other.begin()
    with watching(management, job.id) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        other.finish(job)
        told, remarks = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "running, 50%, 95 of 200 rows, 5 rejected" in first
    assert "2,500 rows/s, 1 min 30 s left" in first
    assert "succeeded, 100%, 195 rows, 5 rejected" in remarks
    assert f"augurium batch report {job.id} --html FILE" in remarks
    assert "2 of 2" in told


def test_ctrl_c_ends_the_watching_and_not_the_job(
    management: ManagementApi, other: OtherNode
) -> None:
    other.submit()
    job = other.begin()
    with watching(management, job.id) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, remarks = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"Job {job.id} goes on" in remarks
    assert f"augurium batch cancel {job.id}" in remarks
    assert other.store.get(job.id).wanted == "run"


def test_a_job_that_fails_ends_the_watch_with_1_and_the_reason(
    augurium: Augurium, other: OtherNode
) -> None:
    other.submit()
    job = other.begin()
    other.fail(job)
    watched = augurium("batch", "watch", "churn")
    as_json = augurium("batch", "watch", "churn", "--json")

    assert (watched.exit_code, as_json.exit_code) == (1, 1)
    assert "no column 'amount' in /data/a" in watched.stdout
    assert f"augurium batch retry {job.id}" in watched.stderr
    assert json.loads(as_json.stdout)["state"] == "failed"


def test_logs_are_followed_to_the_end_of_the_job(augurium: Augurium, other: OtherNode) -> None:
    other.submit()
    job = other.begin()
    other.store.log(job.id, "warning", "a worker died", {"partition": 1})
    ending = threading.Timer(0.5, other.finish, (job,))
    ending.start()
    followed = augurium("batch", "logs", "churn", "--follow").stdout.splitlines()
    ending.join()
    read = [
        json.loads(line)
        for line in augurium("batch", "logs", "churn", "--json").stdout.split("\n")
        if line
    ]

    texts = [line.split(" ", 2)[2] for line in followed]
    assert "warning: a worker died partition=1" in texts
    assert texts[-1] == "all partitions are published"
    assert [line["text"] for line in read][-2:] == ["a worker died", "all partitions are published"]
    assert len(followed) == len(read)


def test_the_report_is_printed_when_there_is_one(augurium: Augurium, other: OtherNode) -> None:
    other.submit()
    job = other.begin()
    early = augurium("batch", "report", "churn")
    other.finish(job)
    late = augurium("batch", "report", "churn", "--json")

    assert early.exit_code == 1
    assert "no report" in early.stderr
    assert json.loads(late.stdout) == {"rows": {"written": 195}}


def test_a_model_without_jobs_is_told_how_to_start_one(augurium: Augurium) -> None:
    told = augurium("batch", "status", "churn")

    assert told.exit_code == 1
    assert "augurium batch run churn INPUT OUTPUT" in told.stderr


def test_a_job_is_waited_for_in_python(client: Client, other: OtherNode) -> None:
    other.submit()
    job = other.begin()
    run, seen = client.batch_run("churn"), []
    with pytest.raises(DeadlineExceeded, match="goes on without you"):
        run.wait(timeout_s=0.0)
    ending = threading.Timer(0.3, other.finish, (job,))
    ending.start()
    done = run.wait(timeout_s=30, progress=lambda job: seen.append(job.done))
    ending.join()

    assert (done.id, done.state, done.committed) == (job.id, "succeeded", PARTITIONS)
    assert (seen[0], seen[-1]) == (0.5, 1.0)
    assert run.report() == {"rows": {"written": 195}}
    assert [line.text for line in run.log()][-1] == "all partitions are published"


def test_what_did_not_succeed_is_raised_to_who_waits(client: Client, other: OtherNode) -> None:
    other.submit()
    failed = client.batch_run("churn")
    other.fail(other.begin())
    with pytest.raises(Unprocessable, match="no column 'amount'"):
        failed.wait(timeout_s=30)
    assert failed.retry().state == "queued"
    assert failed.pause().state == "paused"
    assert failed.resume().state == "queued"
    # what it left behind is removed by the next who takes it
    assert failed.cancel().wanted == "cancel"
    cancelled = client.batch_run(other.submit())
    assert cancelled.cancel().state == "cancelled"
    with pytest.raises(Cancelled):
        cancelled.wait(timeout_s=30)
    with pytest.raises(Conflict):
        cancelled.pause()
    with pytest.raises(NotFound):
        client.batch_run("0" * 32)


@pytest.fixture
async def tasks(management: ManagementApi) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(management.url) as client:
        yield client


async def test_a_job_is_waited_for_by_tasks(tasks: AsyncClient, other: OtherNode) -> None:
    other.submit()
    job = other.begin()
    run = await tasks.batch_run("churn")
    seen: list[Any] = []
    waiting = asyncio.create_task(run.wait(30, lambda job: seen.append(job.state)))
    await asyncio.to_thread(other.finish, job)
    done = await waiting

    assert (done.state, seen[0], seen[-1]) == ("succeeded", "running", "succeeded")
    assert await run.report() == {"rows": {"written": 195}}
    assert [line.text for line in await run.log()][-1] == "all partitions are published"
    assert [found.id for found in await tasks.batch_jobs("churn", ("succeeded",))] == [job.id]


async def test_a_job_is_ordered_about_by_tasks(tasks: AsyncClient, other: OtherNode) -> None:
    other.submit()
    run = await tasks.batch_run("churn")

    assert (await run.pause()).state == "paused"
    assert (await run.resume()).state == "queued"
    assert (await run.cancel()).state == "cancelled"
    assert (await run.retry()).state == "queued"
    with pytest.raises(NotFound):
        await tasks.batch_report("churn")
