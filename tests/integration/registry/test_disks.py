"""Disks that are full or read-only: really so, on a small file system where one may be mounted."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts
from tests.support.s3_server import S3Server

RunProgram = Callable[..., Any]
LARGEST_FILE_BYTES = 200_000
MOUNT_THEN_RUN = 'mount -t tmpfs -o size=4m tmpfs "$1" && shift && exec "$@"'


class Disk(NamedTuple):
    """An empty folder, and what must stand before a command so that it is a 4 MiB file system."""

    folder: Path
    prefix: tuple[str, ...]

    @property
    def mounted(self) -> bool:
        return bool(self.prefix)


@pytest.fixture
def disk() -> Iterator[Disk]:
    # not in pytest's own folders, which only their owner may enter
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for flags in (["--mount"], ["--user", "--map-root-user", "--mount"]):
            prefix = ("unshare", *flags, "sh", "-c", MOUNT_THEN_RUN, "sh", name)
            if can_run([*prefix, "true"]):
                yield Disk(folder, prefix)
                return
        yield Disk(folder, ())


def can_run(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


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


def test_a_full_disk_refuses_a_copy_of_a_remote_file_and_takes_one_that_fits(
    run_program: RunProgram, disk: Disk, s3: S3Server, tmp_path: Path
) -> None:
    settings = StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=s3.endpoint)
    store = open_artifacts(settings, tmp_path / "unused", tmp_path / "cache", {})
    large, small = store.put([bytes(8 * 1024**2)], 2**24), store.put([b"x" * 100_000], 2**24)
    limit = () if disk.mounted else (LARGEST_FILE_BYTES,)

    report = run_program(
        "full_cache",
        disk.folder,
        settings.artifacts_url,
        s3.endpoint,
        large.digest,
        small.digest,
        *limit,
        prefix=disk.prefix,
    )

    assert report["refused"].startswith("insufficient_storage: the disk")
    assert report["left"] == []
    assert report["small"] == 100_000
