"""What every storage does, on a disk and on a real S3 server."""

import os
from pathlib import Path

import pytest

from augurium.batch.storage import Storage
from augurium.batch.stored_file import joined
from augurium.core.errors import InvalidArgument, PermissionDenied
from augurium.core.settings import StorageSettings
from tests.support.s3_server import S3Server

LARGE = os.urandom(20 * 1024 * 1024 + 7)


@pytest.fixture(params=["disk", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path)
    server: S3Server = request.getfixturevalue("s3")
    return server.url(tmp_path.name)


@pytest.fixture
def storage(folder: str, request: pytest.FixtureRequest) -> Storage:
    if folder.startswith("/"):
        return Storage(StorageSettings(), {}, [folder])
    server: S3Server = request.getfixturevalue("s3")
    return Storage(StorageSettings(s3_endpoint=server.endpoint), {}, [folder])


def test_a_file_is_read_as_it_was_put(storage: Storage, folder: str) -> None:
    storage.put(joined(folder, "a/b.txt"), b"hello")
    assert storage.read(joined(folder, "a/b.txt")) == b"hello"
    found = storage.find(joined(folder, "a/b.txt"))
    assert found is not None
    assert found.size_bytes == 5


def test_what_is_not_there_is_not_found(storage: Storage, folder: str) -> None:
    assert storage.find(joined(folder, "absent")) is None
    assert not storage.is_folder(joined(folder, "absent"))
    assert list(storage.list(joined(folder, "absent"))) == []
    storage.delete(joined(folder, "absent"))
    with pytest.raises(FileNotFoundError):
        storage.read(joined(folder, "absent"))


def test_a_folder_lists_the_files_below_it_and_none_beside_it(
    storage: Storage, folder: str
) -> None:
    for name in ("in/1", "in/deep/er/2", "in2/3", "in.txt"):
        storage.put(joined(folder, name), name.encode())
    listed = {file.location: file.size_bytes for file in storage.list(joined(folder, "in"))}
    assert listed == {joined(folder, "in/1"): 4, joined(folder, "in/deep/er/2"): 12}
    assert storage.is_folder(joined(folder, "in"))


def test_the_identity_of_a_file_changes_with_its_content(storage: Storage, folder: str) -> None:
    place = joined(folder, "file")
    storage.put(place, b"one")
    first, again = storage.find(place), storage.find(place)
    storage.put(place, b"other")
    assert first == again
    assert storage.find(place) != first


def test_bytes_are_read_from_any_place(storage: Storage, folder: str) -> None:
    place = joined(folder, "large")
    storage.put(place, LARGE)
    found = storage.find(place)
    assert found is not None
    with storage.open(found) as stream:
        stream.seek(-10, os.SEEK_END)
        assert stream.read() == LARGE[-10:]
        assert stream.read(5) == b""
        stream.seek(1000)
        in_pieces = [stream.read(3_000_000) for _ in range(4)]
        assert b"".join(in_pieces) == LARGE[1000 : 1000 + 12_000_000]
        stream.seek(3)
        assert stream.read() == LARGE[3:]


def test_a_stream_into_a_file_is_kept_when_it_ends_well(storage: Storage, folder: str) -> None:
    place = joined(folder, "out/part")
    with storage.create(place) as stream:
        for start in range(0, len(LARGE), 1_000_000):
            stream.write(LARGE[start : start + 1_000_000])
    assert storage.read(place) == LARGE


def test_nothing_is_left_of_a_stream_that_broke_off(storage: Storage, folder: str) -> None:
    place = joined(folder, "out/part")
    with pytest.raises(ValueError, match="enough"):
        _broken_off(storage, place)
    assert storage.find(place) is None


def test_files_are_copied_renamed_and_deleted(storage: Storage, folder: str) -> None:
    one, two, three = (joined(folder, name) for name in ("one", "sub/two", "other/three"))
    storage.put(one, b"content")
    storage.copy(one, two)
    storage.put(three, b"before")
    storage.rename(two, three)
    assert storage.find(two) is None
    assert storage.read(three) == storage.read(one) == b"content"
    storage.delete(one)
    assert storage.find(one) is None


@pytest.mark.parametrize("name", ["../elsewhere", "a/../../elsewhere"])
def test_a_way_out_of_the_roots_is_refused(storage: Storage, folder: str, name: str) -> None:
    with pytest.raises((PermissionDenied, InvalidArgument)):
        storage.find(joined(folder, name))
    with pytest.raises((PermissionDenied, InvalidArgument)):
        storage.put(joined(folder, name), b"")


def test_a_neighbour_whose_name_begins_alike_is_outside_of_the_roots(
    storage: Storage, folder: str
) -> None:
    with pytest.raises(PermissionDenied, match=r"batch\.roots"):
        storage.find(f"{folder}2/file")


def _broken_off(storage: Storage, place: str) -> None:
    with storage.create(place) as stream:
        stream.write(LARGE)
        raise ValueError("enough")
