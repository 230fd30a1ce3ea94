"""What readers see of a job, whatever happens to the one that publishes it."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.manifest import JobFacts, ManifestInput
from augurium.batch.partition import PartitionResult, WrittenFile
from augurium.batch.publication import check_output, find_manifest, publish, sweep
from augurium.batch.staged_names import is_visible, part_name, staged_name
from augurium.core.batch_job import OutputMode, OutputSpec
from augurium.core.errors import Conflict, InvalidArgument, NotFound, Unprocessable
from tests.support.output_places import FragilePlace, Killed, MemoryPlace, killed_before

JOB, OTHER, LATE = "1f" * 16, "2e" * 16, "3d" * 16


def facts(job: str) -> JobFacts:
    inputs = (ManifestInput("/data/orders.parquet", "120-7"),)
    return JobFacts(job=job, model="fraud", version=3, format="parquet", inputs=inputs)


def spec(mode: OutputMode = "fail") -> OutputSpec:
    return OutputSpec(path="memory://output", mode=mode)


def written(
    place: MemoryPlace, job: str, partitions: int, rejected: bool = False
) -> list[PartitionResult]:
    """The results of partitions, whose files wait in `place`."""
    results = []
    for number in range(partitions):
        files = [_file(place, job, number, "")]
        if rejected:
            files.append(_file(place, job, number, "_rejected/"))
        counts = {"missing": 1} if rejected else {}
        results.append(PartitionResult(number, tuple(files), 5, 4, 0, counts))
    return results


def _file(place: MemoryPlace, job: str, number: int, folder: str) -> WrittenFile:
    name = folder + part_name(job, number, 0, ".parquet")
    content = f"{job} {name}".encode()
    staged = staged_name(job, 1, name)
    place.files[staged] = content
    digest = hashlib.sha256(content).hexdigest()
    return WrittenFile(staged, name, len(content), digest, 4, bool(folder))


def visible(place: MemoryPlace) -> set[str]:
    return {name for name in place.files if is_visible(name)}


def names(job: str, partitions: int) -> set[str]:
    return {part_name(job, number, 0, ".parquet") for number in range(partitions)}


def test_nothing_is_visible_before_it_is_published() -> None:
    place = MemoryPlace()
    written(place, JOB, 3)
    assert visible(place) == set()
    assert find_manifest(place, JOB) is None


def test_a_published_job_is_its_files_and_a_manifest_and_nothing_else() -> None:
    place = MemoryPlace()
    results = written(place, JOB, 2, rejected=True)

    manifest = publish(spec(), place, facts(JOB), results)

    parts = names(JOB, 2)
    rejected = {f"_rejected/{name}" for name in parts}
    assert set(place.files) == parts | rejected | {f"_augurium/{JOB}.json"}
    assert find_manifest(place, JOB) == manifest
    assert {file.name for file in manifest.files} == parts
    assert {file.name for file in manifest.rejected_files} == rejected
    assert (manifest.read_rows, manifest.written_rows, manifest.rejected) == (10, 8, {"missing": 2})
    for file in manifest.files:
        assert hashlib.sha256(place.files[file.name]).hexdigest() == file.sha256


def test_publishing_again_changes_nothing() -> None:
    place = MemoryPlace()
    results = written(place, JOB, 2)
    publish(spec(), place, facts(JOB), results)
    before = dict(place.files)

    publish(spec(), place, facts(JOB), results)

    assert place.files == before


def test_a_job_that_is_swept_leaves_others_alone() -> None:
    place = MemoryPlace()
    written(place, JOB, 2)
    publish(spec("append"), place, facts(OTHER), written(place, OTHER, 1))

    sweep(place, JOB)

    assert visible(place) == names(OTHER, 1)
    assert not any(JOB in name for name in place.files)


def test_append_adds_to_what_another_job_has_written() -> None:
    place = MemoryPlace()
    publish(spec(), place, facts(OTHER), written(place, OTHER, 2))

    check_output(spec("append"), place)
    publish(spec("append"), place, facts(JOB), written(place, JOB, 2))

    assert visible(place) == names(OTHER, 2) | names(JOB, 2)


def test_overwrite_takes_the_place_of_what_another_job_has_written() -> None:
    place = MemoryPlace()
    publish(spec(), place, facts(OTHER), written(place, OTHER, 3, rejected=True))
    place.files["_SUCCESS"] = b""

    check_output(spec("overwrite"), place)
    publish(spec("overwrite"), place, facts(JOB), written(place, JOB, 2))

    assert set(place.files) == names(JOB, 2) | {f"_augurium/{JOB}.json", "_SUCCESS"}


def test_overwrite_never_removes_what_no_job_has_written() -> None:
    place = MemoryPlace()
    place.files["family/photo.jpeg"] = b"precious"
    with pytest.raises(Conflict, match=r"'family/photo\.jpeg', which no job has written"):
        check_output(spec("overwrite"), place)

    results = written(place, JOB, 1)
    with pytest.raises(Conflict, match=r"which no job has written"):
        publish(spec("overwrite"), place, facts(JOB), results)

    assert place.files["family/photo.jpeg"] == b"precious"
    assert visible(place) == {"family/photo.jpeg"}


@pytest.mark.parametrize("name", ["part-0.parquet", "country=DE/x.csv", "_rejected/part-0.csv"])
def test_a_folder_that_is_not_empty_is_refused_before_any_work(name: str) -> None:
    place = MemoryPlace()
    place.files[name] = b"1"
    with pytest.raises(Conflict, match=r"is not empty, it has '.*'; choose another folder"):
        check_output(spec(), place)


@pytest.mark.parametrize("name", ["_SUCCESS", ".part.crc", f"_augurium/{OTHER}/1/part-0.parquet"])
def test_what_no_reader_takes_for_data_is_no_reason_to_refuse(name: str) -> None:
    place = MemoryPlace()
    place.files[name] = b"1"
    check_output(spec(), place)


def test_of_two_jobs_that_want_an_empty_folder_the_second_one_fails() -> None:
    place = MemoryPlace()
    results = written(place, JOB, 1)
    publish(spec(), place, facts(OTHER), written(place, OTHER, 1))

    with pytest.raises(Conflict, match="not empty"):
        publish(spec(), place, facts(JOB), results)

    assert visible(place) == names(OTHER, 1)


def test_an_output_with_files_that_are_read_is_refused() -> None:
    read = ["memory://elsewhere/a.parquet", "memory://output/2026/a.parquet"]
    with pytest.raises(InvalidArgument, match="has files that are read, such as memory://output/2"):
        check_output(spec("append"), MemoryPlace(), read)
    check_output(spec("append"), MemoryPlace(), ["memory://output-of-others/a.parquet"])


@pytest.mark.parametrize("mode", ["fail", "overwrite"])
def test_a_file_that_is_gone_or_was_changed_fails_the_job_before_anything_is_removed(
    mode: OutputMode,
) -> None:
    place = MemoryPlace()
    if mode == "overwrite":
        publish(spec(), place, facts(OTHER), written(place, OTHER, 1))
    before = visible(place)
    results = written(place, JOB, 3)
    name = results[1].files[0].staged
    content = place.files.pop(name)

    with pytest.raises(Unprocessable, match=r"part-00001.* is gone before it became visible"):
        publish(spec(mode), place, facts(JOB), results)
    place.files[name] = content[:-1]
    with pytest.raises(Unprocessable, match=r"part-00001.* was changed before it became visible"):
        publish(spec(mode), place, facts(JOB), results)

    assert visible(place) == before


def test_a_damaged_manifest_of_another_job_is_named() -> None:
    place = MemoryPlace()
    place.files[f"_augurium/{OTHER}.json"] = b"{"
    with pytest.raises(Unprocessable, match=f"_augurium/{OTHER}.json.* move it away"):
        check_output(spec("overwrite"), place)


@given(
    mode=st.sampled_from(["fail", "append", "overwrite"]),
    copies=st.booleans(),
    partitions=st.integers(0, 4),
    rejected=st.booleans(),
    before=st.integers(0, 3),
    deaths=st.lists(st.integers(0, 20), max_size=6),
)
def test_whoever_dies_while_publishing_the_result_is_that_of_an_undisturbed_run(
    mode: OutputMode, copies: bool, partitions: int, rejected: bool, before: int, deaths: list[int]
) -> None:
    disturbed, undisturbed = MemoryPlace(copies), MemoryPlace(copies)
    for place in (disturbed, undisturbed):
        if mode != "fail":
            publish(spec("append"), place, facts(OTHER), written(place, OTHER, before, rejected))
    results = written(disturbed, JOB, partitions, rejected)
    assert results == written(undisturbed, JOB, partitions, rejected)

    for step in deaths:
        try:
            fragile = FragilePlace(disturbed, killed_before(step))
            publish(spec(mode), fragile, facts(JOB), results)
        except Killed:
            # readers see nothing, or only whole files of the two jobs, and never one twice
            assert visible(disturbed) <= names(JOB, partitions) | names(OTHER, before)
            if find_manifest(disturbed, JOB) is not None:
                assert visible(disturbed) == visible(disturbed) | names(JOB, partitions)

    assert publish(spec(mode), disturbed, facts(JOB), results) == publish(
        spec(mode), undisturbed, facts(JOB), results
    )
    assert disturbed.files == undisturbed.files


@given(death=st.integers(1, 12))
def test_a_publication_that_goes_on_later_spares_what_came_meanwhile(death: int) -> None:
    place = MemoryPlace()
    publish(spec(), place, facts(OTHER), written(place, OTHER, 2))
    results = written(place, JOB, 2)
    with suppress(Killed):
        # it has noted what it replaces, and that is all it ever replaces
        fragile = FragilePlace(place, killed_before(death))
        publish(spec("overwrite"), fragile, facts(JOB), results)
    publish(spec("append"), place, facts(LATE), written(place, LATE, 1))

    publish(spec("overwrite"), place, facts(JOB), results)

    assert visible(place) == names(JOB, 2) | names(LATE, 1)


@given(mode=st.sampled_from(["fail", "append", "overwrite"]), stop=st.integers(0, 12))
def test_one_who_was_replaced_and_wakes_up_again_harms_nothing(mode: OutputMode, stop: int) -> None:
    place, undisturbed = MemoryPlace(), MemoryPlace()
    for one in (place, undisturbed):
        if mode != "fail":
            publish(spec(), one, facts(OTHER), written(one, OTHER, 2))
    results = written(place, JOB, 3)
    publish(spec(mode), undisturbed, facts(JOB), written(undisturbed, JOB, 3))
    asleep = stop

    def step() -> None:
        nonlocal asleep
        if asleep == 0:
            publish(spec(mode), place, facts(JOB), results)
        asleep -= 1

    with suppress(NotFound):
        # a file that it wants to rename may have its name already
        publish(spec(mode), FragilePlace(place, step), facts(JOB), results)

    sweep(place, JOB)
    assert place.files == undisturbed.files
