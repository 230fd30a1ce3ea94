"""Batch jobs while their database is stopped, frozen and killed, and their holders are."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.clock import SystemClock
from augurium.core.errors import NotReady
from augurium.registry.batch_records import BatchDraft, BatchJob, BatchProgress, JobPlan
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.records import VersionDraft
from augurium.registry.sql_batch_jobs import SqlBatchJobs
from augurium.registry.sql_registry import SqlRegistry
from tests.support.postgres_server import PostgresServer, postgres, postgres_server, postgres_url

__all__ = ["postgres", "postgres_url"]

WORKER = Path(__file__).parent / "programs" / "work_batch_job.py"
LEASE_S = 30.0
SPEC = BatchSpec(
    model="fraud", input=InputSpec(paths=("/data/in",)), output=OutputSpec(path="/data/out")
)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop and kill; what it acknowledged is on the disk."""
    with postgres_server(durable=True) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(sqlite_url(tmp_path / "registry.db"))
    url: str = request.getfixturevalue("postgres_url")
    return url


def submitted(engine: Engine, draft: VersionDraft) -> SqlBatchJobs:
    """A store in which one job waits."""
    SqlRegistry(engine, SystemClock()).register("fraud", draft, "ann")
    store = SqlBatchJobs(engine, SystemClock())
    store.submit(BatchDraft(spec=SPEC, version=1), "ann")
    return store


def begun(store: SqlBatchJobs, partitions: int) -> BatchJob:
    job = store.claim("node-1", LeaseWatch(SystemClock()), 9, LEASE_S)
    assert job is not None
    store.plan(job.id, job.token, JobPlan(content=b"plan", partitions=partitions))
    return job


def test_a_holder_goes_on_when_the_database_is_back(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    engine = open_database(own_server.url(), lock_timeout_s=1.0)
    store = submitted(engine, draft)
    job = begun(store, 3)
    assert store.commit(job.id, job.token, 0, b"before")
    own_server.stop()

    for used in (
        lambda: store.commit(job.id, job.token, 1, b"meanwhile"),
        lambda: store.renew(job.id, job.token, BatchProgress()),
        lambda: store.claim("node-2", LeaseWatch(SystemClock()), 9, LEASE_S),
        lambda: store.find(),
        lambda: store.log(job.id, "info", "meanwhile"),
    ):
        with pytest.raises(NotReady, match="does not answer"):
            used()

    own_server.start()
    assert store.renew(job.id, job.token, BatchProgress()).token == job.token
    assert store.commit(job.id, job.token, 1, b"after")
    assert [one.result for one in store.partitions(job.id)] == [b"before", b"after"]
    engine.dispose()


def test_a_holder_of_a_frozen_database_is_let_go_in_time(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    engine = open_database(own_server.url())
    store = submitted(engine, draft)
    job = begun(store, 3)
    hasty = open_database(own_server.url(), lock_timeout_s=0.3)

    with own_server.frozen(), pytest.raises(NotReady):
        SqlBatchJobs(hasty, SystemClock()).commit(job.id, job.token, 1, b"meanwhile")

    # whether it was committed nobody can say, so it is asked for again
    deadline = time.monotonic() + 20
    while store_is_locked(lambda: store.commit(job.id, job.token, 1, b"meanwhile")):
        assert time.monotonic() < deadline
    assert store.committed(job.id) == {1}
    assert store.get(job.id).committed == 1
    engine.dispose()
    hasty.dispose()


def test_every_commit_that_was_acknowledged_outlives_a_killed_database(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    engine = open_database(own_server.url(), lock_timeout_s=1.0)
    store = submitted(engine, draft)
    job = begun(store, 200)
    acknowledged = []

    for number in range(200):
        if number in (50, 120):
            own_server.kill()
            with pytest.raises(NotReady):
                store.commit(job.id, job.token, number, b"lost")
            own_server.start()
        if store.commit(job.id, job.token, number, str(number).encode()):
            acknowledged.append(number)

    assert acknowledged == [*range(200)]
    assert [int(one.result) for one in store.partitions(job.id)] == acknowledged
    engine.dispose()


def test_holders_that_are_killed_at_any_time_leave_every_partition_committed_once(
    database_url: str, draft: VersionDraft
) -> None:
    engine = open_database(database_url)
    store = submitted(engine, draft)
    (job,) = store.find()
    told: dict[int, int] = {}

    for kills in range(8):
        with worker(database_url, f"victim-{kills}") as victim:
            told |= heard(victim, 10)
            victim.kill()
            told |= heard(victim)
    # two that take the job from each other do the rest
    with worker(database_url, "rival-1") as one, worker(database_url, "rival-2") as other:
        told |= heard(one) | heard(other)
    assert one.returncode == other.returncode == 0

    kept = {one.number: one.result.decode() for one in store.partitions(job.id)}
    assert sorted(kept) == [*range(300)]
    assert all(kept[number] == f"{number} by {token}" for number, token in told.items())
    # a victim may have been killed between its commit and telling
    assert len(told) >= 300 - 8
    assert store.get(job.id).committed == 300
    engine.dispose()


def test_a_commit_reads_and_writes_as_little_for_the_last_partition_as_for_the_first(
    database_url: str, draft: VersionDraft
) -> None:
    engine = open_database(database_url)
    store = submitted(engine, draft)
    job = begun(store, 1000)
    statements: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )

    store.commit(job.id, job.token, 0, b"")
    first = len(statements)
    for number in range(1, 999):
        store.commit(job.id, job.token, number, b"")
    statements.clear()
    store.commit(job.id, job.token, 999, b"")

    assert len(statements) == first <= 5
    assert sum(text.startswith("INSERT") for text in statements) == 1
    engine.dispose()


def store_is_locked(use: Callable[[], object]) -> bool:
    """Whether what was under way when the server froze still is."""
    try:
        use()
    except NotReady:
        return True
    return False


def worker(url: str, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), url, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str], lines: int | None = None) -> dict[int, int]:
    """Partitions and tokens that a worker told: so many of them, or all until it ended."""
    assert process.stdout is not None
    told: dict[int, int] = {}
    for line in process.stdout:
        # the last one may have been cut off
        if line.endswith("\n"):
            number, token = map(int, line.split())
            told[number] = token
        if lines is not None and len(told) >= lines:
            break
    return told
