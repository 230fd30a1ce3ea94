"""Files of a partition: what is in them, and that they depend on the rows alone."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.batch.output_format import COMPRESSIONS
from augurium.batch.partition import RejectedRow, WrittenFile
from augurium.batch.partition_writer import open_writer
from augurium.core.batch_job import OutputFormat, OutputSpec
from augurium.core.errors import InvalidArgument
from tests.support.output_places import MemoryPlace
from tests.support.output_rows import answers, blocks, read_rows

JOB = "1f" * 16
FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
SUFFIXES = {"parquet": ".parquet", "arrow": ".arrow", "csv": ".csv", "jsonl": ".jsonl"}


def spec(form: OutputFormat = "parquet", compression: str = "", *by: str) -> OutputSpec:
    path = "memory://output"
    return OutputSpec(path=path, format=form, compression=compression, partition_by=by)


def write(
    place: MemoryPlace, asked: OutputSpec, batches: list[pa.RecordBatch]
) -> tuple[WrittenFile, ...]:
    writer = open_writer(asked, place, JOB, token=4, partition=17)
    for batch in batches:
        writer.write(batch)
    return writer.close()


def rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    return list(batch.to_pylist())


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose scores, of 32 bits, are values of their own, as they are in CSV."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            found |= {f"{name}_{place}": np.float32(one) for place, one in enumerate(value)}
        else:
            found[name] = np.float32(value) if name.startswith("scores_") else value
    return found


def test_a_partition_is_a_file_that_waits_apart_from_what_is_visible() -> None:
    place = MemoryPlace()
    (file,) = write(place, spec(), [answers(100)])

    assert file.name.startswith("part-00017-")
    assert file.staged == f"_augurium/{JOB}/4/{file.name}.staged"
    assert set(place.files) == {file.staged}
    content = place.files[file.staged]
    assert (file.size_bytes, file.rows) == (len(content), 100)
    assert file.digest == hashlib.sha256(content).hexdigest()


def test_files_of_two_jobs_never_have_the_same_name() -> None:
    place = MemoryPlace()
    staged: list[WrittenFile] = []
    for job in ("1f" * 16, "1f" * 15 + "1e"):
        writer = open_writer(spec(), place, job, 1, 0)
        writer.write(answers(1))
        staged += writer.close()
    assert staged[0].name != staged[1].name


@pytest.mark.parametrize(
    ("form", "compression"),
    [(form, compression) for form in FORMATS for compression in COMPRESSIONS[form]],
)
def test_rows_are_read_back_as_they_were_written(form: OutputFormat, compression: str) -> None:
    place = MemoryPlace()
    batch = answers(2_500)
    (file,) = write(place, spec(form, compression), [batch])

    suffix = file.name[file.name.index(".") :]
    found = [flat(row) for row in read_rows(place.files[file.staged], suffix)]
    expected = [flat(row) for row in rows_of(batch)]
    assert list(found[0]) == list(expected[0])
    assert found == expected


def test_numbers_in_json_lines_are_as_short_as_they_can_be() -> None:
    place = MemoryPlace()
    scores = pa.array([0.1, float("nan"), float("inf"), None], pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.1, 0.2] * 4, pa.float32()), 2)
    batch = pa.record_batch({"score": scores, "scores": vectors})
    (file,) = write(place, spec("jsonl"), [batch])

    lines = place.files[file.staged].decode().splitlines()
    assert lines[0] == '{"score":0.1,"scores":[0.1,0.2]}'
    assert lines[1:] == ['{"score":null,"scores":[0.1,0.2]}'] * 3


def test_times_in_json_lines_are_texts() -> None:
    place = MemoryPlace()
    times = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    days = pa.array([19_000], pa.date32())
    (file,) = write(place, spec("jsonl"), [pa.record_batch({"at": times, "day": days})])

    expected = b'{"at":"2023-11-14 22:13:20.123456789","day":"2022-01-08"}\n'
    assert place.files[file.staged] == expected


@pytest.mark.parametrize("by", [(), ("country",), ("country", "label")])
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_rows_are_the_same_bytes_whatever_blocks_they_come_in(
    form: OutputFormat, by: tuple[str, ...]
) -> None:
    batch = answers(150_000)
    found = []
    for sizes in ([150_000], [65_536], [1_000, 7, 40_000]):
        place = MemoryPlace()
        write(place, spec(form, "", *by), list(blocks(batch, sizes)))
        found.append(place.files)
    assert found[0] == found[1] == found[2]


@settings(max_examples=30)
@given(
    rows=st.integers(0, 3_000),
    sizes=st.lists(st.integers(1, 1_500), min_size=1, max_size=4),
    form=st.sampled_from(FORMATS),
    by=st.sampled_from([(), ("country",), ("label", "country")]),
)
def test_the_same_rows_are_the_same_bytes_in_any_blocks_at_all(
    rows: int, sizes: list[int], form: OutputFormat, by: tuple[str, ...]
) -> None:
    batch = answers(rows)
    whole, cut = MemoryPlace(), MemoryPlace()
    empty = batch.slice(0, 0)
    first = write(whole, spec(form, "", *by), [batch])
    second = write(cut, spec(form, "", *by), [empty, *blocks(batch, sizes)])
    assert whole.files == cut.files
    assert first == second
    assert sum(file.rows for file in first) == rows


def test_folders_have_the_rows_of_their_values_in_their_order() -> None:
    place = MemoryPlace()
    batch = answers(5_000)
    files = write(place, spec("parquet", "", "country"), [batch])

    folders = {file.name.partition("/")[0] for file in files}
    assert folders == {
        "country=DE",
        "country=FR",
        "country=a%2Fb%3Dc",
        "country=日本",
        "country=__HIVE_DEFAULT_PARTITION__",
    }
    for file in files:
        rows = read_rows(place.files[file.staged], ".parquet")
        assert "country" not in rows[0]
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    german = next(file for file in files if file.name.startswith("country=DE/"))
    expected = [row["id"] for row in rows_of(batch) if row["country"] == "DE"]
    found = read_rows(place.files[german.staged], ".parquet")
    assert [row["id"] for row in found] == expected


@pytest.mark.parametrize("rows", [400_000])
def test_rows_of_many_folders_are_neither_lost_nor_doubled(rows: int) -> None:
    place = MemoryPlace()
    keys = [number * 7_919 % 97 for number in range(rows)]
    batch = pa.record_batch({"id": pa.array(range(rows)), "key": pa.array(keys)})
    files = write(place, spec("parquet", "", "key"), list(blocks(batch, [50_000])))

    assert len({file.name for file in files}) == len(files) >= 97
    ids = [row["id"] for file in files for row in read_rows(place.files[file.staged], ".parquet")]
    assert sorted(ids) == list(range(rows))


@pytest.mark.parametrize("by", [(), ("key",)])
def test_long_texts_make_small_groups_whatever_blocks_they_come_in(by: tuple[str, ...]) -> None:
    rows, text_bytes = 600, 500_000
    texts = [chr(97 + row % 26) * (text_bytes if row % 3 else 10) for row in range(rows)]
    keys = pa.array([row % 2 for row in range(rows)])
    batch = pa.record_batch({"text": pa.array(texts), "key": keys})
    found = []
    for sizes in ([rows], [7, 100]):
        place = MemoryPlace()
        files = write(place, spec("parquet", "", *by), list(blocks(batch, sizes)))
        found.append(place.files)
        for file in files:
            metadata = pq.read_metadata(io.BytesIO(place.files[file.staged]))
            most = max(metadata.row_group(one).num_rows for one in range(metadata.num_row_groups))
            assert most * text_bytes < 100 * 1024 * 1024
    assert found[0] == found[1]


def test_very_many_rejected_rows_are_all_written_in_order() -> None:
    place = MemoryPlace()
    writer = open_writer(spec(), place, JOB, 4, 17)
    with ThreadPoolExecutor(4) as threads:
        for row in range(20_000, 0, -1):
            threads.submit(writer.reject, RejectedRow("a.csv", row, "age", "missing", "nothing"))
    (file,) = writer.close()
    rows = read_rows(place.files[file.staged], ".parquet")
    assert [row["row"] for row in rows] == list(range(1, 20_001))


def test_a_column_that_would_make_very_many_folders_is_refused() -> None:
    batch = pa.record_batch({"id": pa.array(range(20_000)), "x": pa.array(range(20_000))})
    with pytest.raises(InvalidArgument, match="more than 10000 folders"):
        write(MemoryPlace(), spec("parquet", "", "id"), [batch])


def test_a_value_that_is_too_long_for_a_folder_is_named() -> None:
    batch = pa.record_batch({"key": pa.array(["x" * 300]), "x": pa.array([1])})
    with pytest.raises(InvalidArgument, match=r"column 'key' has the value 'xxx.*too long"):
        write(MemoryPlace(), spec("parquet", "", "key"), [batch])


def test_a_block_without_rows_makes_a_file_that_says_what_columns_there_are() -> None:
    place = MemoryPlace()
    (file,) = write(place, spec("csv"), [answers(0)])
    assert file.rows == 0
    assert place.files[file.staged].startswith(b'"id","user","country"')


def test_without_any_block_there_is_no_file() -> None:
    place = MemoryPlace()
    assert write(place, spec(), []) == ()
    assert place.files == {}


@pytest.mark.parametrize("form", FORMATS)
def test_rejected_rows_stand_in_their_own_file_in_the_order_of_the_input(
    form: OutputFormat,
) -> None:
    place = MemoryPlace()
    writer = open_writer(spec(form), place, JOB, 4, 17)
    rows = [
        RejectedRow("b.csv", 9, "age", "wrong_type", "'old' is not a number"),
        RejectedRow("a.csv", 30, "", "malformed", 'a quote " that\nis open'),
        RejectedRow("a.csv", 4, "age", "missing", "nothing where a number is needed"),
    ]
    for row in rows:
        writer.reject(row)
    (file,) = writer.close()

    assert (file.rejected, file.rows) == (True, 3)
    assert file.name.startswith("_rejected/rejected-00017-")
    found = read_rows(place.files[file.staged], SUFFIXES[form])
    assert [(row["file"], row["row"]) for row in found] == [
        ("a.csv", 4),
        ("a.csv", 30),
        ("b.csv", 9),
    ]
    assert [row["kind"] for row in found] == ["missing", "malformed", "wrong_type"]
    assert found[1]["reason"] == 'a quote " that\nis open'


def test_what_is_given_up_leaves_nothing_behind() -> None:
    place = MemoryPlace()
    writer = open_writer(spec(), place, JOB, 4, 17)
    writer.write(answers(200_000))
    writer.abort()
    assert place.files == {}


def test_a_compression_that_a_format_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="arrow files cannot be compressed by 'gzip'"):
        open_writer(spec("arrow", "gzip"), MemoryPlace(), JOB, 1, 0)
