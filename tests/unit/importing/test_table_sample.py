"""Which rows of a large table an import looks at."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augurium.importing.table import Table, read_table
from augurium.importing.table_sample import MAX_ROWS

COUNT = 150_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several blocks of common rows, and a few telling ones."""
    rng = np.random.default_rng(1)
    ages = list(rng.uniform(20, 60, COUNT))
    cities: list[str | None] = ["common"] * COUNT
    names = [f"name {i}" for i in range(COUNT)]
    flags = list(rng.integers(0, 2, COUNT) == 1)
    ages[70_000], ages[90_001], ages[149_999], ages[5] = None, -5.0, 400.0, np.inf
    cities[60_123], cities[130_456], cities[77] = "rare", "rarer", None
    file = tmp_path_factory.mktemp("tables") / "large.parquet"
    columns = {"id": list(range(COUNT)), "age": ages, "city": cities, "name": names, "flag": flags}
    pq.write_table(pa.table(columns), file, row_group_size=40_000)
    return file


def rows_of(table: Table) -> dict[object, dict[str, object]]:
    columns = [column.values for column in table.columns]
    rows = [dict(zip(table.names, row, strict=True)) for row in zip(*columns, strict=True)]
    return {row["id"]: row for row in rows}


def test_gaps_extremes_and_rare_categories_are_there(large: Path) -> None:
    rows = rows_of(read_table(large))

    assert len(rows) == MAX_ROWS
    assert {0, COUNT - 1, 70_000, 90_001, 149_999, 60_123, 130_456, 77} <= set(rows)
    assert (rows[70_000]["age"], rows[90_001]["age"], rows[149_999]["age"]) == (None, -5.0, 400.0)
    assert (rows[60_123]["city"], rows[130_456]["city"], rows[77]["city"]) == (
        "rare",
        "rarer",
        None,
    )


def test_values_are_those_of_their_row_and_of_their_type(large: Path) -> None:
    for number, row in rows_of(read_table(large)).items():
        assert row["name"] == f"name {number}"
        assert type(row["id"]) is int
        assert type(row["flag"]) is bool


def test_the_other_rows_come_from_all_over_the_table(large: Path) -> None:
    numbers = np.array([float(str(number)) for number in rows_of(read_table(large))])

    counts, _ = np.histogram(numbers, bins=10, range=(0, COUNT))
    assert counts[1:].min() > 50  # the unique names fill half of the sample with early rows


def test_the_same_table_gives_the_same_rows(large: Path) -> None:
    assert read_table(large) == read_table(large)


def test_a_number_that_is_not_finite_counts_as_missing(tmp_path: Path) -> None:
    file = tmp_path / "small.parquet"
    pq.write_table(pa.table({"x": [1.0, np.inf, np.nan, None]}), file)

    assert read_table(file).columns[0].values == [1.0, None, None, None]


def test_a_small_table_is_taken_whole_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "small.csv"
    file.write_text("x,city\n" + "".join(f"{i},c{i}\n" for i in range(MAX_ROWS)))

    table = read_table(file)

    assert table.columns[0].values == [float(i) for i in range(MAX_ROWS)]
    assert table.columns[1].values[-1] == f"c{MAX_ROWS - 1}"
