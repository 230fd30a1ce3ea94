"""Writes a partition where there is no room, then where there is; prints what happened.

Arguments: an empty folder; the largest file it may hold, if it is not a small disk of its own.
"""

import contextlib
import json
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from augurium.batch.manifest import JobFacts
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import PartitionResult
from augurium.batch.partition_writer import open_writer
from augurium.batch.publication import publish
from augurium.batch.storage import Storage
from augurium.core.batch_job import OutputFormat, OutputSpec
from augurium.core.errors import AuguriumError
from augurium.core.settings import StorageSettings
from tests.support.output_rows import answers

JOB = "1f" * 16
ROWS = 100_000


def main(folder: Path, max_file_bytes: int | None) -> None:
    place = StoragePlace(Storage(StorageSettings(), {}), str(folder / "out"))
    report: dict[str, Any] = {}
    for form in get_args(OutputFormat):
        with no_room(folder, max_file_bytes):
            refused = write(place, form)
        report[form] = {"refused": refused, "left": names(folder)}
    results = write(place, "parquet")
    if isinstance(results, str):
        raise SystemExit(results)
    spec = OutputSpec(path=place.url)
    with no_room(folder, None if max_file_bytes is None else 100):
        report["publish"] = attempt_to_publish(spec, place, results)
    facts = JobFacts(job=JOB, model="fraud", version=3, format="parquet")
    published = publish(spec, place, facts, results)
    report["rows"] = published.written_rows
    report["visible"] = names(folder)
    sys.stdout.write(json.dumps(report))


def write(place: StoragePlace, form: OutputFormat) -> list[PartitionResult] | str:
    writer = open_writer(OutputSpec(path=place.url, format=form), place, JOB, 1, 0)
    try:
        writer.write(answers(ROWS))
        files = writer.close()
    except AuguriumError as error:
        writer.abort()
        return f"{error.kind}: {error}"
    return [PartitionResult(0, files, ROWS, ROWS)]


def attempt_to_publish(
    spec: OutputSpec, place: StoragePlace, results: list[PartitionResult]
) -> str:
    facts = JobFacts(job=JOB, model="fraud", version=3, format="parquet")
    try:
        publish(spec, place, facts, results)
    except AuguriumError as error:
        return f"{error.kind}: {error}"
    return "published"


def names(folder: Path) -> list[str]:
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files)


@contextlib.contextmanager
def no_room(folder: Path, max_file_bytes: int | None) -> Iterator[None]:
    """Takes all the room there is, or lets no file grow; gives it back at the end."""
    if max_file_bytes is None:
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            for size in (64 * 1024, 1):
                while stream.write(b"x" * size):
                    pass
        yield
        filler.unlink()
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
