"""CSV becomes rows of the signature's types, and what is no row is set aside with its reason."""

import bz2
import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.batch.input_plan import look_at_input
from augurium.core.batch_job import CsvRules, InputSpec
from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge
from augurium.core.tensors import TensorSpec
from tests.support.batch_inputs import (
    Read,
    local_storage,
    numbers,
    read_input,
    read_plan,
    signature_of,
    texts,
)

AMOUNT_AND_AGE = signature_of(numbers("amount", "age"))


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(folder: Path, content: str | bytes, **spec: Any) -> Read:
    return read_input(AMOUNT_AND_AGE, written(folder, content), **spec)


def test_rows_have_the_types_of_the_signature_and_their_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, "age,id,amount\n30,x,1.5\n41,y,2\n", keep=("id",))
    assert found.table.to_pydict() == {"amount": [1.5, 2.0], "age": [30.0, 41.0], "id": ["x", "y"]}
    assert found.table.schema.field("amount").type == pa.float32()
    assert found.rows == [1, 2]
    assert found.read_rows == 2
    assert found.rejected == []


def test_columns_may_have_other_names_than_features(tmp_path: Path) -> None:
    found = read(tmp_path, "Alter,Betrag\n30,1.5\n", columns={"age": "Alter", "amount": "Betrag"})
    assert found.column("age") == [30.0]
    assert found.column("amount") == [1.5]


def test_a_kept_column_that_is_a_feature_is_in_a_block_twice(tmp_path: Path) -> None:
    signature = signature_of(texts("city", cleaning=("trim", "lower")))
    found = read_input(signature, written(tmp_path, 'city\n" Rome "\n'), keep=("*",))
    assert found.column("city") == ["rome"]
    assert found.table.column("city").to_pylist() == [" Rome "]


def test_quoted_values_may_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    signature = signature_of(texts("note"), numbers("n"))
    content = 'note,n\n"a,b",1\n"line\none",2\n"say ""hi""",3\n"",4\nplain,5\n'
    found = read_input(signature, written(tmp_path, content), csv=CsvRules(null_values=()))
    assert found.column("note") == ["a,b", "line\none", 'say "hi"', "", "plain"]
    assert found.rows == [1, 2, 3, 4, 5]


def test_quotes_inside_of_values_that_are_not_quoted_mean_themselves(tmp_path: Path) -> None:
    signature = signature_of(texts("pipe"), numbers("n"))
    content = 'pipe,n\n5" wide,1\n"6"" and\nmore",2\n7" by 8",3\n'
    found = read_input(signature, written(tmp_path, content), partition_rows=1)
    assert found.column("pipe") == ['5" wide', '6" and\nmore', '7" by 8"']
    assert found.rows == [1, 2, 3]
    assert len(found.plan.partitions) == 3


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_in_any_way(tmp_path: Path, line_end: str, last: bool) -> None:
    content = line_end.join(["amount,age", "1,2", "3,4"]) + line_end * last
    found = read(tmp_path, content, partition_rows=1)
    assert found.column("amount") == [1.0, 3.0]
    assert found.rejected == []


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("latin-1", "latin-1"),
        ("cp1252", "windows-1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-32", "utf-32"),
        ("shift_jis", "shift_jis"),
    ],
)
def test_texts_come_in_many_encodings(tmp_path: Path, encoding: str, name: str) -> None:
    value = "表\n示" if encoding == "shift_jis" else "Zür\nich é"
    signature = signature_of(texts("city"), numbers("n"))
    content = "".join(f'"{value}",{row}\r\n' for row in range(10))
    file = written(tmp_path, f"city,n\r\n{content}".encode(encoding))
    found = read_input(signature, file, csv=CsvRules(encoding=name), partition_rows=3)
    assert found.column("city") == [value] * 10
    assert found.rows == list(range(1, 11))


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_compression_is_told_by_the_name(tmp_path: Path, ending: str, pack: Any) -> None:
    packed = pack(b"amount,age\n1,2\n") + pack(b"3,4\n")
    found = read_input(AMOUNT_AND_AGE, written(tmp_path, packed, f"rows.csv.{ending}"))
    assert found.column("age") == [2.0, 4.0]
    assert found.rows == [1, 2]


def test_zstandard_is_read(tmp_path: Path) -> None:
    packed = pa.compress(b"amount,age\n1,2\n3,4\n", "zstd", asbytes=True)
    found = read_input(AMOUNT_AND_AGE, written(tmp_path, packed, "rows.csv.zst"))
    assert found.column("age") == [2.0, 4.0]


def test_delimiter_quote_names_and_nulls_are_as_the_rules_say(tmp_path: Path) -> None:
    signature = signature_of(numbers("amount", nullable=True), texts("city"))
    rules = CsvRules(
        delimiter=";", quote="'", header=False, names=("city", "amount"), null_values=("NA", "-")
    )
    found = read_input(signature, written(tmp_path, "'a;b';1\nc;NA\nd;-\n"), csv=rules)
    assert found.column("city") == ["a;b", "c", "d"]
    assert str(found.column("amount")) == "[1.0, nan, nan]"


def test_rows_that_are_none_are_set_aside_with_their_number_and_reason(tmp_path: Path) -> None:
    lines = [
        "amount,age",
        "1,1",  # 1
        "1,2,3",  # 2 ragged
        "1",  # 3 ragged
        "x,4",  # 4 wrong type
        "",  # 5 empty: no row
        "1,",  # 6 missing
        "1e39,7",  # 7 out of range
        "a\0,8",  # 8 NUL
        "1,y",  # 9
        "1,\xff",  # 10 not UTF-8
        "nan,11",  # 11 missing
        "inf,12",  # 12 good
        "1,13\r1,13",  # 13 a carriage return
        '1,"14',  # 14 a quote that is not closed
        "15,15",  # 15 good
    ]
    found = read(tmp_path, "\n".join(lines).encode("latin-1"))
    assert sorted(found.bad) == [
        (2, "", "malformed"),
        (3, "", "malformed"),
        (4, "amount", "wrong_type"),
        (6, "age", "missing"),
        (7, "amount", "wrong_type"),
        (8, "", "malformed"),
        (9, "age", "wrong_type"),
        (10, "", "malformed"),
        (11, "amount", "missing"),
        (13, "", "malformed"),
        (14, "", "malformed"),
    ]
    assert found.rows == [1, 12, 15]
    assert found.read_rows == 14
    reasons = {row.row: row.reason for row in found.rejected}
    assert reasons[2] == "the row has 3 fields, the header 2"
    assert reasons[4] == "'x' is not a number that fits float"
    assert "not closed" in reasons[14]
    assert "not utf-8" in reasons[10]
    assert all(row.file == str(tmp_path / "rows.csv") for row in found.rejected)


CELLS = st.sampled_from(
    ["1", " 2.5 ", "-3e2", "", "  ", "nan", "inf", "x", "1e39", "0x1F", "1_0", '"4"', '""', "+5"]
)
ROWS = st.one_of(
    st.tuples(CELLS, CELLS).map(",".join),
    st.sampled_from(["", "1", "1,2,3", '"a\nb",1', "1\0,2", "1,\u00ff", '5" x,1', '"a"b,1', "\r"]),
)


@settings(max_examples=60)
@given(rows=st.lists(ROWS, min_size=1, max_size=12))
def test_a_row_is_judged_alike_whatever_its_neighbours_are(
    rows: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    together = read(folder, "amount,age\n" + "\n".join(rows) + "\n")
    alone: list[Any] = []
    for number, row in enumerate(rows, 1):
        one = read(folder, f"amount,age\n{row}\n")
        alone += [(number, values) for values in zip(*one.table.to_pydict().values(), strict=True)]
    found = zip(*together.table.to_pydict().values(), strict=True)
    assert str(list(zip(together.rows, found, strict=True))) == str(alone)


PLAIN = st.text(st.sampled_from('ab ,"\n\r;é'), max_size=6)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=30), cut=st.integers(1, 5))
def test_what_a_writer_wrote_is_what_is_read_however_it_is_cut(
    rows: list[tuple[str, str]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sink = io.StringIO(newline="")
    csv.writer(sink, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    file = written(tmp_path_factory.mktemp("rows"), sink.getvalue())
    signature = signature_of(texts("a"), texts("b"))
    found = read_input(signature, file, partition_rows=cut, csv=CsvRules(null_values=()))
    assert list(zip(found.column("a"), found.column("b"), strict=True)) == rows
    assert found.rows == list(range(1, len(rows) + 1))
    assert found.rejected == []


def test_a_look_tells_what_is_wrong_without_reading_to_the_end(tmp_path: Path) -> None:
    file = written(tmp_path, "amount,age\n1,2\n3,4\n")
    spec, storage = InputSpec(paths=(str(file),)), local_storage()
    plan = look_at_input(spec, AMOUNT_AND_AGE, storage)
    assert (plan.files, plan.total_bytes, plan.rows) == (1, 19, None)
    assert read_plan(plan, spec, AMOUNT_AND_AGE, storage).rows == [1, 2]
    written(tmp_path, "amount\n1\n")
    with pytest.raises(InvalidArgument, match="has no column"):
        look_at_input(spec, AMOUNT_AND_AGE, storage)


def test_a_wrong_delimiter_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"one column, if its delimiter is ','.* 1 ';'"):
        read(tmp_path, "amount;age\n1;2\n")


def test_a_missing_column_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"rows.csv has no column \['age'\].*is it \['Age'\]"):
        read(tmp_path, "amount,Age,x\n1,2,3\n")


def test_a_first_row_that_is_no_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not end within"):
        read(tmp_path, "x" * 3_000_000)
    with pytest.raises(InvalidArgument, match="cannot be read as CSV: field larger"):
        read(tmp_path, "x" * 200_000 + "\n")


def test_a_used_name_that_two_columns_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="more than one column 'age'"):
        read(tmp_path, "amount,age,age\n1,2,3\n")


def test_other_columns_may_have_one_name(tmp_path: Path) -> None:
    assert read(tmp_path, "amount,x,x,age\n1,2,3,4\n").column("age") == [4.0]


def test_columns_may_stand_in_another_order_in_each_file(tmp_path: Path) -> None:
    written(tmp_path, "amount,age\n1,2\n", "a.csv")
    written(tmp_path, "age,other,amount\n3,x,4\n", "b.csv")
    found = read_input(AMOUNT_AND_AGE, tmp_path)
    assert found.column("amount") == [1.0, 4.0]
    assert found.places == [(str(tmp_path / "a.csv"), 1), (str(tmp_path / "b.csv"), 1)]


def test_a_file_without_a_column_that_the_first_has_is_told(tmp_path: Path) -> None:
    written(tmp_path, "amount,age\n1,2\n", "a.csv")
    written(tmp_path, "amount\n1\n", "b.csv")
    with pytest.raises(InvalidArgument, match=r"b.csv has no column \['age'\], but .*a.csv has"):
        read_input(AMOUNT_AND_AGE, tmp_path)


@pytest.mark.parametrize("content", ["", "amount,age", "amount,age\n", "amount,age\r\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, content)
    assert found.rows == []
    assert found.table.schema.names == ["amount", "age"]


def test_a_file_that_is_damaged_where_it_is_compressed_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"amount,age\n" + b"1,2\n" * 100_000)
    for content in (packed[: len(packed) // 2], b"no gzip at all"):
        with pytest.raises(InvalidArgument, match=r"rows.csv.gz is no whole gzip file"):
            read_input(AMOUNT_AND_AGE, written(tmp_path, content, "rows.csv.gz"))


def test_a_bomb_is_not_read_to_its_end(tmp_path: Path) -> None:
    bomb = pa.compress(bytes(2**20), "zstd", asbytes=True) * 2000
    with pytest.raises((TooLarge, InvalidArgument), match=r"becomes more than|cannot"):
        read_input(AMOUNT_AND_AGE, written(tmp_path, b"amount,age\n", "a.csv"), written(
            tmp_path, pa.compress(b"amount,age\n1,2\n", "zstd", asbytes=True) + bomb, "b.csv.zst"
        ))  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"delimiter": "é"}, "one ASCII character"),
        ({"delimiter": "\n"}, "one ASCII character"),
        ({"quote": ","}, "the same"),
        ({"names": ("a",)}, "header"),
        ({"header": False}, "names of their columns"),
        ({"header": False, "names": ("amount",)}, "has 2 fields"),
        ({"encoding": "klingon"}, "encoding 'klingon' is not known"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(
    tmp_path: Path, rules: dict[str, Any], told: str
) -> None:
    with pytest.raises(AuguriumError, match=told):
        read(tmp_path, "amount,age\n1,2\n", csv=CsvRules(**rules))


def test_a_mark_of_another_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="give the encoding utf-16"):
        read(tmp_path, "amount,age\n1,2\n".encode("utf-16"))


def test_whole_numbers_times_and_lenient_inputs_are_read_as_they_are_meant(tmp_path: Path) -> None:
    signature = signature_of(
        TensorSpec("count", "INT8", (-1, 1)),
        TensorSpec("flag", "BOOL", (-1, 1)),
        TensorSpec("at", "FP64", (-1, 1), moment=True),
        TensorSpec("loose", "FP32", (-1, 1), nullable=True, lenient=True),
    )
    lines = [
        "count,flag,at,loose",
        "1,true,2026-01-31T12:00:00Z,1.5",
        "128,true,0,1",
        "2.0,true,0,1",
        "3,yes,0,1",
        "4,0,tomorrow,1",
        "5,False,12.5,what",
        ",true,0,1",
    ]
    found = read_input(signature, written(tmp_path, "\n".join(lines)))
    assert found.rows == [1, 6]
    assert found.column("count") == [1, 5]
    assert found.column("at") == [1769860800.0, 12.5]
    assert str(found.column("loose")) == "[1.5, nan]"
    assert sorted(found.bad) == [
        (2, "count", "wrong_type"),
        (3, "count", "wrong_type"),
        (4, "flag", "wrong_type"),
        (5, "at", "wrong_type"),
        (7, "count", "missing"),
    ]
