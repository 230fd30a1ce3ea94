"""What every place that jobs write to does: in memory, on a disk and on a real S3 server."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from augurium.batch.manifest import JobFacts
from augurium.batch.output_place import StoragePlace, StorageSink
from augurium.batch.partition import PartitionResult, RejectedRow
from augurium.batch.partition_writer import open_writer
from augurium.batch.publication import check_output, find_manifest, publish, sweep
from augurium.batch.storage import Storage
from augurium.batch.storage_port import OutputPlace
from augurium.core.batch_job import OutputMode, OutputSpec
from augurium.core.errors import Conflict, InvalidArgument, NotFound, NotReady, TooLarge
from augurium.core.settings import StorageSettings
from tests.support.output_places import FragilePlace, Killed, MemoryPlace, killed_before
from tests.support.output_rows import answers
from tests.support.s3_server import S3Server

JOB, OTHER = "1f" * 16, "2e" * 16
LARGE = os.urandom(20 * 1024 * 1024 + 7)


@pytest.fixture(params=["memory", "disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> OutputPlace:
    if request.param == "memory":
        return MemoryPlace()
    if request.param == "disk":
        return StoragePlace(Storage(StorageSettings(), {}), f"{tmp_path}/out")
    server: S3Server = request.getfixturevalue("s3")
    storage = Storage(StorageSettings(s3_endpoint=server.endpoint))
    return StoragePlace(storage, server.url(f"{tmp_path.name}/out/"))


def listed(place: OutputPlace, prefix: str = "") -> dict[str, int]:
    return {file.name: file.size_bytes for file in place.list(prefix)}


def contents(place: OutputPlace) -> dict[str, bytes]:
    return {name: place.read(name) for name in listed(place)}


def test_a_place_that_nobody_wrote_to_is_empty(place: OutputPlace) -> None:
    assert listed(place) == {}
    assert place.size("a") is None
    with pytest.raises(NotFound, match="has no file 'a/b'"):
        place.read("a/b")


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_a_file_is_there_whole_when_it_is_closed_and_not_before(
    place: OutputPlace, content: bytes
) -> None:
    sink = place.create("a/b")
    for start in range(0, len(content), 3_000_000):
        sink.write(content[start : start + 3_000_000])
    sink.close()
    sink.abort()
    assert place.read("a/b") == content
    assert place.size("a/b") == len(content)


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_nothing_is_left_of_a_file_that_was_given_up(place: OutputPlace, content: bytes) -> None:
    sink = place.create("a/b")
    sink.write(content)
    sink.abort()
    sink.abort()
    assert listed(place) == {}


def test_a_file_takes_the_place_of_one_with_its_name(place: OutputPlace) -> None:
    for content in (b"first", b"second"):
        sink = place.create("a/b")
        sink.write(content)
        sink.close()
    place.put("c", b"third")
    place.put("c", b"fourth")
    assert contents(place) == {"a/b": b"second", "c": b"fourth"}


def test_a_prefix_lists_what_is_below_it(place: OutputPlace) -> None:
    for name in ("a/1", "a/b/2", "ab/3", "4"):
        place.put(name, name.encode())
    assert listed(place) == {"a/1": 3, "a/b/2": 5, "ab/3": 4, "4": 1}
    assert listed(place, "a/") == {"a/1": 3, "a/b/2": 5}
    assert listed(place, "c/") == {}


@pytest.mark.parametrize(
    "name",
    ["country=日本/part", "key=a%2Fb%3Dc/part", "key=a b+c&d/part", "key=~!$,;(@)<>|`/part"],
)
def test_folders_may_be_called_by_any_value(place: OutputPlace, name: str) -> None:
    place.put("first", b"1")
    place.rename([("first", name)])
    assert listed(place)[name] == 1
    assert place.read(name) == b"1"
    place.delete([name, "first"])
    assert listed(place) == {}


def test_renamed_files_have_their_other_names(place: OutputPlace) -> None:
    pairs = [(f"from/{number}", f"to/{number % 3}/{number}") for number in range(40)]
    for first, _ in pairs:
        place.put(first, first.encode())
    place.rename(pairs)
    assert {second: place.read(second) for _, second in pairs} == {
        second: first.encode() for first, second in pairs
    }


def test_renaming_what_is_not_there_is_told(place: OutputPlace) -> None:
    place.put("first", b"1")
    with pytest.raises(NotFound, match="absent"):
        place.rename([("first", "second"), ("absent", "third")])
    assert listed(place) == {"second": 1}


def test_checking_an_output_leaves_nothing_there(place: OutputPlace) -> None:
    check_output(OutputSpec(path="out"), place)
    assert listed(place) == {}


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for location in ("file", "file/out", "file/out/deep"):
        place = StoragePlace(Storage(StorageSettings(), {}), f"{tmp_path}/{location}")
        with pytest.raises(InvalidArgument, match="is no folder, because there is a file of that"):
            check_output(OutputSpec(path="out"), place)


def test_a_bucket_that_is_not_there_is_refused_before_any_work(s3: S3Server) -> None:
    storage = Storage(StorageSettings(s3_endpoint=s3.endpoint))
    place = StoragePlace(storage, "s3://nobody-has-this-bucket/out")
    with pytest.raises(NotReady, match="s3://nobody-has-this-bucket"):
        check_output(OutputSpec(path="out"), place)


def test_deleting_what_is_not_there_is_no_error(place: OutputPlace) -> None:
    place.put("a/b/c", b"1")
    place.delete(["a/b/c", "a/b/d", "e"])
    place.delete(["a/b/c"])
    assert listed(place) == {}


def test_an_output_is_published_whole(place: OutputPlace) -> None:
    spec = OutputSpec(path="out", partition_by=("country",))
    check_output(spec, place)
    results = [written(place, spec, JOB, number) for number in range(3)]
    manifest = publish(spec, place, facts(JOB), results)

    files = {file.name: file.size_bytes for file in manifest.files + manifest.rejected_files}
    assert len(files) == 18
    assert listed(place) == files | {f"_augurium/{JOB}.json": place.size(f"_augurium/{JOB}.json")}
    assert find_manifest(place, JOB) == manifest
    with pytest.raises(Conflict, match="not empty"):
        check_output(spec, place)


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_whoever_dies_at_any_step_the_next_one_publishes_the_same(
    place: OutputPlace, mode: OutputMode
) -> None:
    spec = OutputSpec(path="out", mode=mode)
    publish(spec, place, facts(OTHER), [written(place, spec, OTHER, 0)])
    results = [written(place, spec, JOB, number) for number in range(2)]
    for step in range(100):
        with suppress(Killed):
            publish(spec, FragilePlace(place, killed_before(step)), facts(JOB), results)
            break
    assert 2 < step < 99
    shown = {file.name for result in results for file in result.files}
    expected = shown | {f"_augurium/{JOB}.json"}
    if mode == "append":
        other = written(place, spec, OTHER, 0)
        sweep(place, OTHER)
        expected |= {file.name for file in other.files} | {f"_augurium/{OTHER}.json"}
    assert set(listed(place)) == expected


@pytest.mark.parametrize("name", ["../beside", "a/../../b", "/etc/passwd", "a//b", "./a", ""])
def test_no_name_leads_out_of_the_place(name: str, tmp_path: Path) -> None:
    place = StoragePlace(Storage(StorageSettings(), {}), f"{tmp_path}/out")
    (tmp_path / "beside").write_bytes(b"precious")
    for act in (place.read, place.size, place.create, lambda name: place.delete([name])):
        with pytest.raises(InvalidArgument, match="is not the name of a file below"):
            act(name)
    assert (tmp_path / "beside").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_file_that_could_not_get_its_name_is_refused_while_it_grows(
    kind: str, tmp_path: Path, s3: S3Server
) -> None:
    folder = str(tmp_path) if kind == "disk" else s3.url(tmp_path.name)
    storage = Storage(StorageSettings(s3_endpoint=s3.endpoint))
    sink = StorageSink(storage.create(f"{folder}/part"), most_bytes=10)
    sink.write(b"0123456789")
    with pytest.raises(TooLarge, match="submit the job with fewer partition_rows"):
        sink.write(b"1")
    sink.abort()
    assert storage.find(f"{folder}/part") is None


def test_no_empty_folders_are_left_on_a_disk(tmp_path: Path) -> None:
    place = StoragePlace(Storage(StorageSettings(), {}), f"{tmp_path}/out")
    spec = OutputSpec(path="out", partition_by=("country", "label"))
    publish(spec, place, facts(JOB), [written(place, spec, JOB, 0)])
    assert {path.name for path in (tmp_path / "out/_augurium").iterdir()} == {f"{JOB}.json"}


def written(place: OutputPlace, spec: OutputSpec, job: str, number: int) -> PartitionResult:
    writer = open_writer(spec, place, job, 1, number)
    writer.write(answers(1_000, number))
    writer.reject(RejectedRow("/in/a.csv", 7, "amount", "missing", "nothing where a number is"))
    files = writer.close()
    return PartitionResult(number, files, 1_001, 1_000, 0, {"missing": 1})


def facts(job: str) -> JobFacts:
    return JobFacts(job=job, model="fraud", version=3, format="parquet")
