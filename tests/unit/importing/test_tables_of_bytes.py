"""Columns of bytes in training tables: texts of another kind for those who take them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from augurium.client.sample_table import sample_table
from augurium.client.training_data import training_data
from augurium.core.errors import InvalidArgument
from augurium.importing.table import read_table

TABLE = {"image": [b"\xff\xd8", b"text", None], "size": [1, 2, 3]}


def written(folder: Path, content: Any) -> Path:
    file = folder / "table"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("form", ["arrow", "json"])
def test_a_column_of_bytes_is_read_where_they_are_taken(tmp_path: Path, form: str) -> None:
    content = training_data(TABLE) if form == "arrow" else sample_table(TABLE)
    file = written(tmp_path, content)
    image, size = read_table(file, binary=True).columns
    assert (image.name, image.values, image.is_text) == ("image", [b"\xff\xd8", "text", None], True)
    assert size.values == [1, 2, 3]
    assert read_table(file).names == ["size"]


@pytest.mark.parametrize(
    "kind",
    [pa.large_binary(), pa.binary_view(), pa.binary(2), pa.dictionary(pa.int8(), pa.binary())],
)
def test_every_type_of_bytes_in_arrow_is_read(tmp_path: Path, kind: Any) -> None:
    array = pa.array([b"\xff\xd8", b"ab"], pa.binary())
    array = array.dictionary_encode() if pa.types.is_dictionary(kind) else array.cast(kind)
    file = written(tmp_path, training_data(pa.table({"image": array})))
    assert read_table(file, binary=True).columns[0].values == [b"\xff\xd8", "ab"]


@pytest.mark.parametrize("value", [{"b64": "a"}, {"b64": 1}, {"x": "y"}, {"b64": "/9g=", "x": "y"}])
def test_other_objects_are_no_bytes(tmp_path: Path, value: Any) -> None:
    file = written(tmp_path, json.dumps({"image": [value]}).encode())
    with pytest.raises(InvalidArgument):
        read_table(file, binary=True)
