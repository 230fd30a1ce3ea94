"""Reading the table of sample rows."""

from pathlib import Path

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.importing.table import find_columns, numbers, read_table, texts


def written(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "table.json"
    file.write_text(content)
    return file


def test_columns_become_arrays_with_their_gaps(tmp_path: Path) -> None:
    table = read_table(
        written(
            tmp_path,
            '{"columns": [{"name": "age", "values": [31, null, 2.5, true]},'
            '{"name": "city", "values": ["a", null, "", "b"]}]}',
        )
    )
    age, city = find_columns(table, ["age", "city"])
    np.testing.assert_array_equal(numbers(age), np.array([31, np.nan, 2.5, 1], np.float32))
    assert texts(city).tolist() == ["a", None, "", "b"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1, 2]", "cannot be read"),
        ('{"columns": [{"name": "a", "values": [[1]]}]}', "cannot be read"),
        ('{"columns": []}', "need the same number"),
        ('{"columns": [{"name": "a", "values": []}]}', "need the same number"),
        (
            '{"columns": [{"name": "a", "values": [1]}, {"name": "b", "values": [1, 2]}]}',
            r"\[1, 2\] values",
        ),
        (
            '{"columns": [{"name": "a", "values": [1]}, {"name": "a", "values": [2]}]}',
            "names a column twice",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        read_table(written(tmp_path, content))


def test_a_column_of_the_wrong_kind_is_named(tmp_path: Path) -> None:
    table = read_table(
        written(
            tmp_path,
            '{"columns": [{"name": "a", "values": ["x"]}, {"name": "b", "values": [1]}]}',
        )
    )
    with pytest.raises(InvalidArgument, match="'a' of the table holds strings"):
        numbers(table.columns[0])
    with pytest.raises(InvalidArgument, match="'b' of the table holds numbers"):
        texts(table.columns[1])
    with pytest.raises(InvalidArgument, match=r"lacks the columns \['c'\]"):
        find_columns(table, ["a", "c"])
