"""Outputs whose writer is killed, whose disk is full, and whose object store has trouble."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augurium.batch.manifest import JobFacts
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import PartitionResult
from augurium.batch.partition_writer import open_writer
from augurium.batch.publication import publish
from augurium.batch.storage import Storage
from augurium.core.batch_job import OutputSpec
from augurium.core.errors import NotReady
from augurium.core.settings import StorageSettings
from tests.integration.batch.programs.write_and_publish import run_job
from tests.support.disk import small_disk
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.output_rows import answers
from tests.support.s3_server import S3Server

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120
JOB, OTHER = "1f" * 16, "2e" * 16


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as proxy:
        yield proxy


def run_program(name: str, *arguments: object, prefix: tuple[str, ...] = ()) -> Any:
    """Runs `programs/NAME.py` with arguments, after `prefix`; returns the JSON it prints."""
    program = f"tests.integration.batch.programs.{name}"
    command = [*prefix, sys.executable, "-m", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT)
    if done.returncode != 0:
        pytest.fail(f"{name} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def opened(location: str, endpoint: str = "", **settings: float) -> StoragePlace:
    storage = StorageSettings(s3_endpoint=endpoint, **settings)  # type: ignore[arg-type]
    return StoragePlace(Storage(storage), location)


def written(place: StoragePlace, job: str, rows: int = 1_000) -> PartitionResult:
    writer = open_writer(OutputSpec(path=place.url), place, job, 1, 0)
    try:
        writer.write(answers(rows))
        return PartitionResult(0, writer.close(), rows, rows)
    except BaseException:
        writer.abort()
        raise


def facts(job: str) -> JobFacts:
    return JobFacts(job=job, model="fraud", version=3, format="parquet")


def contents(place: StoragePlace) -> dict[str, bytes]:
    return {file.name: place.read(file.name) for file in place.list()}


@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_job_that_is_killed_before_every_change_of_a_file_ends_as_if_it_never_was(
    kind: str, mode: str, tmp_path: Path, s3: S3Server
) -> None:
    endpoint = s3.endpoint if kind == "s3" else ""
    base = s3.url(tmp_path.name) if kind == "s3" else str(tmp_path)
    found = []
    for name in ("undisturbed", "killed"):
        location, file = f"{base}/{name}", tmp_path / f"{name}.json"
        place = opened(location, endpoint)
        publish(OutputSpec(path=location), place, facts(OTHER), [written(place, OTHER)])
        if name == "undisturbed":
            run_job(location, endpoint, mode, file)
        else:
            told = run_program("write_and_publish", location, endpoint, mode, file, 15)
            assert told["rows"] == 3_000
            assert told["killed"] >= 6
        found.append(contents(place))

    undisturbed, killed = found
    assert killed == undisturbed
    assert len(killed) == (7 if mode == "overwrite" else 9)


def test_a_full_disk_is_told_leaves_nothing_half_and_is_no_trouble_afterwards() -> None:
    # not in pytest's own folders, which only their owner may enter
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        disk = small_disk(folder, "12m")
        limit = () if disk.mounted else (50_000,)
        report = run_program("full_disk", folder, *limit, prefix=disk.prefix)

    for form in ("parquet", "arrow", "csv", "jsonl"):
        assert report[form]["refused"].startswith("insufficient_storage: /")
        assert "free some space" in report[form]["refused"]
        assert report[form]["left"] == []
    assert report["publish"].startswith("insufficient_storage: /")
    assert report["rows"] == 100_000
    assert len(report["visible"]) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "answered 503 SlowDown"),
        ("403", "refused access"),
        ("reset", "cannot be reached|broke off"),
        ("stall", "did not answer in time|cannot be reached"),
    ],
)
def test_an_object_store_with_trouble_costs_the_attempt_and_no_more(
    s3: S3Server, proxy: FaultProxy, tmp_path: Path, fault: str, reason: str
) -> None:
    url = s3.url(tmp_path.name)
    # only what shall stall is given up soon
    patience_s = 1.0 if fault == "stall" else 30.0
    place = opened(url, proxy.endpoint, retries=1, read_timeout_s=patience_s)
    puts = 0

    def trouble(exchange: object) -> str:
        nonlocal puts
        puts += getattr(exchange, "method", "") == "PUT"
        return fault if puts > 1 else "pass"

    proxy.fault = trouble
    with pytest.raises(NotReady, match=f"{url}.*({reason})"):
        written(place, JOB, rows=700_000)
    proxy.fault = lambda exchange: "pass"
    assert contents(place) == {}

    result = written(place, JOB)
    proxy.fault = lambda exchange: fault if exchange.method == "PUT" else "pass"
    with pytest.raises(NotReady, match=reason):
        publish(OutputSpec(path=url), place, facts(JOB), [result])
    proxy.fault = lambda exchange: "pass"
    assert not [name for name in contents(place) if not name.startswith("_augurium/")]

    publish(OutputSpec(path=url), place, facts(JOB), [result])
    assert len(contents(place)) == 2


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_trouble_that_passes_is_not_noticed(
    s3: S3Server, proxy: FaultProxy, tmp_path: Path, fault: str
) -> None:
    url = s3.url(tmp_path.name)
    place = opened(url, proxy.endpoint)
    proxy.fault = lambda exchange: fault if exchange.number % 2 else "pass"
    result = written(place, JOB, rows=500_000)
    publish(OutputSpec(path=url), place, facts(JOB), [result])
    proxy.fault = lambda exchange: "pass"
    assert len(contents(place)) == 2
