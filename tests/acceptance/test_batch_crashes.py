"""Batch jobs on PostgreSQL and S3 whose processes, node, database and store are killed while they
run: what they leave is, byte by byte, what an undisturbed job leaves, and nothing else.
"""

import io
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augurium.client import Client
from augurium.client.batch_results import BatchJob
from augurium.core.errors import AuguriumError
from tests.support.batch_processes import digests, ended_job, job_process, workers_of
from tests.support.models import FEATURES, Tabular
from tests.support.node import Node, control_of
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.s3_server import BUCKET, S3Server, s3_server

__all__ = ["s3_server"]

FILES, FILE_ROWS = 6, 10_000
PARTITION_ROWS = 2_000
KILLS = 50
PATIENCE_S = 240.0


class Outgrown(NamedTuple):
    """A node beyond one machine, the input of its jobs, and what a job in peace leaves."""

    node: Node
    database: PostgresServer
    store: S3Server
    expected: dict[str, str]

    def client(self) -> Client:
        return self.node.client()


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with postgres_server(durable=True) as server:
        yield server


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: S3Server,
    database: PostgresServer,
    tabular: Tabular,
) -> Iterator[Outgrown]:
    folder = tmp_path_factory.mktemp("batch")
    config = folder / "augurium.toml"
    config.write_text(
        f'[storage]\ndatabase_url = "{database.url()}"\n'
        f'artifacts_url = "{s3_server.url("batch/artifacts")}"\n'
        f's3_endpoint = "{s3_server.endpoint}"\n'
        "[batch]\nlease_s = 3\nattempts = 60\n"
    )
    _write_input(s3_server.folder / BUCKET / "batch/in")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        node = Node(folder / "home", "--engines", "1", "--config", str(config))
    try:
        with node.client() as client:
            client.register(tabular.model, name="tabular")
            job = _submitted(client, s3_server, "peace")
            ended = ended_job(client, job.id, PATIENCE_S)
        assert ended.state == "succeeded", ended.reason
        yield Outgrown(node, database, s3_server, digests(s3_server.files("batch/peace")))
    finally:
        node.stop()


def _write_input(folder: Path) -> None:
    """Rows of Parquet in groups as large as a partition."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(7)
    for number in range(FILES):
        rows = chance.normal(size=(FILE_ROWS, FEATURES)).astype(np.float32)
        columns: dict[str, pa.Array] = {
            f"f{place}": pa.array(rows[:, place]) for place in range(FEATURES)
        }
        columns["id"] = pa.array(np.arange(FILE_ROWS) + number * FILE_ROWS)
        pq.write_table(
            pa.table(columns), folder / f"{number}.parquet", row_group_size=PARTITION_ROWS
        )


def _submitted(client: Client, store: S3Server, name: str) -> BatchJob:
    run = client.batch(
        "tabular@1",
        store.url("batch/in/"),
        store.url(f"batch/{name}/"),
        keep=["id"],
        partition_rows=PARTITION_ROWS,
        workers=2,
    )
    return run.job


def _check(place: Outgrown, name: str) -> None:
    """Nothing is lost, doubled or half there, and nothing is left over."""
    files = place.store.files(f"batch/{name}")
    assert digests(files) == place.expected
    answers = [file for file in files if file.name.startswith("part-")]
    ids = pa.concat_tables([pq.read_table(io.BytesIO(file.read_bytes())) for file in answers])
    assert sorted(ids["id"].to_pylist()) == list(range(FILES * FILE_ROWS))
    others = {file for file in files if file not in answers}
    assert {file.suffix for file in others} == {".json"}, others


def test_the_undisturbed_job_scores_every_row_once(place: Outgrown) -> None:
    _check(place, "peace")


def test_another_job_of_the_same_input_leaves_the_same_bytes(place: Outgrown) -> None:
    with place.client() as client:
        job = _submitted(client, place.store, "again")
        assert ended_job(client, job.id, PATIENCE_S).state == "succeeded"

    _check(place, "again")


def test_workers_that_are_killed_fifty_times_change_nothing(place: Outgrown) -> None:
    """At random moments, two for every partition: a job that cannot begin gets nowhere."""
    chance, kills, turn = random.Random(3), 0, 0
    while kills < KILLS:
        turn += 1
        with place.client() as client:
            job = _submitted(client, place.store, f"workers-{turn}").id
            seen = client.batch_job(job)
            while not seen.ended:
                for _ in range(2):
                    time.sleep(chance.uniform(0.0, 1.0))
                    workers = workers_of(job)
                    kills += bool(workers) and _killed(chance.choice(workers))
                seen = _gone_on(client, job, seen.committed)
            assert seen.state == "succeeded", client.batch_log(job)
        _check(place, f"workers-{turn}")


def _kill_job(_place: Outgrown, job: str) -> None:
    process = job_process(job)
    if process is not None:
        _killed(process)


def _kill_control(place: Outgrown, _job: str) -> None:
    with suppress(AssertionError):
        _killed(control_of(place.node))


def _kill_both(place: Outgrown, job: str) -> None:
    _kill_control(place, job)
    _kill_job(place, job)


def _kill_database(place: Outgrown, _job: str) -> None:
    place.database.kill()
    time.sleep(1)
    place.database.start()


def _freeze_job(_place: Outgrown, job: str) -> None:
    """For longer than its lease: another takes the job over before it wakes."""
    process = job_process(job)
    if process is None:
        return
    process.suspend()
    time.sleep(5)
    with suppress(psutil.NoSuchProcess):
        process.resume()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "trouble", [_kill_job, _kill_control, _kill_both, _kill_database, _freeze_job]
)
def test_a_job_survives(
    place: Outgrown, trouble: Callable[[Outgrown, str], None], seed: int
) -> None:
    chance = random.Random(f"{trouble.__name__} {seed}")
    name = f"{trouble.__name__.strip('_')}-{seed}"
    with place.client() as client:
        job = _submitted(client, place.store, name).id
        for _ in range(2):
            time.sleep(chance.uniform(0.2, 3.0))
            trouble(place, job)
        ended = _ended_in_the_end(client, job)

    assert ended.state == "succeeded", ended.reason
    _check(place, name)


def test_a_job_that_is_let_go_of_goes_on_where_it_was(place: Outgrown) -> None:
    with place.client() as client:
        job = _submitted(client, place.store, "drained").id
        while not client.batch_job(job).committed:
            time.sleep(0.05)
        process = job_process(job)
        assert process is not None
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        ended = _ended_in_the_end(client, job)

    assert ended.state == "succeeded", ended.reason
    _check(place, "drained")


def _ended_in_the_end(client: Client, job: str) -> BatchJob:
    """Control may be on its way back."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = client.batch_job(job)
        except AuguriumError:
            assert time.monotonic() < deadline
        else:
            if found.ended:
                return found
            assert time.monotonic() < deadline, found
        time.sleep(0.2)


def _gone_on(client: Client, job: str, committed: int) -> BatchJob:
    """The job once it has more partitions, or has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := client.batch_job(job)).ended and found.committed <= committed:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def _killed(process: psutil.Process) -> int:
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1
