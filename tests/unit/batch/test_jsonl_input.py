"""JSON Lines become rows of the signature's types; lines that are none are set aside."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.batch_job import CsvRules
from augurium.core.errors import InvalidArgument
from augurium.core.tensors import TensorSpec
from tests.support.batch_inputs import Read, numbers, read_input, signature_of, texts

SIGNATURE = signature_of(numbers("amount"), texts("city", nullable=True, missing_value="?"))


def written(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(folder: Path, *lines: str, **spec: Any) -> Read:
    return read_input(SIGNATURE, written(folder, "\n".join(lines)), **spec)


def test_objects_are_rows(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '{"amount": 1, "city": "Rome", "other": [1, {"a": null}]}',
        '{"city": null, "amount": -2.5e1}',
        "",
        '  {"amount": 3}  ',
        partition_rows=1,
    )
    assert found.column("amount") == [1.0, -25.0, 3.0]
    assert found.column("city") == ["Rome", "?", "?"]
    assert found.rows == [1, 2, 4]
    assert found.rejected == []
    assert len(found.plan.partitions) == 4


def test_what_is_kept_has_the_type_of_the_first_rows(tmp_path: Path) -> None:
    lines = [
        {
            "amount": 1,
            "city": "",
            "id": 7,
            "share": 1,
            "ok": True,
            "name": "a",
            "list": [1, "x"],
            "big": 2**70,
        },
        {"amount": 1, "id": 8, "share": 0.5, "ok": None, "name": "b", "list": None, "big": 1},
        {"amount": 1, "name": 5},
    ]
    kept = ("id", "share", "ok", "name", "list", "big")
    found = read(tmp_path, *map(json.dumps, lines), keep=kept)
    assert found.table.select(list(kept)).to_pydict() == {
        "id": [7, 8, None],
        "share": [1.0, 0.5, None],
        "ok": [True, None, None],
        "name": ["a", "b", "5"],
        "list": ['[1,"x"]', None, None],
        "big": [float(2**70), 1.0, None],
    }
    assert found.table.schema.field("id").type == pa.int64()


def test_lines_that_are_no_rows_are_set_aside_with_their_number_and_reason(tmp_path: Path) -> None:
    lines = [
        b'{"amount": 1}',  # 1
        b"null",  # 2
        b"[1]",  # 3
        b'{"amount": 1',  # 4
        b'{"amount": "5"}',  # 5
        b'{"amount": true}',  # 6
        b'{"amount": null}',  # 7
        b'{"city": "x"}',  # 8
        b'{"amount": 1e39}',  # 9
        b'{"amount": 1, "city": 5}',  # 10
        b'{"amount": 1}{"amount": 2}',  # 11
        b'{"amount": 1, "city": "\xff"}',  # 12
        b'{"amount": NaN}',  # 13
        b"\0",  # 14
        b'{"amount": 15}',  # 15
        b"[" * 100_000,  # 16
        b'{"x": ' + b"[" * 100_000,  # 17
    ]
    found = read_input(SIGNATURE, written(tmp_path, b"\n".join(lines)))
    assert found.rows == [1, 15]
    assert found.read_rows == 17
    assert sorted(found.bad) == [
        (2, "", "wrong_type"),
        (3, "", "wrong_type"),
        (4, "", "malformed"),
        (5, "amount", "wrong_type"),
        (6, "amount", "wrong_type"),
        (7, "amount", "missing"),
        (8, "amount", "missing"),
        (9, "amount", "wrong_type"),
        (10, "city", "wrong_type"),
        (11, "", "malformed"),
        (12, "", "malformed"),
        (13, "", "malformed"),
        (14, "", "malformed"),
        (16, "", "wrong_type"),
        (17, "", "malformed"),
    ]
    reasons = {row.row: row.reason for row in found.rejected}
    assert reasons[2] == "expected 'object', got 'null'"
    assert reasons[5] == "expected 'float', got 'str'"
    assert reasons[9] == "1e+39 is out of the range of float"


def test_types_of_many_kinds_are_held_against_the_signature(tmp_path: Path) -> None:
    signature = signature_of(
        TensorSpec("count", "UINT8", (-1, 1)),
        TensorSpec("wide", "UINT64", (-1, 1)),
        TensorSpec("flag", "BOOL", (-1, 1)),
        TensorSpec("at", "FP64", (-1, 1), moment=True),
        TensorSpec("loose", "FP32", (-1, 1), nullable=True, lenient=True),
        TensorSpec("v", "FP32", (-1, 2)),
    )
    good = {"count": 1, "wide": 2**64 - 1, "flag": True, "at": 5.5, "loose": 1, "v": [1, 2.5]}
    lines = [
        good,
        {**good, "count": 256},
        {**good, "count": 1.5},
        {**good, "wide": -1},
        {**good, "flag": 1},
        {**good, "at": "2026-01-31T12:00:00Z", "loose": "what"},
        {**good, "at": "soon"},
        {**good, "at": False},
        {**good, "v": [1]},
        {**good, "v": [1, "x"]},
        {**good, "v": [1, None]},
        {**good, "loose": 1e300},
    ]
    found = read_input(signature, written(tmp_path, "\n".join(map(json.dumps, lines))))
    assert found.rows == [1, 6, 12]
    assert found.column("wide") == [2**64 - 1] * 3
    assert found.column("at") == [5.5, 1769860800.0, 5.5]
    assert str(found.column("loose")) == "[1.0, nan, nan]"
    assert found.column("v") == [[1.0, 2.5]] * 3
    columns = {row.row: row.column for row in found.rejected}
    assert columns == {
        2: "count", 3: "count", 4: "wide", 5: "flag", 7: "at", 8: "at", 9: "v", 10: "v", 11: "v",
    }  # fmt: skip


VALUES = st.sampled_from(["1", "2.5", "null", '"x"', "true", "1e39", "1e400", "[1]", "-0", "01"])
LINES = st.one_of(
    VALUES.map(lambda value: f'{{"amount": {value}}}'),
    st.sampled_from(["", " ", "null", "{", '{"amount": 1, "city": 1}', '{"amount":1}{"amount":1}']),
)


@settings(max_examples=60)
@given(lines=st.lists(LINES, min_size=1, max_size=12))
def test_a_line_is_judged_alike_whatever_its_neighbours_are(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    first = '{"amount": 0, "city": "x"}'
    together = read(folder, first, *lines)
    alone = [
        number for number, line in enumerate(lines, 2) if len(read(folder, first, line).rows) == 2
    ]
    assert together.rows == [1, *alone]


def test_files_may_be_compressed_marked_and_in_other_encodings(tmp_path: Path) -> None:
    line = '{"amount": 1, "city": "Zürich"}\n'
    for name, content, encoding in (
        ("a.jsonl.gz", gzip.compress(line.encode()), "utf-8"),
        ("b.jsonl", line.encode("utf-8-sig"), "utf-8"),
        ("c.jsonl", line.encode("latin-1"), "latin-1"),
        ("d.jsonl", line.encode("utf-16"), "utf-16"),
    ):
        file = written(tmp_path, content, name)
        found = read_input(SIGNATURE, file, csv=CsvRules(encoding=encoding))
        assert found.column("city") == ["Zürich"]


def test_a_file_that_is_no_json_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not begin with objects"):
        read(tmp_path, "amount,city", "1,2")
    with pytest.raises(InvalidArgument, match=r"no column \['amount', 'city'\]"):
        read(tmp_path, '{"x": 1}')


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    found = read_input(SIGNATURE, written(tmp_path, ""), keep=("id",))
    assert found.rows == []
    assert found.table.schema.names == ["amount", "city", "id"]
