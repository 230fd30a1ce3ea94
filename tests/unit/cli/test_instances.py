"""The inputs that `augurium predict` understands."""

import io
from pathlib import Path

import pytest

from augurium.cli.instances import parse_instances, read_instances
from augurium.core.errors import InvalidArgument

ROWS = [{"age": 31, "city": "Rome"}, {"age": None, "city": "Oslo"}]


@pytest.mark.parametrize(
    "text",
    [
        '[{"age": 31, "city": "Rome"}, {"age": null, "city": "Oslo"}]',
        '{"age": 31, "city": "Rome"}\n\n{"age": null, "city": "Oslo"}\n',
        "age,city\n31,Rome\n,Oslo\n",
        'age,city\r\n31,"Rome"\r\n,Oslo\r\n',
    ],
    ids=["list", "lines", "csv", "csv-of-windows"],
)
def test_the_same_instances_in_every_form(text: str) -> None:
    assert parse_instances(text) == ROWS


def test_an_object_is_one_instance() -> None:
    assert parse_instances('{\n "age": 31\n}') == [{"age": 31}]


def test_rows_without_names_stay_rows() -> None:
    assert parse_instances("[[1, 2], [3, 4]]") == [[1, 2], [3, 4]]
    assert parse_instances("[1, 2]\n[3, 4]") == [[1, 2], [3, 4]]


def test_csv_reads_numbers_and_leaves_texts() -> None:
    text = "a,b,c,d,e,f\n-7,1.5,.5e-3,1_000,nan,1.2.3\n"

    assert parse_instances(text) == [
        {"a": -7, "b": 1.5, "c": 0.0005, "d": "1_000", "e": "nan", "f": "1.2.3"}
    ]


def test_quoted_csv_fields_may_hold_commas_and_lines() -> None:
    assert parse_instances('note\n"a, b\nc"\n') == [{"note": "a, b\nc"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n", "empty"),
        ('{"age": 31', "not JSON"),
        ('{"age": 31}\n{"age": }', "line 2"),
        ("age,city\n31\n", "line 2 has 1 fields; expected 2"),
        ('age,city\n31,"Ro', "not CSV"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        parse_instances(text)


def test_sources_are_text_standard_input_and_files(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("age,city\n31,Rome\n,Oslo\n", "utf-8-sig")

    assert read_instances('[{"age": 1}]', io.StringIO()) == [{"age": 1}]
    assert read_instances("-", io.StringIO("age,city\n31,Rome\n,Oslo")) == ROWS
    assert read_instances(str(file), io.StringIO()) == ROWS


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["absent", "not-text"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "rows.csv"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InvalidArgument, match=r"rows\.csv"):
        read_instances(str(file), io.StringIO())
