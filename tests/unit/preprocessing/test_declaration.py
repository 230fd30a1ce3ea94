"""Declarations are read from JSON and TOML and checked before anything is fitted."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import (
    Bucketize,
    Clip,
    Column,
    Cross,
    DateParts,
    Hash,
    Impute,
    MinMax,
    OneHot,
    Preprocessing,
    Robust,
    Standardize,
    TargetMean,
    read_preprocessing,
)


def read(tmp_path: Path, name: str, content: str) -> Preprocessing:
    file = tmp_path / name
    file.write_text(content)
    return read_preprocessing(file)


def test_json_and_toml_read_as_what_python_declares(tmp_path: Path) -> None:
    declared = Preprocessing(
        [Impute(["age"], indicator=True), OneHot("city")], [Column("when", "datetime"), "age"]
    ).checked()
    as_toml = """
        columns = [{name = "when", type = "datetime"}, "age"]
        [[transforms]]
        type = "impute"
        columns = ["age"]
        indicator = true
        [[transforms]]
        type = "one_hot"
        columns = "city"
    """

    assert read(tmp_path, "p.json", msgspec.json.encode(declared).decode()) == declared
    assert read(tmp_path, "p.toml", as_toml) == declared


def test_python_lists_do_for_tuples() -> None:
    as_tuples = Preprocessing((Standardize(("a", "b")),), ("c",))

    assert Preprocessing([Standardize(["a", "b"])], ["c"]).checked() == as_tuples.checked()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('{"transforms": [{"type": "impute"}]}', "missing required field `columns`"),
        ('{"transforms": [{"type": "magic", "columns": "a"}]}', "Invalid value 'magic'"),
        ('{"transforms": [], "steps": []}', "unknown field `steps`"),
        (
            '{"transforms": [{"type": "impute", "columns": "a", "stratgy": "mean"}]}',
            "unknown field `stratgy`",
        ),
        ('{"transforms": [{"type": "impute", "columns": []}]}', "names no column"),
        ('{"transforms": [{"type": "impute", "columns": "a", "strategy": "max"}]}', "'max'"),
    ],
)
def test_what_is_not_a_declaration_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read(tmp_path, "p.json", content)


def test_broken_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"'p.toml' is not TOML"):
        read(tmp_path, "p.toml", "transforms = [")


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (Impute("a", "constant"), "needs 'value' with the strategy constant"),
        (Impute("a", "mean", 3.0), "needs 'value' with the strategy constant"),
        (Clip("a"), "neither 'low' nor 'high'"),
        (Clip("a", 2, 1), "low 2.0 above high 1.0"),
        (Bucketize("a", "edges"), "needs 'edges' with the strategy edges"),
        (Bucketize("a", "edges", edges=(2, 1)), "edges in rising order"),
        (Bucketize("a", buckets=1), "needs 2 to 1000 buckets"),
        (Robust("a", 0.8, 0.2), "0 <= low < high <= 1"),
        (MinMax("a", 1, 1), "needs low below high"),
        (Hash("a", 0), "needs 1 to 16777216 buckets"),
        (Hash("a", 5000, one_hot=True), "more than 4096 columns"),
        (Hash("a", seed=-1), "needs a seed"),
        (TargetMean("a", -1), "smoothing of 0 or more"),
        (Cross("a", "b"), "at least two columns"),
        (Cross(("a", "b")), "needs the name of its 'output'"),
        (OneHot("a", max_categories=-1), "max_categories of 0 or more"),
        (DateParts("a", ()), "at least one part"),
    ],
)
def test_impossible_values_are_refused_with_what_is_needed(transform: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Preprocessing((transform,)).checked()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("a", "a"), "column 'a' is declared twice"),
        ((Column("a", missing="default"),), "needs both missing = 'default' and a 'default'"),
        ((Column("a", default=1.0),), "needs both missing = 'default' and a 'default'"),
    ],
)
def test_columns_that_contradict_themselves_are_refused(columns: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Preprocessing((), columns).checked()
