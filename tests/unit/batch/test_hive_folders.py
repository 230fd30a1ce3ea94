"""Names of folders by values: what readers make of them again."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.hive_folders import check_folder_columns, folder_name, split
from augurium.core.errors import InvalidArgument

VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(VALUES, VALUES)
def test_a_name_is_one_folder_and_gives_its_value_back(column: str, value: str) -> None:
    name = folder_name([column], [value])
    assert not set(name) & set('/\\?#"*:\0\n')
    assert name.count("=") == 1
    assert [unquote(part) for part in name.split("=")] == [column, value]


@pytest.mark.parametrize(
    ("values", "folder"),
    [
        (pa.array([7], pa.int32()), "key=7"),
        (pa.array([True]), "key=true"),
        (pa.array([0.5], pa.float32()), "key=0.5"),
        (pa.array([Decimal("1.50")]), "key=1.50"),
        (pa.array([date(2026, 1, 31)]), "key=2026-01-31"),
        (pa.array([datetime(2026, 1, 31, 12)], pa.timestamp("s")), "key=2026-01-31 12%3A00%3A00"),
        (pa.array([""]), "key=__HIVE_DEFAULT_PARTITION__"),
        (pa.array([None], pa.int64()), "key=__HIVE_DEFAULT_PARTITION__"),
        (pa.array([None]), "key=__HIVE_DEFAULT_PARTITION__"),
    ],
)
def test_values_of_every_type_have_a_folder(values: pa.Array, folder: str) -> None:
    table = pa.table({"key": values, "x": [1]})
    assert [one.folder for one in split(table, ["key"])] == [folder]


@pytest.mark.parametrize("kind", [pa.binary(), pa.list_(pa.int64()), pa.list_(pa.int64(), 2)])
def test_columns_whose_values_have_no_texts_are_refused(kind: pa.DataType) -> None:
    check_folder_columns([pa.field("day", pa.date32())])
    with pytest.raises(InvalidArgument, match="partitioned by 'key', because folders cannot be"):
        check_folder_columns([pa.field("key", kind)])


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 2))), max_size=30
    )
)
def test_every_row_is_in_the_folder_of_its_values_and_in_no_other(rows: list[Any]) -> None:
    letters = pa.array([letter for letter, _ in rows], pa.string())
    digits = pa.array([digit for _, digit in rows], pa.int64())
    table = pa.table({"id": pa.array(range(len(rows)), pa.int64()), "a": letters, "b": digits})
    expected: dict[str, list[int]] = {}
    for number, (letter, digit) in enumerate(rows):
        value = "__HIVE_DEFAULT_PARTITION__" if digit is None else digit
        expected.setdefault(f"a={letter}/b={value}", []).append(number)
    found = {folder: part["id"].to_pylist() for folder, part in split(table, ["a", "b"])}
    assert found == expected
    assert list(found) == list(expected)
