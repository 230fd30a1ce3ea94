"""Reading training data, whatever file it comes in."""

import datetime as dt
import decimal
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from augurium.core.errors import InvalidArgument
from augurium.importing.arrow_csv import ArrowCsvTable
from augurium.importing.plain_csv import PlainCsvTable
from augurium.importing.training_table import MAX_COLUMNS, Kind, TrainingTable, open_table

AGES = [31.0, None, 2.5, -4.0]
CITIES = ["Rome", None, "Oslo", "n\u00e4mlich, \u2603\nyes"]
TABLE = pa.table({"age": AGES, "city": CITIES})


def to_ipc_file(table: Any, file: Path) -> None:
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def to_ipc_stream(table: Any, file: Path) -> None:
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def to_csv(table: Any, file: Path) -> None:
    table.to_pandas().to_csv(file, index=False)


def to_json(table: Any, file: Path) -> None:
    file.write_text(json.dumps(table.to_pydict()))


def to_json_rows(table: Any, file: Path) -> None:
    file.write_text(json.dumps(table.to_pylist()))


WRITERS = [
    lambda table, file: pq.write_table(table, file),
    lambda table, file: pyarrow.feather.write_feather(table, file),
    to_ipc_file,
    to_ipc_stream,
    to_csv,
    to_json,
    to_json_rows,
]


def all_of(table: TrainingTable) -> dict[str, list[Any]]:
    """All values, None where one is missing."""
    found: dict[str, list[Any]] = {field.name: [] for field in table.fields}
    for block in table.blocks():
        for name, values in block.items():
            gaps = np.zeros(len(values), bool) if values.missing is None else values.missing
            content = values.content.tolist()
            found[name] += [None if g else v for v, g in zip(content, gaps, strict=True)]
    return found


def read(content: Any, tmp_path: Path) -> TrainingTable:
    file = tmp_path / "table"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        pq.write_table(content, file)
    return open_table(file)


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_says_the_same(write: Callable[[Any, Path], None], tmp_path: Path) -> None:
    write(TABLE, tmp_path / "table")
    table = open_table(tmp_path / "table")
    assert all_of(table) == {"age": AGES, "city": CITIES}
    assert table.left_out == ()


def test_csv_without_pyarrow_says_the_same(tmp_path: Path) -> None:
    to_csv(TABLE, tmp_path / "table")
    assert all_of(PlainCsvTable(tmp_path / "table")) == {"age": AGES, "city": CITIES}


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([True, None, False]), "boolean", [1.0, None, 0.0]),
        (pa.array([1, None, 2**53], pa.int64()), "integer", [1.0, None, 2.0**53]),
        (pa.array([255, 0], pa.uint8()), "integer", [255.0, 0.0]),
        (pa.array([0.5, math.inf], pa.float16()), "number", [0.5, math.inf]),
        (pa.array([decimal.Decimal("1.25"), None]), "number", [1.25, None]),
        (pa.array([dt.datetime(1970, 1, 2, tzinfo=dt.UTC)]), "number", [86400.0]),
        (pa.array([0, 1], pa.timestamp("ns")), "number", [0.0, 1e-9]),
        (pa.array([dt.date(1970, 1, 3), None]), "number", [172800.0, None]),
        (pa.array([86400000], pa.date64()), "number", [86400.0]),
        (pa.array([dt.time(0, 0, 2)]), "number", [2.0]),
        (pa.array([dt.timedelta(seconds=3)]), "number", [3.0]),
        (pa.array([None, None]), "number", [None, None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), "text", ["a", None, "a"]),
        (pa.array([7, None]).dictionary_encode(), "integer", [7.0, None]),
        (pa.array(["x", ""], pa.large_string()), "text", ["x", ""]),
    ],
    ids=str,
)
def test_every_usable_type_of_arrow_is_read(
    values: Any, kind: str, expected: list[Any], tmp_path: Path
) -> None:
    to_ipc_file(pa.table({"x": values}), tmp_path / "table")
    table = open_table(tmp_path / "table")
    assert [field.kind for field in table.fields] == [kind]
    assert all_of(table) == {"x": expected}


def test_nan_is_a_value_and_null_is_none(tmp_path: Path) -> None:
    (block,) = read(pa.table({"x": [math.nan, None]}), tmp_path).blocks()
    assert np.isnan(block["x"].content).all()
    assert block["x"].missing.tolist() == [False, True]


def test_columns_of_other_types_are_left_out_and_named(tmp_path: Path) -> None:
    table = read(
        pa.table(
            {
                "age": [1],
                "words": [["a", "b"]],
                "place": [{"lat": 1.0}],
                "photo": [b"\xff"],
            }
        ),
        tmp_path,
    )
    assert [field.name for field in table.fields] == ["age"]
    assert table.left_out == (
        "words (list<element: string>)",
        "place (struct<lat: double>)",
        "photo (binary)",
    )
    assert all_of(table) == {"age": [1.0]}


def test_a_csv_column_is_text_if_one_late_value_is(tmp_path: Path) -> None:
    lines = ["code,n"] + [f"{i},{i}" for i in range(300_000)] + ["x7,1"]
    content = "\n".join(lines).encode()
    table = read(content, tmp_path)
    assert [field.kind for field in table.fields] == ["text", "number"]
    found = all_of(table)
    assert (found["code"][0], found["code"][-1], len(found["n"])) == ("0", "x7", 300_001)


def test_a_table_is_read_block_by_block_and_as_often_as_wanted(tmp_path: Path) -> None:
    table = read(pa.table({"x": np.arange(200_000), "y": np.zeros(200_000)}), tmp_path)
    for _ in range(2):
        sizes = [len(block["x"]) for block in table.blocks()]
        assert len(sizes) > 1
        assert sum(sizes) == 200_000


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfage,city\r\n31,Rome\r\n\r\n2,Oslo\r\n"
    expected = {"age": [31.0, 2.0], "city": ["Rome", "Oslo"]}
    assert all_of(read(content, tmp_path)) == expected
    assert all_of(PlainCsvTable(tmp_path / "table")) == expected


@pytest.mark.parametrize("kind", [ArrowCsvTable, PlainCsvTable])
def test_truth_values_of_a_csv_are_booleans(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a,b,c\nTrue,true,true\n,FALSE,no\nFalse,NA,false\n")
    table = kind(tmp_path / "t")
    assert [field.kind for field in table.fields] == ["boolean", "boolean", "text"]
    found = all_of(table)
    assert (found["a"], found["b"]) == ([1.0, None, 0.0], [1.0, 0.0, None])


@pytest.mark.parametrize("kind", [ArrowCsvTable, PlainCsvTable])
def test_declared_kinds_of_a_csv_hold_whatever_it_looks_like(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("zip,score,n\n01234,1.5,1\n01235,much,2\n")
    declared = {"zip": Kind.TEXT, "score": Kind.NUMBER, "n": Kind.NUMBER, "other": Kind.NUMBER}
    found = all_of(kind(tmp_path / "t", declared))
    assert found == {"zip": ["01234", "01235"], "score": [1.5, "much"], "n": [1.0, 2.0]}


def test_a_row_of_a_csv_that_is_too_long_is_refused(tmp_path: Path) -> None:
    content = b"a,b\n1,2\n" + b"x" * (20 * 1024**2) + b",3\n"
    with pytest.raises(InvalidArgument, match="a row is longer than 8 MiB; shorten its values"):
        all_of(read(content, tmp_path))


def test_a_csv_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    table = read(b",age\n0,31\n1,2\n", tmp_path)
    assert table.left_out == ("column 1 (it has no name)",)
    assert all_of(table) == {"age": [31.0, 2.0]}


CSV_FAULTS = [
    (b"a,b\n1,2\n3\n", "as CSV"),
    (b"a,b\n1,2,3\n", "as CSV"),
    (b'a,b\n1,"2\n3,4\n', "as CSV"),
    (b"a,b\n1,\xe4\n", "as CSV"),
    (b"a,b\n1,\x002\n", "NUL byte at 6"),
    ("a,b\n1,2\n".encode("utf-16-le"), "NUL byte at 1"),
    (b"a,a\n1,2\n", r"names a column twice: \['a'\]"),
    (b"a,b\n", "no rows"),
]


@pytest.mark.parametrize(("content", "says"), CSV_FAULTS)
def test_a_faulty_csv_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=says):
        all_of(read(content, tmp_path))


@pytest.mark.parametrize(("content", "says"), CSV_FAULTS)
def test_a_faulty_csv_is_refused_without_pyarrow(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "table"
    file.write_bytes(content)
    with pytest.raises(InvalidArgument, match=says):
        all_of(PlainCsvTable(file))


def parquet_of(tmp_path: Path) -> bytes:
    pq.write_table(TABLE, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("kept", [4, 20, 0.5, 0.95])
def test_a_truncated_parquet_file_is_refused(kept: float, tmp_path: Path) -> None:
    content = parquet_of(tmp_path)
    count = int(kept if kept > 1 else kept * len(content))
    with pytest.raises(InvalidArgument, match="cannot be read as Parquet"):
        all_of(read(content[:count], tmp_path))


def test_a_damaged_parquet_page_is_refused(tmp_path: Path) -> None:
    content = bytearray(parquet_of(tmp_path))
    content[4:60] = b"\xff" * 56
    with pytest.raises(InvalidArgument, match="cannot be read as Parquet"):
        all_of(read(bytes(content), tmp_path))


@pytest.mark.parametrize("write", [to_ipc_file, to_ipc_stream])
@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_a_truncated_arrow_file_is_refused(
    write: Callable[[Any, Path], None], kept: float, tmp_path: Path
) -> None:
    write(TABLE, tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    with pytest.raises(InvalidArgument, match="cannot be read as Arrow"):
        all_of(read(content[: int(kept * len(content))], tmp_path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"\x1f\x8b\x08 rest", "compressed with gzip"),
        (b"PK\x03\x04 rest", "an Excel file; save the sheet as CSV"),
        (b"\x80\x04 rest", "a pickle, which is never loaded"),
        (b"FEA1 rest", "an old Feather file"),
        (b"train/a.parquet".ljust(257, b"\0") + b"ustar", "is a folder; send one of its files"),
        ("a,b\n1,2".encode("utf-16"), "not UTF-8"),
        (b"[1, 2]", "cannot be read"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"a": [1], "a": [1}', "cannot be read as JSON"),
        (b'{"a": [{"b": 1}]}', "cannot be read"),
        (b'{"a": [1], "b": [1, 2]}', r"\[1, 2\] values"),
        (b'{"a": [' + b"9" * 400 + b"]}", "too large for a float"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_is_no_table_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=says):
        all_of(read(content, tmp_path))


def test_tables_without_usable_columns_or_with_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"no column of numbers.*words \(list"):
        read(pa.table({"words": [["a"]]}), tmp_path)
    wide = pa.table({f"c{i}": [1] for i in range(MAX_COLUMNS + 1)})
    with pytest.raises(InvalidArgument, match=f"at most {MAX_COLUMNS} are allowed"):
        read(wide, tmp_path)
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(InvalidArgument, match="names a column twice"):
        read(twice, tmp_path)
    with pytest.raises(InvalidArgument, match="no rows"):
        all_of(read(TABLE.slice(0, 0), tmp_path))


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    content = b"a,b\n1," + b"x" * (20 * 1024**2) + b"\n"
    with pytest.raises(InvalidArgument, match="cannot be read as CSV"):
        all_of(read(content, tmp_path))
    with pytest.raises(InvalidArgument, match="cannot be read as CSV"):
        PlainCsvTable(tmp_path / "table")


def test_without_pyarrow_csv_and_json_are_read_and_parquet_names_what_is_missing(
    tmp_path: Path,
) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    to_csv(TABLE, tmp_path / "t.csv")
    to_json(TABLE, tmp_path / "t.json")
    program = """
import sys
sys.modules["pyarrow"] = None
import importlib.machinery, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pyarrow" else real(name, *rest)
from pathlib import Path
from augurium.core.errors import Unprocessable
from augurium.importing.training_table import open_table
for name in ("t.csv", "t.json"):
    assert sum(len(b["age"]) for b in open_table(Path(name)).blocks()) == 4
try:
    open_table(Path("t.parquet"))
except Unprocessable as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip install 'augurium[tables]'" in ran.stdout


def test_frames_with_types_of_pandas_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], "Int64"),
            "s": pd.array(["a", None], "string"),
            "c": pd.Categorical(["x", None]),
            "t": pd.to_datetime(["1970-01-01T00:00:01Z", None]),
        }
    )
    frame.to_parquet(tmp_path / "table")
    assert all_of(open_table(tmp_path / "table")) == {
        "n": [1.0, None],
        "s": ["a", None],
        "c": ["x", None],
        "t": [1.0, None],
    }
