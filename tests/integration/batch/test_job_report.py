"""The report of a whole job, made by its process and workers, beside the rows that were there."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost

from augurium.batch.report import Report, read_report
from augurium.batch.report_page import report_page
from augurium.core.batch_job import BadRows, BatchSpec, InputSpec, OutputSpec
from augurium.registry.batch_records import BatchJob
from tests.support.batch_jobs import BatchHome

ROWS = 4000
NAMES = ("amount", "age")
SETTINGS = {"batch": {"cost_per_core_hour": 0.5}}


def table(rows: int, seed: int, shift: float = 0.0, gaps: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = {
        "amount": (random.normal(shift, 1, rows)).astype(np.float32),
        "age": random.normal(40, 9, rows).astype(np.float32),
    }
    columns["age"][:gaps] = np.nan
    return pa.table(columns)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchHome]:
    """Has a model that was registered with its training data."""
    folder = tmp_path_factory.mktemp("node")
    found = BatchHome(folder / "home", SETTINGS)
    training = table(3000, seed=1)
    rows = np.column_stack([training.column(name) for name in NAMES])
    matrix = xgboost.DMatrix(rows, label=rows[:, 0] + 0.01 * rows[:, 1], feature_names=list(NAMES))
    model = xgboost.train({"max_depth": 3}, matrix, 10)
    model.save_model(folder / "model.ubj")
    pq.write_table(training, folder / "training.parquet")
    data = found.artifacts.put_file(folder / "training.parquet")
    found.register(folder / "model.ubj", "shop", table=data.digest)
    yield found
    found.close()


@pytest.fixture(scope="module")
def finished(home: BatchHome, tmp_path_factory: pytest.TempPathFactory) -> tuple[BatchJob, Path]:
    """A job over rows whose amounts have risen and whose ages are sometimes missing."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "in").mkdir()
    for number in range(2):
        file = folder / "in" / f"{number}.parquet"
        pq.write_table(table(ROWS, 10 + number, shift=1.0, gaps=300), file, row_group_size=1000)
    spec = BatchSpec(
        model="shop",
        input=InputSpec(paths=(str(folder / "in"),), where="amount > -1"),
        output=OutputSpec(path=str(folder / "out")),
        partition_rows=1000,
        workers=2,
    )
    done = home.run(spec)
    assert done.state == "succeeded", done.reason
    return done, folder


def report_of(home: BatchHome, job: BatchJob) -> Report:
    content = home.jobs.report(job.id)
    assert content is not None
    return read_report(msgspec.json.decode(content))


def test_rows_answers_and_missing_values_are_those_of_the_files(
    home: BatchHome, finished: tuple[BatchJob, Path]
) -> None:
    job, folder = finished
    report = report_of(home, job)
    scored = pq.read_table(folder / "in", filters=[("amount", ">", -1)])
    answers = pq.read_table(folder / "out").column("prediction").to_numpy()
    assert (report.rows.read, report.rows.written) == (2 * ROWS, scored.num_rows)
    assert report.rows.filtered == 2 * ROWS - scored.num_rows
    (found,) = report.outputs
    assert found.rows == len(answers)
    assert found.mean == pytest.approx(answers.mean(dtype=np.float64))
    assert found.quantiles["0.5"] == pytest.approx(np.median(answers), rel=0.05)
    missing = {one.feature: one.rows for one in report.nulls}
    ages = scored.column("age").to_numpy()
    assert missing == {"amount": 0, "age": np.count_nonzero(np.isnan(ages))}


def test_what_has_changed_since_the_training_is_found(
    home: BatchHome, finished: tuple[BatchJob, Path]
) -> None:
    drift = {one.name: one for one in report_of(home, finished[0]).drift.features}
    assert set(drift) == {"amount", "age", "prediction"}
    assert (drift["amount"].status, drift["prediction"].status) == ("alert", "alert")
    assert drift["age"].status == "alert"
    (reason,) = drift["age"].reasons
    assert "are missing, 0 % in training" in reason


def test_time_and_cost_are_those_of_its_workers(
    home: BatchHome, finished: tuple[BatchJob, Path]
) -> None:
    report = report_of(home, finished[0])
    assert report.partitions == 8
    assert report.workers == 2
    assert report.core_s > 0
    assert report.wall_s > 0
    busy = {stage.name: stage.seconds for stage in report.stages}
    assert min(busy[name] for name in ("read", "predict", "encode", "store")) > 0
    assert report.cost.total == pytest.approx(report.core_s / 3600 * 0.5)
    assert "per million" in report_page(report)


def test_rows_that_were_set_aside_are_in_it_with_their_place(
    home: BatchHome, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("amount,age\n1.5,30\nmuch,31\n2.5,32\n")
    spec = BatchSpec(
        model="shop",
        input=InputSpec(paths=(str(tmp_path / "rows.csv"),)),
        output=OutputSpec(path=str(tmp_path / "out")),
        max_bad_rows=BadRows(count=1),
    )
    done = home.run(spec)
    assert done.state == "succeeded", done.reason
    report = report_of(home, done)
    assert [(one.kind, one.column, one.rows) for one in report.rejects] == [
        ("wrong_type", "amount", 1)
    ]
    (example,) = report.rejected_examples
    assert (Path(example.file).name, example.row) == ("rows.csv", 2)
    assert report.drift.features[0].status == "insufficient_data"
