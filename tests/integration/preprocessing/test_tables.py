"""Training tables of every kind, read batch by batch in memory that does not grow."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from augurium.core.errors import InvalidArgument, NotFound
from augurium.preprocessing import (
    Column,
    DateParts,
    Frequency,
    Impute,
    OneHot,
    Preprocessing,
    Standardize,
)

RNG = np.random.default_rng(0)
ROWS = 200_000
FRAME = pd.DataFrame(
    {
        "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40, 12, ROWS)),
        "rooms": RNG.integers(0, 4, ROWS),
        "city": RNG.choice(["Rome", "Oslo", "Lima"], ROWS),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS), unit="min"),
    }
)
DECLARED = Preprocessing(
    (
        Impute("age", "mean"),
        Standardize(("age", "rooms")),
        OneHot("city"),
        DateParts("when", ("month", "hour")),
    ),
    (Column("when", "datetime"),),
)


def as_parquet(folder: Path, table: pa.Table) -> Path:
    pa.parquet.write_table(table, folder / "t.parquet")
    return folder / "t.parquet"


def as_csv(folder: Path, table: pa.Table) -> Path:
    pa.csv.write_csv(table, folder / "t.csv")
    return folder / "t.csv"


def as_arrow(folder: Path, table: pa.Table) -> Path:
    pa.feather.write_feather(table, str(folder / "t.arrow"), compression="uncompressed")
    return folder / "t.arrow"


KINDS: dict[str, Callable[[Path, pa.Table], Any]] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "arrow": as_arrow,
    "pyarrow": lambda _, table: table,
    "pandas": lambda _, table: table.to_pandas(),
    "columns": lambda _, table: {name: table[name].to_numpy() for name in table.column_names},
    "dictionary encoded": lambda _, table: table.set_column(
        2, "city", table["city"].dictionary_encode()
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_fit(tmp_path: Path, kind: str) -> None:
    table = pa.Table.from_pandas(FRAME)
    expected = DECLARED.fit(FRAME)

    found = DECLARED.fit(KINDS[kind](tmp_path, table))

    assert found.inputs == expected.inputs
    assert found.outputs == expected.outputs
    np.testing.assert_allclose(
        found.transform(FRAME[:50])[0], expected.transform(FRAME[:50])[0], rtol=1e-6
    )


def test_an_iterator_of_record_batches_is_read_once() -> None:
    batches = iter(pa.Table.from_pandas(FRAME).to_batches(max_chunksize=10_000))

    assert DECLARED.fit(batches).rows == ROWS


def test_progress_tells_how_far_the_pass_is(tmp_path: Path) -> None:
    said: list[tuple[str, float]] = []
    file = as_parquet(tmp_path, pa.Table.from_pandas(FRAME))

    DECLARED.fit(file, progress=lambda stage, share: said.append((stage, share)))

    assert said[-1] == (f"pass 1: {ROWS} rows", 1.0)
    assert [share for _, share in said] == sorted(share for _, share in said)


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("t.parquet", b"PAR1 and then nothing", InvalidArgument, "'t.parquet' cannot be read"),
        ("t.arrow", b"nothing", InvalidArgument, "'t.arrow' cannot be read"),
        ("t.csv", b"", InvalidArgument, "'t.csv' cannot be read"),
        ("t.csv", b"age\n1\nold\n", InvalidArgument, "expected a number|holds texts"),
        ("t.xlsx", b"x", InvalidArgument, "expected a file ending in .parquet"),
        ("t.csv", None, NotFound, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(error, match=said):
        Preprocessing((Standardize("age"),)).fit(tmp_path / name)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([[1.0, 2.0]], columns=["age", "age"]),
        pa.table([[1.0], [2.0]], names=["age", "age"]),
        iter([pa.record_batch([[1.0], [2.0]], names=["age", "age"])]),
    ],
    ids=["pandas", "pyarrow", "iterator"],
)
def test_a_table_that_names_a_column_twice_is_refused(table: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"names a column twice: \['age'\]"):
        Preprocessing((Standardize("age"),)).fit(table)


def test_an_error_tells_the_batch_that_has_the_row() -> None:
    batches = iter([{"age": [1.0, 2.0]}, {"age": [3.0, "old"]}])

    with pytest.raises(InvalidArgument, match=r"in the batch from row 2 of the table: .* in row 1"):
        Preprocessing((Standardize("age"),)).fit(batches)


def test_text_far_down_in_a_csv_of_numbers_is_refused(tmp_path: Path) -> None:
    lines = ["age", *["1"] * 800_000, "old"]
    (tmp_path / "t.csv").write_text("\n".join(lines))

    with pytest.raises(InvalidArgument, match=r"'t.csv' cannot be read: .*old"):
        Preprocessing((Standardize("age"),)).fit(tmp_path / "t.csv")


def test_whole_numbers_at_first_may_have_fractions_later(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["age", *["1"] * 800_000, "2.5"]))

    fitted = Preprocessing((Frequency("age"),)).fit(tmp_path / "t.csv")

    assert fitted.steps[0].levels == (1.0, 2.5)  # type: ignore[union-attr]


PEAK = """
import sys
import threading
from pathlib import Path

from augurium.preprocessing import Frequency, Impute, Preprocessing, Robust, Standardize

def held_kib():
    # without pages of mapped files, which the kernel may take back
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])

peak, ended = 0, threading.Event()

def watch():
    global peak
    while not ended.wait(0.002):
        peak = max(peak, held_kib())

declared = Preprocessing((Impute("age"), Standardize("age"), Robust("fare"), Frequency("city")))
small, large = map(Path, sys.argv[1:])
declared.fit(small)
before = held_kib()
threading.Thread(target=watch, daemon=True).start()
rows = declared.fit(large).rows
ended.set()
print(rows, before, peak)
"""
LARGE_ROWS = 3_000_000
BOUND_KIB = 64 * 1024


def in_one_row_group(folder: Path, table: pa.Table, name: str) -> Path:
    file = folder / f"{name}.parquet"
    pa.parquet.write_table(table, file, row_group_size=table.num_rows, compression="snappy")
    return file


def in_one_record_batch(folder: Path, table: pa.Table, name: str) -> Path:
    file = folder / f"{name}.arrow"
    with pa.ipc.new_file(str(file), table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return file


def in_lines(folder: Path, table: pa.Table, name: str) -> Path:
    pa.csv.write_csv(table, folder / f"{name}.csv")
    return folder / f"{name}.csv"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("written", [in_one_row_group, in_one_record_batch, in_lines])
def test_a_file_larger_than_the_memory_it_may_take_is_fitted(
    tmp_path: Path, written: Callable[[Path, pa.Table, str], Path]
) -> None:
    rng = np.random.default_rng(0)
    age = rng.normal(40, 12, LARGE_ROWS)
    age[::10] = np.nan
    cities = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, 50, LARGE_ROWS), pa.int32()),
        pa.array([f"a city with the number {i}" for i in range(50)]),
    ).dictionary_decode()
    columns = [age, rng.lognormal(size=LARGE_ROWS), cities]
    table = pa.table(columns, names=["age", "fare", "city"])
    small, large = written(tmp_path, table.slice(0, 70_000), "s"), written(tmp_path, table, "l")

    ended = subprocess.run(
        [sys.executable, "-c", PEAK, small, large],
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    )

    rows, before_kib, peak_kib = map(int, ended.stdout.split())
    assert rows == LARGE_ROWS
    assert table.nbytes > 2 * BOUND_KIB * 1024
    assert peak_kib - before_kib < BOUND_KIB


def test_digits_of_a_csv_are_texts_where_declared(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("zip,score\n01234,\n01235,\n")
    declared = Preprocessing(
        (OneHot("zip"), Impute("score", "constant", 1.0)),
        (Column("zip", "text"), Column("score", "number")),
    )

    fitted = declared.fit(tmp_path / "t.csv")

    assert fitted.outputs == ("zip_01234", "zip_01235", "score")


def test_whole_seconds_of_a_csv_may_have_fractions_later(tmp_path: Path) -> None:
    lines = ["when", *["2024-01-01 00:00:00"] * 100_000, "2024-01-01 00:00:00.25"]
    (tmp_path / "t.csv").write_text("\n".join(lines))

    fitted = Preprocessing((DateParts("when", ("hour",)),)).fit(tmp_path / "t.csv")

    assert fitted.rows == 100_001


GROWTH = """
import sys
from pathlib import Path

import numpy as np

from augurium.preprocessing import Bucketize, Impute, OneHot, Preprocessing, Robust, Standardize

def peak_kib():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

def batches(rows):
    rng = np.random.default_rng(0)
    levels = np.array([f"level {i}" for i in range(50)], np.object_)
    for _ in range(rows // 50_000):
        age = rng.normal(40, 12, 50_000)
        age[::10] = np.nan
        yield {"age": age, "fare": rng.lognormal(size=50_000), "band": rng.random(50_000),
               "city": levels[rng.integers(0, 50, 50_000)]}

declared = Preprocessing((Impute("age"), Standardize("age"), Robust("fare"), Bucketize("band"),
                          OneHot("city")))
declared.fit(batches(500_000))
before = peak_kib()
fitted = declared.fit(batches(5_000_000))
print(fitted.rows, before, peak_kib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_ten_times_the_rows_take_no_more_memory() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True, timeout=280
    )

    rows, before_kib, after_kib = map(int, ended.stdout.split())
    assert rows == 5_000_000
    # 4.5 million rows more, 144 MB as float64 and pointers
    assert after_kib - before_kib < 12_000
