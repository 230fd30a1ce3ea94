"""Paths name files: one, those of a folder, those that match a pattern."""

from pathlib import Path

import pytest

from augurium.batch.discovery import discovered
from augurium.batch.storage import Storage
from augurium.core.batch_job import Format, InputSpec
from augurium.core.errors import AuguriumError, InvalidArgument, NotFound, PermissionDenied
from augurium.core.settings import StorageSettings
from tests.support.batch_inputs import local_storage


def touched(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


def named(folder: Path, *paths: str, format: Format = "") -> list[str]:
    spec = InputSpec(paths=tuple(f"{folder}/{path}" for path in paths), format=format)
    found = discovered(spec, local_storage())
    return [file.location.removeprefix(f"{folder}/") for file in found.files]


def test_a_folder_has_the_files_below_it_but_no_marks_and_hidden_ones(tmp_path: Path) -> None:
    touched(tmp_path, "b.csv", "sub/a.csv", "_SUCCESS", ".b.csv.crc", "_augurium/x.csv", "a.csv")
    assert named(tmp_path, "") == ["a.csv", "b.csv", "sub/a.csv"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a1.csv", "a2.csv", "b1.csv"]),
        ("a?.csv", ["a1.csv", "a2.csv"]),
        ("[!a]*.csv", ["b1.csv"]),
        ("[a-b]1.csv", ["a1.csv", "b1.csv"]),
        ("*/*.csv", ["x/a1.csv"]),
        ("**/*.csv", ["a1.csv", "a2.csv", "b1.csv", "x/a1.csv", "x/y/a1.csv"]),
        ("x/**", ["x/a1.csv", "x/y/a1.csv"]),
        ("x/**/a1.csv", ["x/a1.csv", "x/y/a1.csv"]),
        ("a+1*", ["a+1.csv"]),
    ],
)
def test_patterns_match_within_a_name_and_two_stars_over_folders(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    touched(tmp_path, "a1.csv", "a2.csv", "b1.csv", "x/a1.csv", "x/y/a1.csv", "_x/a1.csv")
    if "+" in pattern:
        touched(tmp_path, "a+1.csv")
    assert named(tmp_path, pattern) == expected


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    touched(tmp_path, "a[1].csv", "a1.csv")
    assert named(tmp_path, "a[1].csv") == ["a[1].csv"]


def test_files_come_in_the_order_of_the_paths_and_each_once(tmp_path: Path) -> None:
    touched(tmp_path, "z/1.csv", "a/1.csv", "a/2.csv")
    assert named(tmp_path, "z", "a/2.csv", "a", "z/*") == ["z/1.csv", "a/2.csv", "a/1.csv"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.parquet", "parquet"),
        ("a.b.PQ", "parquet"),
        ("a.feather", "arrow"),
        ("a.csv.gz", "csv"),
        ("a.ndjson.zst", "jsonl"),
        ("a.jsonl.bz2", "jsonl"),
    ],
)
def test_a_name_tells_the_format(tmp_path: Path, name: str, expected: str) -> None:
    touched(tmp_path, name)
    spec = InputSpec(paths=(f"{tmp_path}/{name}",))
    assert discovered(spec, local_storage()).format == expected


@pytest.mark.parametrize(
    ("names", "path", "error", "told"),
    [
        ((), "absent", NotFound, "does not exist"),
        (("sub/_hidden",), "sub", InvalidArgument, "has no files"),
        (("a.csv",), "*.parquet", InvalidArgument, "no file matches"),
        (("a.csv", "b.parquet"), "", InvalidArgument, "several formats"),
        (("a.txt",), "a.txt", InvalidArgument, "give the format"),
        (("a.gz",), "a.gz", InvalidArgument, "give the format"),
        (("d=1/a.csv", "a.csv"), "", InvalidArgument, r"name the columns \[\]"),
    ],
)
def test_what_is_no_input_is_told(
    tmp_path: Path, names: tuple[str, ...], path: str, error: type[AuguriumError], told: str
) -> None:
    touched(tmp_path, *names)
    with pytest.raises(error, match=told):
        named(tmp_path, path)


def test_a_format_that_is_given_needs_no_name(tmp_path: Path) -> None:
    touched(tmp_path, "a.txt", "b")
    assert named(tmp_path, "", format="csv") == ["a.txt", "b"]


def test_folders_say_the_values_of_columns(tmp_path: Path) -> None:
    touched(tmp_path, "day=2026-01-31/city=S%C3%A3o%20Paulo/a.csv")
    found = discovered(InputSpec(paths=(str(tmp_path),)), local_storage())
    assert found.files[0].values == {"day": "2026-01-31", "city": "São Paulo"}


def test_a_pattern_does_not_lead_out_of_the_roots(tmp_path: Path) -> None:
    touched(tmp_path, "in/a.csv", "out/a.csv")
    storage = Storage(StorageSettings(), {}, [f"{tmp_path}/in"])
    with pytest.raises(PermissionDenied):
        discovered(InputSpec(paths=(f"{tmp_path}/in/../out/*.csv",)), storage)
    with pytest.raises(PermissionDenied):
        discovered(InputSpec(paths=(f"{tmp_path}/*/*.csv",)), storage)
