"""Removing what strangers left."""

import os
from pathlib import Path

import pytest

from augurium.core.files import remove_folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to remove, beside one that must stay."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "file").write_text("unchanged")
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def assert_gone(place: Path) -> None:
    assert not place.exists()
    assert (place.parent / "neighbour" / "file").read_text() == "unchanged"


def test_folders_nested_deeper_than_a_path_can_be_are_removed(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d" * 20, dir_fd=descriptor)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    remove_folder(place)
    assert_gone(place)


def test_folders_that_forbid_everything_are_removed(place: Path) -> None:
    (place / "a" / "b").mkdir(parents=True)
    (place / "a" / "b" / "file").touch(0o000)
    for folder in (place / "a" / "b", place / "a", place):
        folder.chmod(0o000)
    remove_folder(place)
    assert_gone(place)


def test_links_are_removed_and_not_followed(place: Path) -> None:
    (place / "link").symlink_to("../neighbour")
    (place / "a").mkdir()
    (place / "a" / "link").symlink_to("../../neighbour")
    (place / "broken").symlink_to("nowhere")
    (place / "a" / "b").mkdir()
    os.mkfifo(place / "a" / "b" / "pipe")
    remove_folder(place)
    assert_gone(place)


def test_a_folder_that_is_not_there_is_nothing_to_do(place: Path) -> None:
    remove_folder(place / "gone")
