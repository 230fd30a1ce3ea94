"""Locations, and what the roots keep out."""

import os
from pathlib import Path

import pytest

from augurium.batch.storage import Storage
from augurium.core.errors import AuguriumError, InvalidArgument, PermissionDenied
from augurium.core.settings import StorageSettings


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("orders.parquet", "absolute path"),
        ("ftp://host/file", "no place for files"),
        ("s3://", "no place for files"),
        ("s3://key:secret@bucket/file", "s3://bucket/file"),
        ("s3://bucket/a?b", "no place for files"),
        ("s3://bucket/a/../b", r"'\.\.'"),
        ("/data/\0", "NUL"),
    ],
)
def test_what_is_no_location_is_refused(location: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as caught:
        Storage(StorageSettings(), {}).checked(location)
    assert "secret" not in str(caught.value)


def test_a_location_has_one_form() -> None:
    storage = Storage(StorageSettings(), {})
    assert storage.checked("/data//a/../b/./c/") == "/data/b/c"
    assert storage.checked("file:///data/b") == "/data/b"
    assert storage.checked("s3://bucket/b/") == "s3://bucket/b/"


def test_without_roots_nothing_may_be_read(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match=r"batch\.roots"):
        Storage(StorageSettings(), {}, []).find(str(tmp_path))


@pytest.mark.parametrize("to", ["file", "folder"])
def test_a_link_out_of_the_roots_is_refused(tmp_path: Path, to: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (inside / "link").symlink_to(outside / "secret" if to == "file" else outside)
    storage = Storage(StorageSettings(), {}, [str(inside)])
    with pytest.raises(PermissionDenied, match="link is outside"):
        list(storage.list(str(inside)))
    with pytest.raises(PermissionDenied):
        storage.read(str(inside / "link" / ("secret" if to == "folder" else "")))


def test_links_within_the_roots_are_followed_and_rings_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    (tmp_path / "a" / "ring").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    storage = Storage(StorageSettings(), {}, [str(tmp_path)])
    names = [Path(file.location).name for file in storage.list(str(tmp_path))]
    assert set(names) == {"one"}


def test_what_is_no_file_and_no_folder_is_not_listed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    storage = Storage(StorageSettings(), {})
    assert list(storage.list(str(tmp_path))) == []
    assert storage.find(str(tmp_path / "pipe")) is None


def test_a_name_too_long_for_the_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(AuguriumError, match="cannot be used: File name too long"):
        Storage(StorageSettings(), {}).put(str(tmp_path / ("x" * 300)), b"")
