"""Input examples of MLflow as rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from augurium.importing.mlflow_example import WIDENED_ROWS, read_example, widened

NAMES = ("age", "city")
ROWS = [[31.5, "Bern"], [None, "Rom"]]


def example(folder: Path, content: Any, names: tuple[str, ...] = ()) -> Any:
    (folder / "input_example.json").write_text(json.dumps(content))
    return read_example(folder / "input_example.json", names)


@pytest.mark.parametrize(
    "content",
    [
        {"columns": NAMES, "data": ROWS},
        {"dataframe_split": {"columns": NAMES, "data": ROWS}},
        {"inputs": {"columns": NAMES, "data": ROWS}, "params": {"seed": 1}},
        [{"age": 31.5, "city": "Bern"}, {"city": "Rom"}],
        {"age": [31.5, None], "city": ["Bern", "Rom"]},
    ],
)
def test_rows_are_read_however_they_were_written(tmp_path: Path, content: Any) -> None:
    found = example(tmp_path, content)
    assert found.is_named
    assert found.table.names == ["age", "city"]
    assert [column.values for column in found.table.columns] == [[31.5, None], ["Bern", "Rom"]]


def test_one_object_is_one_row(tmp_path: Path) -> None:
    found = example(tmp_path, {"age": 31, "member": True})
    assert [column.values for column in found.table.columns] == [[31], [True]]


def test_rows_without_names_take_those_of_the_signature(tmp_path: Path) -> None:
    assert example(tmp_path, ROWS, NAMES).table.names == ["age", "city"]
    assert example(tmp_path, ROWS, NAMES).is_named
    assert example(tmp_path, {"inputs": ROWS}).table.names == ["f0", "f1"]
    assert not example(tmp_path, {"inputs": ROWS}).is_named


@pytest.mark.parametrize(
    "content",
    [
        [], {}, 7, "text", None, [[[1.0, 2.0]]], {"image": [[1, 2], [3, 4]]}, {"a": [1], "b": []},
        {"columns": ["a"], "data": [[1, 2]]}, {"columns": ["a", "a"], "data": [[1, 2]]},
        {"columns": 7, "data": 8}, [[1], [1, 2]], [{"a": 1}, 2], {"messages": [{"role": "user"}]},
    ],
)  # fmt: skip
def test_what_is_no_table_is_passed_over(tmp_path: Path, content: Any) -> None:
    assert example(tmp_path, content) is None


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": NaN', "\udcff"])
def test_damage_is_passed_over(tmp_path: Path, text: str) -> None:
    file = tmp_path / "input_example.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_example(file, ()) is None


def test_few_rows_are_widened_by_others_of_their_kind(tmp_path: Path) -> None:
    found = example(tmp_path, {"age": [31.5, None], "city": ["Bern", "Rom"], "rooms": [2, 3]})
    age, city, rooms = (column.values for column in widened(found.table).columns)
    assert len(age) == len(city) == len(rooms) == WIDENED_ROWS
    assert age[:2] == [31.5, None]
    assert len(set(age)) > 100
    assert (set(city), set(rooms)) == ({"Bern", "Rom"}, {2, 3})
