"""A sample of training data as a table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from augurium.client.sample_table import MAX_ROWS, sample_table
from augurium.core.errors import InvalidArgument

EXPECTED = {"age": [31, None, 2.5], "city": ["a", None, "b"], "member": [True, False, None]}


def columns(data: object) -> dict[str, list[Any]]:
    table = json.loads(sample_table(data))
    return {column["name"]: column["values"] for column in table["columns"]}


def test_every_kind_of_table_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "columns.json").write_text(json.dumps(EXPECTED))
    rows = [dict(zip(EXPECTED, row, strict=True)) for row in zip(*EXPECTED.values(), strict=True)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "table.json").write_bytes(sample_table(EXPECTED))
    for data in (EXPECTED, pd.DataFrame(EXPECTED), rows, *tmp_path.iterdir()):
        assert columns(data) == EXPECTED


def test_csv_columns_are_numbers_where_all_values_are(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("age,city,zip\n31,a,01234\n,NA,x\n2.5,b,\n")
    assert columns(file) == {
        "age": [31, None, 2.5],
        "city": ["a", None, "b"],
        "zip": ["01234", "x", None],
    }


def test_parquet_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pd.DataFrame(EXPECTED).to_parquet(file)
    assert columns(str(file)) == EXPECTED


def test_numbers_of_numpy_and_missing_marks_of_pandas_become_plain() -> None:
    frame = pd.DataFrame({"n": np.array([1, 2], np.int8), "m": pd.array([1, None], "Int64")})
    assert columns(frame) == {"n": [1, 2], "m": [1, None]}
    assert columns({"x": [np.float32(0.5), float("nan"), float("inf")]}) == {"x": [0.5, None, None]}


def test_a_large_table_keeps_gaps_rare_categories_and_extremes() -> None:
    count = 50_000
    ages = list(range(count))
    cities: list[str | None] = ["common"] * count
    cities[123], cities[456], cities[789] = None, "rare", "rarer"
    found = columns({"age": ages, "city": cities})
    assert len(found["age"]) == MAX_ROWS
    assert {None, "rare", "rarer", "common"} == set(found["city"])
    assert {0, count - 1} <= set(found["age"])
    assert found["city"][found["age"].index(456)] == "rare"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    for content in ('{"columns": [{"values": [1]}]}', '{"columns": [7]}', "[1"):
        (tmp_path / "table.json").write_text(content)
        with pytest.raises(InvalidArgument, match=r"table\.json cannot be read"):
            sample_table(tmp_path / "table.json")


def test_a_column_of_names_does_not_crowd_out_the_rest() -> None:
    count = 5000
    found = columns({"name": [f"n{i}" for i in range(count)], "x": [None] + [1.0] * (count - 1)})
    assert len(found["x"]) == MAX_ROWS


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (7, "data of type int is not a table; expected a pandas DataFrame"),
        ({}, "need the same number"),
        ({"a": [1], "b": [1, 2]}, "need the same number"),
        ({"a": [object()]}, "column 'a' holds a value of type object"),
        ("model.xlsx", "expected a pandas DataFrame"),
        ("nowhere.csv", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(data: object, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        sample_table(data)
