"""Rows to be scored by batch jobs, what a model says of them, and a look at jobs that go on."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from augurium.client import Client
from augurium.client.batch_results import BatchJob
from tests.support.models import FEATURES, Tabular

FILES, FILE_ROWS, GROUP_ROWS = 4, 50_000, 1_000
ROWS = FILES * FILE_ROWS
NAMES = [f"f{number}" for number in range(FEATURES)]
PATIENCE_S = 400.0


class Scoring(NamedTuple):
    """A folder of Parquet files, and what the model says of their rows by id."""

    rows: Path
    answers: dict[int, float]


def scoring_of(tabular: Tabular, folder: Path) -> Scoring:
    """Rows without missing values."""
    rows = np.random.default_rng(7).normal(size=(ROWS, FEATURES)).astype(np.float32)
    for number in range(FILES):
        some = slice(number * FILE_ROWS, (number + 1) * FILE_ROWS)
        columns = {"id": np.arange(ROWS)[some]} | dict(zip(NAMES, rows[some].T, strict=True))
        pq.write_table(pa.table(columns), folder / f"{number}.parquet", row_group_size=GROUP_ROWS)
    scores = tabular.model.predict_proba(rows)[:, 1]
    return Scoring(folder, dict(enumerate(scores.tolist())))


def deploy_scorer(client: Client, tabular: Tabular, folder: Path) -> None:
    """Makes the model `churn`, whose features are the columns of these rows."""
    booster = tabular.model.get_booster().copy()
    booster.feature_names = NAMES
    booster.save_model(folder / "churn.ubj")
    client.deploy("churn", client.register(folder / "churn.ubj", name="churn").version)


def answered(output: Path) -> dict[int, float]:
    """Scores by id in the visible files of a job, each of which it has once."""
    table = pyarrow.dataset.dataset(output, format="parquet").to_table()
    names = set(table.column_names) - {"id", "model_version"}
    score = next(name for name in sorted(names) if "prob" in name or "score" in name)
    values, ids = table[score].to_pylist(), table["id"].to_pylist()
    assert len(ids) == len(set(ids))
    return {
        key: value[-1] if isinstance(value, list) else value
        for key, value in zip(ids, values, strict=True)
    }


def check_answers(output: Path, scoring: Scoring) -> None:
    """Every row has its answer, and none has two."""
    found = answered(output)
    assert found.keys() == scoring.answers.keys()
    expected = list(scoring.answers.values())
    assert np.allclose([found[key] for key in range(ROWS)], expected, atol=1e-5)


def begun(client: Client, job: str) -> BatchJob:
    """The job, when some of its partitions are committed."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        known = client.batch_job(job)
        if known.committed >= 2 or known.ended:
            return known
        time.sleep(0.02)
    raise AssertionError(f"job {job} did not get anywhere: {known}")


def processes_of(job: str) -> list[psutil.Process]:
    """The processes that run a job, of which there is to be one."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"augurium.batch", job} <= set(process.info["cmdline"] or [])
    ]


def process_of(job: str) -> psutil.Process:
    """The one that runs a job."""
    (found,) = processes_of(job)
    return found


def awaited_process_of(job: str) -> psutil.Process:
    """The one that runs a job, as soon as there is one again."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        found = [process for process in processes_of(job) if not is_gone(process)]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"job {job} has no process")


def ends(process: psutil.Process, patience_s: float = 30.0) -> bool:
    """Whether it ends within that time: a job has ended a moment before its process."""
    deadline = time.monotonic() + patience_s
    while not (gone := is_gone(process)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone


def is_gone(process: psutil.Process) -> bool:
    """Also of one whose parent is gone and whom nobody asked for its exit code."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
