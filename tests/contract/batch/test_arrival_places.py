"""Where files arrive: on a disk and on a real S3 server."""

from pathlib import Path

import pytest

from augurium.batch.arrival_places import ArrivalPlaces
from augurium.batch.storage import Storage
from augurium.batch.stored_file import joined
from augurium.core.errors import InvalidArgument, PermissionDenied
from augurium.core.settings import StorageSettings
from tests.support.s3_server import S3Server


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


@pytest.fixture
def places(storage: Storage) -> ArrivalPlaces:
    return ArrivalPlaces(lambda: storage)


def test_a_place_where_nothing_has_arrived_yet_has_no_files(
    places: ArrivalPlaces, folder: str
) -> None:
    assert places.files(joined(folder, "in/")) == []
    assert places.files(joined(folder, "in/**/*.parquet")) == []
    assert not places.has(joined(folder, "in/_SUCCESS"))


def test_files_of_folders_and_globs_are_found_without_marks_and_temporary_ones(
    places: ArrivalPlaces, storage: Storage, folder: str
) -> None:
    for name in ("in/a/1.parquet", "in/2.csv", "in/_SUCCESS", "in/a/.tmp", "in/_temporary/3.csv"):
        storage.put(joined(folder, name), b"1")

    def found(path: str) -> list[str]:
        return [file.location for file in places.files(joined(folder, path))]

    one, two = joined(folder, "in/a/1.parquet"), joined(folder, "in/2.csv")
    assert found("in/") == found("in/**") == sorted([one, two])
    assert found("in/**/*.parquet") == found("in/a/1.parquet") == [one]
    assert places.has(joined(folder, "in/_SUCCESS"))


def test_a_file_that_is_written_again_has_another_identity(
    places: ArrivalPlaces, storage: Storage, folder: str
) -> None:
    place = joined(folder, "in/1.csv")
    storage.put(place, b"1")
    (before,) = places.files(place)
    assert list(places.files(place)) == [before]
    storage.put(place, b"12")
    (after,) = places.files(place)

    assert after.location == before.location
    assert after.identity != before.identity


def test_what_jobs_may_not_read_is_not_listed(places: ArrivalPlaces) -> None:
    with pytest.raises(PermissionDenied):
        places.files("/etc")
    with pytest.raises(InvalidArgument):
        places.files("relative/in")
