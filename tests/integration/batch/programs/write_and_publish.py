"""Processes that write three partitions and publish them. The first is killed before its first
change of a file, the second after one, and so on; the last one lives.

Arguments: where to, the endpoint of S3 or "", the mode, a file for the results of partitions, and
how many are killed. Partitions whose results are there are not written again, as committed ones
are not. Prints how many were killed, and the rows that are published.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from augurium.batch.manifest import JobFacts, Manifest
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import PartitionResult, RejectedRow
from augurium.batch.partition_writer import open_writer
from augurium.batch.publication import publish
from augurium.batch.storage import Storage
from augurium.core.batch_job import OutputSpec
from augurium.core.files import write_atomically
from augurium.core.settings import StorageSettings
from tests.support.output_places import FragilePlace
from tests.support.output_rows import answers

JOB = "1f" * 16
PARTITIONS, ROWS = 3, 1_000


def main(location: str, endpoint: str, mode: str, results_file: str, deaths: str) -> None:
    killed = 0
    for changes in range(int(deaths)):
        child = os.fork()
        if child == 0:
            run_job(location, endpoint, mode, Path(results_file), changes)
            os._exit(0)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    manifest = run_job(location, endpoint, mode, Path(results_file))
    printed = {"killed": killed, "rows": manifest.written_rows}
    sys.stdout.buffer.write(msgspec.json.encode(printed))


def run_job(
    location: str, endpoint: str, mode: str, committed: Path, changes: int = sys.maxsize
) -> Manifest:
    """Writes what is not committed and publishes all; is killed after so many changes."""
    left = changes

    def step() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    storage = Storage(StorageSettings(s3_endpoint=endpoint))
    place = FragilePlace(StoragePlace(storage, location), step)
    spec = msgspec.convert({"path": location, "mode": mode}, OutputSpec)
    results = _known(committed)
    for number in range(len(results), PARTITIONS):
        results.append(_written(spec, place, number, token=os.getpid()))
        write_atomically(committed, msgspec.json.encode(results))
    facts = JobFacts(job=JOB, model="fraud", version=3, format="parquet")
    return publish(spec, place, facts, results)


def _known(committed: Path) -> list[PartitionResult]:
    if not committed.exists():
        return []
    return msgspec.json.decode(committed.read_bytes(), type=list[PartitionResult])


def _written(spec: OutputSpec, place: FragilePlace, number: int, token: int) -> PartitionResult:
    writer = open_writer(spec, place, JOB, token, number)
    writer.write(answers(ROWS, number))
    writer.reject(RejectedRow("/in/a.csv", number, "amount", "missing", "nothing"))
    return PartitionResult(number, writer.close(), ROWS + 1, ROWS, 0, {"missing": 1})


if __name__ == "__main__":
    main(*sys.argv[1:])
