"""Parquet and Arrow become rows of the signature's types, whatever holds the values."""

import contextlib
import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from augurium.batch.input_changed import InputChanged
from augurium.batch.input_plan import plan_input
from augurium.batch.partition_rows import open_partition
from augurium.core.batch_job import InputSpec
from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge
from augurium.core.tensors import TensorSpec
from tests.support.batch_inputs import (
    local_storage,
    numbers,
    read_input,
    read_plan,
    signature_of,
    texts,
)

AMOUNT = signature_of(numbers("amount", "age"))
ONE = signature_of(numbers("x"))


def table(rows: int, first: int = 0) -> pa.Table:
    values = np.arange(first, first + rows)
    return pa.table({"age": values.astype(np.float32), "id": values, "amount": values / 2})


def write_arrow(data: pa.Table, file: Path, batch_rows: int, stream: bool = False) -> None:
    opened = ipc.new_stream if stream else ipc.new_file
    with opened(str(file), data.schema) as writer:
        writer.write_table(data, max_chunksize=batch_rows)


def write(data: pa.Table, file: Path, rows: int) -> None:
    if file.suffix == ".parquet":
        pq.write_table(data, file, row_group_size=rows)
    else:
        write_arrow(data, file, rows, stream=file.suffix == ".arrows")


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
def test_all_rows_are_read_once_in_order_with_their_numbers(tmp_path: Path, ending: str) -> None:
    for name, first in (("a", 0), ("b", 1000)):
        write(table(1000, first), tmp_path / f"{name}.{ending}", rows=300)
    found = read_input(AMOUNT, tmp_path, keep=("id",), partition_rows=500)
    assert found.table.column("id").to_pylist() == list(range(2000))
    assert found.column("amount") == [value / 2 for value in range(2000)]
    assert found.rows == [*range(1, 1001), *range(1, 1001)]
    assert found.table.schema.field("amount").type == pa.float32()
    assert found.table.schema.names == ["amount", "age", "id"]
    # where the rows of a stream begin is known when it was read
    expected = (1, None) if ending == "arrows" else (4, 2000)
    assert (len(found.plan.partitions), found.plan.rows) == expected


def test_partitions_are_about_as_large_as_asked(tmp_path: Path) -> None:
    for number in range(20):
        write(table(100), tmp_path / f"{number:02}.parquet", rows=100)
    write(table(5000), tmp_path / "large.parquet", rows=1000)
    found = read_input(AMOUNT, tmp_path, partition_rows=1000)
    assert [partition.rows for partition in found.plan.partitions] == [1000] * 7
    assert [partition.number for partition in found.plan.partitions] == list(range(7))


def test_a_large_row_group_is_shared_out(tmp_path: Path) -> None:
    write(table(10_000), tmp_path / "one.parquet", rows=10_000)
    found = read_input(AMOUNT, tmp_path, keep=("id",), partition_rows=1000)
    assert [partition.rows for partition in found.plan.partitions] == [2500] * 4
    assert found.table.column("id").to_pylist() == list(range(10_000))
    assert found.rows == list(range(1, 10_001))


def test_the_same_files_give_the_same_plan(tmp_path: Path) -> None:
    write(table(1000), tmp_path / "a.parquet", rows=10)
    spec = InputSpec(paths=(str(tmp_path),), keep=("*",))
    plans = [plan_input(spec, AMOUNT, local_storage(), 100) for _ in range(2)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 2], pa.int64()), [1.0, 2.0]),
        (pa.array([2**24 + 1, 2], pa.int32()), [16777216.0, 2.0]),
        (pa.array([1, 2], pa.uint8()), [1.0, 2.0]),
        (pa.array([0.1, 2], pa.float64()), [np.float32(0.1), 2.0]),
        (pa.array([1, 2], pa.float16()), [1.0, 2.0]),
        (pa.array([Decimal("1.25"), Decimal(2)], pa.decimal128(9, 2)), [1.25, 2.0]),
        (pa.array([1.5, 2.5]).dictionary_encode(), [1.5, 2.5]),
    ],
)
def test_numbers_of_any_type_are_taken(tmp_path: Path, column: Any, expected: list[float]) -> None:
    write(pa.table({"x": column}), tmp_path / "a.arrow", rows=10)
    assert read_input(ONE, tmp_path / "a.arrow").column("x") == expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["1", "2"]),
        pa.array([True, False]),
        pa.array([datetime.date(2026, 1, 1)]),
        pa.array([[1.0], [2.0]]),
        pa.array([{"a": 1}]),
        pa.array([b"1"]),
    ],
)
def test_a_type_that_a_feature_does_not_take_is_told_before_any_work(
    tmp_path: Path, column: Any
) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "a.parquet")
    kind = pq.read_schema(tmp_path / "a.parquet").field("x").type
    with pytest.raises(InvalidArgument) as caught:
        read_input(ONE, tmp_path / "a.parquet")
    assert str(caught.value) == (
        f"column 'x' of {tmp_path}/a.parquet has the type {kind}; feature 'x' expects numbers"
    )


def test_missing_values_set_a_row_aside_where_the_model_takes_none(tmp_path: Path) -> None:
    data = pa.table({"amount": [1.0, None, float("nan"), 4.0], "age": pa.array([1, 2, 3, None])})
    pq.write_table(data, tmp_path / "a.parquet")
    found = read_input(AMOUNT, tmp_path)
    assert found.rows == [1]
    assert found.bad == [
        (2, "amount", "missing"),
        (3, "amount", "missing"),
        (4, "age", "missing"),
    ]
    taken = read_input(signature_of(numbers("amount", "age", nullable=True)), tmp_path)
    assert str(taken.column("amount")) == "[1.0, nan, nan, 4.0]"
    assert taken.table.column(0).null_count == 0


def test_what_is_out_of_range_is_set_aside_and_infinity_is_not(tmp_path: Path) -> None:
    wide = pa.table({"x": [1e39, float("inf"), 1.0, -1e300]})
    pq.write_table(wide, tmp_path / "a.parquet")
    found = read_input(ONE, tmp_path / "a.parquet")
    assert found.rows == [2, 3]
    assert found.rejected[0].reason == "1e+39 is out of the range of FP32"
    pq.write_table(pa.table({"x": [1, 300, -1, 255]}), tmp_path / "b.parquet")
    small = signature_of(TensorSpec("x", "UINT8", (-1, 1)))
    found = read_input(small, tmp_path / "b.parquet")
    assert found.column("x") == [1, 255]
    assert found.bad == [(2, "x", "wrong_type"), (3, "x", "wrong_type")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_are_seconds_since_1970(tmp_path: Path, unit: str) -> None:
    moment = signature_of(TensorSpec("at", "FP64", (-1, 1), moment=True))
    stamps = (
        pa.array([1_000_000_000, 0], pa.int64())
        .cast(pa.timestamp("s"))
        .cast(pa.timestamp(unit, "UTC"))
    )
    write(pa.table({"at": stamps}), tmp_path / "a.arrow", rows=10)
    assert read_input(moment, tmp_path / "a.arrow").column("at") == [1e9, 0.0]
    dates = pa.array([datetime.date(1970, 1, 2)])
    pq.write_table(pa.table({"at": dates}), tmp_path / "b.parquet")
    assert read_input(moment, tmp_path / "b.parquet").column("at") == [86400.0]


def test_texts_are_cleaned_and_held_against_the_categories(tmp_path: Path) -> None:
    spec = texts(
        "city",
        nullable=True,
        missing_value="?",
        cleaning=("trim", "lower"),
        categories=("rome", "oslo"),
    )
    column = pa.array([" Rome", None, "Bonn", "OSLO"]).dictionary_encode()
    pq.write_table(pa.table({"city": column}), tmp_path / "a.parquet")
    found = read_input(signature_of(spec), tmp_path)
    assert found.column("city") == ["rome", "?", "oslo"]
    assert found.rows == [1, 2, 4]
    assert found.rejected[0].kind == "not_in_signature"
    assert "has not learned 'bonn'; expected one of ['rome', 'oslo']" in found.rejected[0].reason


def test_bytes_stay_bytes_where_the_model_takes_any(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": [b"\xff\xd8", b"ok"]}), tmp_path / "a.parquet")
    assert read_input(signature_of(texts("picture")), tmp_path).column("picture") == [
        b"\xff\xd8",
        b"ok",
    ]
    learned = read_input(signature_of(texts("picture", categories=("ok",))), tmp_path)
    assert learned.column("picture") == ["ok"]
    assert learned.bad == [(1, "picture", "wrong_type")]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32())])
def test_lists_are_flat_and_of_one_size(tmp_path: Path, kind: Any) -> None:
    signature = signature_of(TensorSpec("v", "FP32", (-1, 2)))
    rows = [[1, 2], None, [3], [4, 5], [6, None], [7, 8, 9], [1e30, 1e30]]
    pq.write_table(pa.table({"v": pa.array(rows, kind)}), tmp_path / "a.parquet")
    found = read_input(signature, tmp_path)
    assert found.rows == [1, 4, 7]
    assert found.table.schema.field("v").type == pa.list_(pa.float32(), 2)
    assert found.column("v")[:2] == [[1.0, 2.0], [4.0, 5.0]]
    assert found.bad == [
        (2, "v", "missing"),
        (3, "v", "wrong_type"),
        (5, "v", "missing"),
        (6, "v", "wrong_type"),
    ]


def test_nested_lists_have_the_shape_of_the_input(tmp_path: Path) -> None:
    signature = signature_of(TensorSpec("m", "INT32", (-1, 2, 3)))
    good, turned, short = [[1, 2, 3], [4, 5, 6]], [[1, 2], [3, 4], [5, 6]], [[1, 2, 3]]
    pq.write_table(pa.table({"m": [good, turned, short, good]}), tmp_path / "a.parquet")
    found = read_input(signature, tmp_path)
    assert found.rows == [1, 4]
    assert found.column("m") == [[1, 2, 3, 4, 5, 6]] * 2
    flat = pa.array([[1, 2, 3, 4, 5, 6]], pa.list_(pa.int64(), 6))
    write(pa.table({"m": flat}), tmp_path / "b.arrow", rows=1)
    assert read_input(signature, tmp_path / "b.arrow").column("m") == [[1, 2, 3, 4, 5, 6]]


def test_folders_are_columns(tmp_path: Path) -> None:
    for day, age in (("2026-01-01", 10), ("__HIVE_DEFAULT_PARTITION__", 20)):
        folder = tmp_path / f"day={day}" / f"age={age}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"amount": [1.0, 2.0]}), folder / "a.parquet")
    found = read_input(AMOUNT, tmp_path, keep=("day",), where="age > 5 AND amount < 2 OR day > '2'")
    assert found.table.column("day").to_pylist() == ["2026-01-01", "2026-01-01", None]
    assert found.column("age") == [10.0, 10.0, 20.0]
    assert found.filtered_rows == 1
    (tmp_path / "day=x" / "age=old").mkdir(parents=True)
    pq.write_table(pa.table({"amount": [1.0]}), tmp_path / "day=x" / "age=old" / "a.parquet")
    with pytest.raises(InvalidArgument, match=r"age=old of .* does not fit float"):
        read_input(AMOUNT, tmp_path)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "jsonl"])
def test_rows_that_are_filtered_out_keep_the_numbers_of_the_others(
    tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"a.{ending}"
    rows = [(value, value % 3) for value in range(10)]
    if ending == "csv":
        file.write_text("x,k\n" + "".join(f"{x},{k}\n" for x, k in rows))
    elif ending == "jsonl":
        file.write_text("".join(f'{{"x": {x}, "k": {k}}}\n' for x, k in rows))
    else:
        write(pa.table({"x": [x for x, _ in rows], "k": [k for _, k in rows]}), file, rows=4)
    found = read_input(ONE, file, where="CAST(k AS INTEGER) = 1")
    assert found.rows == [2, 5, 8]
    assert found.column("x") == [1.0, 4.0, 7.0]
    assert found.table.schema.names == ["x"]
    assert (found.read_rows, found.filtered_rows) == (10, 7)


def test_a_bad_filter_is_told_before_any_work(tmp_path: Path) -> None:
    write(table(10), tmp_path / "a.parquet", rows=10)
    with pytest.raises(InvalidArgument, match=r"the filter 'no_such > 1' cannot be used"):
        read_input(AMOUNT, tmp_path, where="no_such > 1")


def test_optional_features_may_be_absent_and_others_may_not(tmp_path: Path) -> None:
    signature = signature_of(
        numbers("amount"), TensorSpec("age", "FP32", (-1, 1), nullable=True, optional=True)
    )
    pq.write_table(pa.table({"amount": [1.0]}), tmp_path / "a.parquet")
    assert read_input(signature, tmp_path).plan.sources == {"amount": "amount"}
    pq.write_table(pa.table({"age": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match=r"no column \['amount'\].*it has \['age'\]"):
        read_input(signature, tmp_path)


def test_a_mapping_of_what_is_no_feature_is_refused(tmp_path: Path) -> None:
    write(table(1), tmp_path / "a.parquet", rows=1)
    with pytest.raises(InvalidArgument, match=r"\['amuont'\].*did you mean 'amount'"):
        read_input(AMOUNT, tmp_path, columns={"amuont": "age"})


def test_files_may_have_other_types_for_a_feature_but_not_for_what_is_kept(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "k": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [2.5], "k": ["1"]}), tmp_path / "b.parquet")
    assert read_input(ONE, tmp_path).column("x") == [1.0, 2.5]
    with pytest.raises(InvalidArgument, match=r"'k' has the type string in .*b.parquet, but int64"):
        read_input(ONE, tmp_path, keep=("k",))
    pq.write_table(pa.table({"x": ["2"], "k": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InvalidArgument, match=r"'x' of .*b.parquet has the type string"):
        read_input(ONE, tmp_path)


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("damage", ["cut", "none", "magic", "empty"])
def test_a_damaged_file_is_told_by_its_name(tmp_path: Path, ending: str, damage: str) -> None:
    write(table(1000), tmp_path / f"a.{ending}", rows=100)
    whole = (tmp_path / f"a.{ending}").read_bytes()
    content = {"cut": whole[:-300], "none": b"what", "magic": b"x" * 500, "empty": b""}[damage]
    (tmp_path / f"b.{ending}").write_bytes(content)
    if (damage, ending) == ("empty", "arrow"):
        assert len(read_input(AMOUNT, tmp_path).rows) == 1000
        return
    with pytest.raises(InvalidArgument, match=rf"b.{ending} cannot be read as"):
        read_input(AMOUNT, tmp_path)


@pytest.mark.parametrize("ending", ["arrow", "arrows"])
def test_rows_without_columns_are_refused(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    write(table(100).select([]), file, rows=30)
    with pytest.raises(InvalidArgument, match=rf"a.{ending} has no columns"):
        read_input(AMOUNT, file, keep=("*",))


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.integers(0, 4))
def test_whatever_byte_is_wrong_a_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, ending: str, place: float, byte: int, cut: int
) -> None:
    file = tmp_path_factory.mktemp("damaged") / f"a.{ending}"
    data = table(100).append_column("city", pa.array(["a", None, "bb", "c"] * 25))
    write(data.append_column("v", pa.array([[1.0, 2.0]] * 100)), file, rows=30)
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    content[at : at + cut + 1] = bytes([byte])
    file.write_bytes(content)
    with contextlib.suppress(AuguriumError):
        found = read_input(AMOUNT, file, keep=("*",))
        assert len(found.rows) + len(found.rejected) == found.read_rows


def test_pages_that_were_damaged_are_found(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(table(100_000), file, compression="none", write_page_checksum=True)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InvalidArgument, match=r"a.parquet cannot be read as Parquet"):
        read_input(AMOUNT, file, keep=("*",))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_long_text_in_many_rows_is_not_written_out(tmp_path: Path, ending: str) -> None:
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(30_000, np.int32)), ["x" * 2**20])
    plain = pa.array(["a", None, "b"] * 10_000)
    kept = ("plain", "coded")
    data = pa.table({"long": long, "x": np.arange(30_000), "plain": plain})
    data = data.append_column("coded", plain.dictionary_encode())
    write(data, tmp_path / f"a.{ending}", rows=30_000)
    found = read_input(ONE, tmp_path, keep=kept)
    assert found.table.select(list(kept)).equals(data.select(list(kept)))
    with pytest.raises(TooLarge, match=r"column 'long' of .*a\..* texts of .* bytes"):
        read_input(ONE, tmp_path, keep=("long",))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_files_without_rows_are_no_fault(tmp_path: Path, ending: str) -> None:
    write(table(0), tmp_path / f"a.{ending}", rows=10)
    found = read_input(AMOUNT, tmp_path, keep=("id",))
    assert found.plan.partitions == ()
    assert found.table.schema.names == ["amount", "age", "id"]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv"])
def test_a_file_that_changes_during_a_job_is_noticed(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    if ending == "csv":
        file.write_text("amount,age\n" + "1,2\n" * 1000)
    else:
        write(table(100_000), file, rows=100_000)
    spec = InputSpec(paths=(str(file),))
    storage = local_storage()
    plan = plan_input(spec, AMOUNT, storage, 1_000_000)
    rows = iter(open_partition(plan.partitions[0], plan, spec, AMOUNT, storage, print))
    next(rows)
    with file.open("ab") as stream:
        stream.write(b"1,2\n")
    with pytest.raises(InputChanged, match=r"input_changed: .* was changed"):
        list(rows)
    with pytest.raises(InputChanged, match="input_changed"):
        read_plan(plan, spec, AMOUNT, storage)
    file.unlink()
    with pytest.raises(InputChanged, match="is gone"):
        read_plan(plan, spec, AMOUNT, storage)


def test_rows_of_different_sizes_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": [[1.0], [2.0, 3.0]]}), tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="rows of different sizes"):
        read_input(signature_of(TensorSpec("v", "FP32", (-1, -1))), tmp_path)
