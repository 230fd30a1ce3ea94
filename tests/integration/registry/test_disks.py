"""Disks that are full or read-only: really so, on a small file system where one may be mounted."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts
from tests.support.disk import Disk, small_disk
from tests.support.s3_server import S3Server

RunProgram = Callable[..., Any]
LARGEST_FILE_BYTES = 200_000


@pytest.fixture
def disk() -> Iterator[Disk]:
    # not in pytest's own folders, which only their owner may enter
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield small_disk(folder, "4m")


def test_a_full_disk_refuses_new_content_and_keeps_the_old(
    run_program: RunProgram, disk: Disk
) -> None:
    limit = () if disk.mounted else (LARGEST_FILE_BYTES,)

    report = run_program("full_disk", disk.folder, *limit, prefix=disk.prefix)

    artifacts = report["artifacts"]
    assert artifacts["refused"].startswith("insufficient_storage: the disk")
    assert artifacts["files"] == 1
    assert artifacts["readable"]
    assert artifacts["works_again"]
    registry = report["registry"]
    # a limit on the size of a file is an I/O error to SQLite
    expected = "insufficient_storage: the disk" if disk.mounted else "not_ready: the registry"
    assert registry["refused"].startswith(expected)
    assert registry["kept"] == list(range(1, registry["accepted"] + 1))
    assert registry["revision"] == registry["accepted"]
    assert registry["next"] == registry["accepted"] + 1


def test_a_read_only_disk_refuses_new_content_and_keeps_the_old(
    run_program: RunProgram, disk: Disk
) -> None:
    flag = ("mounted",) if disk.mounted else ()

    report = run_program("read_only_disk", disk.folder, *flag, prefix=disk.prefix)

    for step in ("put", "put_again", "new_store"):
        assert report[step].startswith("not_ready: the artifact store cannot be written")
    assert report["open_database"].startswith("not_ready: the registry database")
    assert report["content"] == "content"


def test_a_full_disk_refuses_a_copy_of_a_remote_file_and_takes_those_that_fit(
    run_program: RunProgram, disk: Disk, s3: S3Server, tmp_path: Path
) -> None:
    settings = StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=s3.endpoint)
    store = open_artifacts(settings, tmp_path / "unused", tmp_path / "cache", {})
    large = store.put([bytes(8 * 1024**2)], 2**24)
    # of a disk of 4 MiB, or files of 200 000 bytes: each has room when the one before has gone
    size = 3 * 1024**2 if disk.mounted else 100_000
    fitting = [store.put([letter * size], 2**24).digest for letter in (b"x", b"y", b"z")]
    limit = () if disk.mounted else (LARGEST_FILE_BYTES,)

    report = run_program(
        "full_cache",
        disk.folder,
        settings.artifacts_url,
        s3.endpoint,
        large.digest,
        ",".join(fitting),
        *limit,
        prefix=disk.prefix,
    )

    assert report["refused"].startswith("insufficient_storage: the disk")
    assert report["left"] == []
    assert report["sizes"] == [size] * 3
