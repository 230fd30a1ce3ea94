"""Batch jobs get processes: real ones, which commit to a real database and may be killed."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from augurium.control.batch_dispatcher import BatchDispatcher
from augurium.control.batch_processes import JobProcesses
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.batch_settings import BatchSettings
from augurium.core.clock import SystemClock
from augurium.core.errors import NotReady
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.batch_records import BatchDraft, BatchJob
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_registry import SqlRegistry
from tests.support.frozen_process import freeze

PATIENCE_S = 120.0
SETTINGS = BatchSettings(lease_s=30, attempts=3, most_running=2)
SPEC = TensorSpec("x", "FP32", (-1, 1))
MODEL = Artifact("ab" * 32, 1)
DRAFT = VersionDraft(
    framework="onnx",
    framework_version="1",
    runtime="onnx",
    source=MODEL,
    source_name="model.onnx",
    servable=MODEL,
    signature=Signature((SPEC,), (SPEC,)),
)


class ShakyStore:
    """A store whose database can be `away`."""

    def __init__(self, store: SqlBatchJobs) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise NotReady("the database is away")
        return getattr(self._store, name)


class Desk:
    """One node's dispatcher, as often as it is started, over one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        database = open_database(sqlite_url(home / "registry.db"))
        SqlRegistry(database, SystemClock()).register("fraud", DRAFT, "ann")
        self.store = ShakyStore(SqlBatchJobs(database, SystemClock()))
        self.lifeline, self.hold = os.pipe()
        self.notes = home / "notes"
        self.former: list[JobProcesses] = []
        self.dispatcher = self.started_again()

    def started_again(self, **settings: Any) -> BatchDispatcher:
        """As after a restart of control: nothing is known but what the database says."""
        self.processes = JobProcesses(self._command, self.lifeline)
        self.former.append(self.processes)
        self.dispatcher = BatchDispatcher(
            self.store,
            self.processes,
            msgspec.structs.replace(SETTINGS, **settings),
            SystemClock(),
            "here:8080",
        )
        return self.dispatcher

    def submit(self, priority: int = 50, **labels: str) -> str:
        spec = BatchSpec(
            model="fraud",
            input=InputSpec(paths=("/in",)),
            output=OutputSpec(path="/out"),
            priority=priority,
            labels={"notes": str(self.notes), **labels},
        )
        job: BatchJob = self.store.submit(BatchDraft(spec=spec, version=1), "ann")
        return job.id

    def job(self, job: str) -> BatchJob:
        found: BatchJob = self.store.get(job)
        return found

    def noted(self, what: str) -> list[str]:
        """What processes wrote down of this kind, in the order in which they did."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line.removeprefix(f"{what} ") for line in lines if line.startswith(what)]

    async def until(self, reached: Callable[[], bool]) -> None:
        """Goes on with turns until this is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                with contextlib.suppress(NotReady):
                    await self.dispatcher.turn()
                await asyncio.sleep(0.02)

    async def until_state(self, job: str, state: str) -> BatchJob:
        await self.until(lambda: self.job(job).state == state)
        return self.job(job)

    def _command(self, job: BatchJob, lifeline: int) -> Sequence[str]:
        options = {"home": self.home, "job": job.id, "token": job.token, "lifeline": lifeline}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "tests.support.batch_child", *words]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    with contextlib.suppress(OSError):
        os.close(desk.hold)
    for processes in desk.former:
        await processes.stop(0.0)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


async def test_a_job_is_run_to_its_end_and_counted(desk: Desk) -> None:
    job = desk.submit(partitions="3")
    done = await desk.until_state(job, "succeeded")
    await desk.until(lambda: not desk.dispatcher.counts.followed)
    counts = desk.dispatcher.counts

    assert (done.committed, done.partitions, done.holder) == (3, 3, "")
    assert desk.noted("partition") == ["0", "1", "2"]
    assert len(desk.noted("life")) == 1
    assert counts.partitions == {"fraud": 3}
    assert counts.ended == {("fraud", "succeeded"): 1}
    assert counts.deaths == 0


async def test_a_job_whose_process_is_killed_goes_on_behind_what_is_committed(desk: Desk) -> None:
    job = desk.submit(partitions="5", dies_after="2")
    await desk.until_state(job, "succeeded")

    assert desk.noted("partition") == ["0", "1", "2", "3", "4"]
    assert len(desk.noted("life")) == 3
    assert desk.dispatcher.counts.deaths == 2
    warnings = [line.text for line in desk.store.log_lines(job) if line.level == "warning"]
    assert [text.startswith("its process ended (SIGKILL)") for text in warnings] == [True, True]


async def test_a_job_whose_process_dies_without_getting_anywhere_fails_with_the_reason(
    desk: Desk,
) -> None:
    job = desk.submit(partitions="2", dies_after="0")
    failed = await desk.until_state(job, "failed")

    assert len(desk.noted("life")) == SETTINGS.attempts
    assert "its process ended (SIGKILL), 3 times in succession" in failed.reason
    assert f"augurium batch retry {job}" in failed.reason


async def test_a_process_that_outlives_its_control_is_left_to_its_work(
    desk: Desk, tmp_path: Path
) -> None:
    gate, lease_s = tmp_path / "gate", 5
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    desk.started_again(lease_s=lease_s)
    beat = desk.job(job).beat
    # longer than a lease: whoever does not hear it would take it over
    enough = time.monotonic() + 1.5 * lease_s
    await desk.until(lambda: time.monotonic() > enough and desk.job(job).beat > beat)
    gate.touch()
    done = await desk.until_state(job, "succeeded")

    assert len(desk.noted("life")) == 1
    assert done.token == 1


async def test_a_process_that_dies_after_its_control_is_replaced_when_its_lease_is_over(
    desk: Desk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    desk.started_again(lease_s=3)
    kill(int(desk.noted("life")[0]))
    gate.touch()
    done = await desk.until_state(job, "succeeded")

    assert len(desk.noted("life")) == 2
    assert desk.noted("partition") == ["0", "1", "2"]
    assert done.token == 2


async def test_a_process_that_stands_still_is_ended_when_its_lease_is_over(
    desk: Desk, tmp_path: Path
) -> None:
    desk.started_again(lease_s=3)
    gate = tmp_path / "gate"
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    first = int(desk.noted("life")[0])
    freeze(first, desk.home / "registry.db")
    await desk.until(lambda: len(desk.noted("life")) == 2)
    gate.touch()
    await desk.until_state(job, "succeeded")

    assert not psutil.pid_exists(first)
    assert desk.noted("partition") == ["0", "1", "2"]


async def test_a_node_that_stops_gives_its_jobs_back_unharmed(desk: Desk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    os.close(desk.hold)
    await desk.until_state(job, "queued")
    # what is given back is not claimed again by who goes
    await desk.dispatcher.turn()
    await desk.dispatcher.stop(PATIENCE_S)

    assert (desk.job(job).state, desk.job(job).attempts) == ("queued", 0)
    assert not psutil.pid_exists(int(desk.noted("life")[0]))
    assert desk.processes.jobs == frozenset()


async def test_control_that_stops_alone_leaves_jobs_to_their_processes(
    desk: Desk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(partitions="2", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    await desk.dispatcher.stop(PATIENCE_S)
    assert psutil.pid_exists(int(desk.noted("life")[0]))
    desk.started_again()
    gate.touch()
    await desk.until_state(job, "succeeded")

    assert len(desk.noted("life")) == 1


async def test_a_death_while_the_database_is_away_is_dealt_with_when_it_is_back(
    desk: Desk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    desk.store.away = True
    kill(int(desk.noted("life")[0]))
    await desk.until(lambda: not desk.processes.jobs)
    desk.store.away = False
    gate.touch()
    await desk.until_state(job, "succeeded")

    assert desk.dispatcher.counts.deaths == 1
    assert desk.noted("partition") == ["0", "1", "2"]


async def test_a_job_is_paused_and_goes_on(desk: Desk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(partitions="3", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    desk.store.want(job, "pause", "ann")
    await desk.until_state(job, "paused")
    await desk.until(lambda: not desk.processes.jobs)
    gate.touch()
    assert len(desk.noted("life")) == 1
    desk.store.want(job, "run", "ann")
    await desk.until_state(job, "succeeded")

    assert len(desk.noted("life")) == 2
    assert desk.noted("partition") == ["0", "1", "2"]
    assert desk.dispatcher.counts.deaths == 0


async def test_a_job_is_cancelled_while_it_runs(desk: Desk, tmp_path: Path) -> None:
    job = desk.submit(partitions="3", waits_for=str(tmp_path / "never"))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    for somebody in ("ann", "ben"):
        desk.store.want(job, "cancel", somebody)
    await desk.until_state(job, "cancelled")

    assert desk.noted("partition") == ["0"]


async def test_jobs_begin_in_the_order_of_their_priority_and_no_more_than_may(
    desk: Desk, tmp_path: Path
) -> None:
    desk.started_again(most_running=1)
    gate = tmp_path / "gate"
    first = desk.submit(partitions="2", waits_for=str(gate))
    await desk.until(lambda: desk.noted("partition") == ["0"])
    later = [desk.submit(priority=priority) for priority in (10, 90)]
    await desk.dispatcher.turn()
    assert len(desk.noted("life")) == 1
    gate.touch()
    await desk.until(lambda: all(desk.job(job).ended for job in (first, *later)))

    begun = sorted((first, *later), key=lambda job: str(desk.job(job).started_at))
    assert begun == [first, later[1], later[0]]


async def test_a_node_that_runs_no_jobs_leaves_them_to_others(desk: Desk) -> None:
    desk.started_again(enabled=False)
    job = desk.submit()
    await desk.dispatcher.turn()

    assert desk.job(job).state == "queued"
    assert desk.processes.jobs == frozenset()
