"""What others read of an output: the rows, all of them, and nothing that is not theirs."""

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pytest

from augurium.batch.manifest import JobFacts
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import PartitionResult, RejectedRow
from augurium.batch.partition_writer import open_writer
from augurium.batch.publication import publish
from augurium.batch.storage import Storage
from augurium.core.batch_job import OutputFormat, OutputSpec
from augurium.core.settings import StorageSettings
from tests.support.output_rows import answers

ROWS, PARTITIONS = 400, 3
JOB, UNFINISHED = "1f" * 16, "2e" * 16


def published(folder: Path, form: OutputFormat, *by: str) -> list[dict[str, Any]]:
    """The rows of the output, in which another job waits to be published."""
    place = StoragePlace(Storage(StorageSettings(), {}), str(folder))
    spec = OutputSpec(path=str(folder), format=form, partition_by=by)
    results = []
    for number in range(PARTITIONS):
        for job in (JOB, UNFINISHED):
            writer = open_writer(spec, place, job, 1, number)
            writer.write(answers(ROWS, number))
            writer.reject(RejectedRow("/in/a.csv", 7, "amount", "missing", "nothing"))
            files = writer.close()
            if job == JOB:
                results.append(PartitionResult(number, files, ROWS + 1, ROWS))
    publish(spec, place, JobFacts(job=JOB, model="fraud", version=3, format=form), results)
    return [row for number in range(PARTITIONS) for row in answers(ROWS, number).to_pylist()]


def keys(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What every reader can compare: CSV has no missing texts, folders none and no empty ones."""
    return sorted((row["id"], row["label"], row["country"] or "") for row in rows)


def queried(query: str) -> list[dict[str, Any]]:
    with duckdb.connect() as database:
        found = database.sql(query)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
@pytest.mark.parametrize("by", [(), ("country",), ("country", "label")])
def test_pyarrow_reads_the_folder(tmp_path: Path, form: OutputFormat, by: tuple[str, ...]) -> None:
    rows = published(tmp_path / "out", form, *by)
    found = ds.dataset(tmp_path / "out", format=form, partitioning="hive").to_table()
    assert keys(found.to_pylist()) == keys(rows)


@pytest.mark.parametrize("by", [(), ("label",)])
def test_pandas_reads_the_folder(tmp_path: Path, by: tuple[str, ...]) -> None:
    rows = published(tmp_path / "out", "parquet", *by)
    found = pd.read_parquet(tmp_path / "out")
    found["country"] = found["country"].fillna("")
    assert keys(found.to_dict("records")) == keys(rows)


def test_pandas_reads_folders_of_missing_values_by_way_of_a_dataset(tmp_path: Path) -> None:
    rows = published(tmp_path / "out", "parquet", "country")
    found = ds.dataset(tmp_path / "out", partitioning="hive").to_table().to_pandas()
    found["country"] = found["country"].fillna("")
    assert keys(found.to_dict("records")) == keys(rows)


@pytest.mark.parametrize("by", [(), ("country",), ("country", "label")])
@pytest.mark.parametrize(
    ("form", "reader"), [("parquet", "parquet"), ("csv", "csv"), ("jsonl", "json")]
)
def test_duckdb_reads_all_parts_at_any_depth(
    tmp_path: Path, form: OutputFormat, reader: str, by: tuple[str, ...]
) -> None:
    rows = published(tmp_path / "out", form, *by)
    pattern = tmp_path / f"out/**/part-*.{form}"
    found = queried(f"FROM read_{reader}('{pattern}', hive_partitioning = true)")
    assert keys(found) == keys(rows)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_duckdb_reads_a_flat_folder_by_its_ending_alone(tmp_path: Path, form: OutputFormat) -> None:
    rows = published(tmp_path / "out", form)
    assert keys(queried(f"FROM '{tmp_path}/out/*.{form}'")) == keys(rows)


def test_rejected_rows_are_read_by_their_folder(tmp_path: Path) -> None:
    published(tmp_path / "out", "parquet")
    found = pd.read_parquet(tmp_path / "out/_rejected")
    assert list(found.columns) == ["file", "row", "column", "kind", "reason"]
    assert len(found) == PARTITIONS
