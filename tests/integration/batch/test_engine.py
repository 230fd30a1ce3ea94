"""Whole jobs: processes that score files on a disk with models of a registry."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost

from augurium.batch.job_plan import JobPlan, read_plan
from augurium.core.batch_job import BadRows, BatchSpec, InputSpec, OutputSpec
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.registry.batch_records import BatchJob
from tests.support.batch_jobs import BatchHome
from tests.support.models import picky_model

FEATURES = 6
ROWS = 3000
NUMBERS = Signature((TensorSpec("x", "FP64", (-1,)),), (TensorSpec("y", "FP64", (-1,)),))
SOME_BAD = BadRows(count=10)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, booster: Path) -> Iterator[BatchHome]:
    """Has a model `trees` that XGBoost made, `picky`, which fails on some rows, and `slow`."""
    folder = tmp_path_factory.mktemp("node")
    found = BatchHome(folder / "home", {"batch": {"scheduling": "normal"}})
    found.register(booster, "trees")
    (folder / "picky.onnx").write_bytes(picky_model())
    found.register(folder / "picky.onnx", "picky")
    found.register_runtime(doubled(wait_s=0.05), "slow", "python", NUMBERS)
    yield found
    found.close()


@pytest.fixture(scope="module")
def booster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = features(500)
    matrix = xgboost.DMatrix(rows, label=rows[:, 0] * rows[:, 1] > 0)
    model = xgboost.train({"max_depth": 4, "objective": "binary:logistic"}, matrix, 20)
    file = tmp_path_factory.mktemp("model") / "model.ubj"
    model.save_model(file)
    return file


def features(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, FEATURES), np.float32)


def feature_file(file: Path, rows: Array, first_id: int = 0) -> None:
    columns: dict[str, Any] = {f"f{i}": rows[:, i] for i in range(FEATURES)}
    columns["id"] = np.arange(first_id, first_id + len(rows))
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), file, row_group_size=500)


def numbers(folder: Path, values: Array, files: int = 3) -> Path:
    """A folder of files with a column `x`, row groups of 100."""
    folder.mkdir()
    for number, part in enumerate(np.array_split(values, files)):
        table = pa.table({"x": part.astype(np.float64)})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=100)
    return folder


def job(model: str, source: Path, target: Path, **more: Any) -> BatchSpec:
    output = OutputSpec(path=str(target))
    return BatchSpec(model=model, input=InputSpec(paths=(str(source),)), output=output, **more)


def answers(folder: Path) -> pa.Table:
    return pq.read_table(folder, partitioning=None)


def contents(folder: Path) -> dict[str, bytes]:
    """What is visible of an output, by names without the id of a job."""
    files = sorted(folder.glob("*.parquet"))
    return {file.name[: len("part-00000")]: file.read_bytes() for file in files}


def rejected(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / "_rejected").to_pylist()
    return found


def plan_of(home: BatchHome, of: BatchJob) -> JobPlan:
    stored = home.jobs.planned(of.id)
    assert stored is not None
    return read_plan(stored)


def doubled(
    wait_s: float = 0.0, deadly: float | None = None, endless: float | None = None
) -> bytes:
    """A function that answers twice its input, and may take a while, end its process at a value, or
    come to no end at one, while it keeps the interpreter from all others.
    """

    def function(inputs: dict[str, Array]) -> dict[str, Array]:
        import ctypes
        import time

        time.sleep(wait_s)
        if deadly is not None and (inputs["x"] == deadly).any():
            ctypes.string_at(0)
        if endless is not None and (inputs["x"] == endless).any():
            ctypes.PyDLL(None).sleep(3600)
        return {"y": inputs["x"] * 2}

    content: bytes = cloudpickle.dumps(function)
    return content


def is_so_far(committed: int, job: BatchJob) -> bool:
    return job.ended or job.committed >= committed


def workers_of(process_id: int) -> list[int]:
    """The children of a job's process."""
    listed = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(pid) for pid in listed.read_text().split()]


def test_a_folder_of_parquet_is_scored_by_xgboost_itself(
    home: BatchHome, tmp_path: Path, booster: Path
) -> None:
    rows = [features(ROWS, seed) for seed in range(3)]
    for number, part in enumerate(rows):
        feature_file(tmp_path / "in" / f"{number}.parquet", part, number * ROWS)
    spec = job("trees", tmp_path / "in", tmp_path / "out", partition_rows=2000)

    done = home.run(
        msgspec.structs.replace(spec, input=msgspec.structs.replace(spec.input, keep=("id",)))
    )

    assert (done.state, done.reason) == ("succeeded", "")
    found = answers(tmp_path / "out")
    expected = xgboost.Booster(model_file=booster).predict(xgboost.DMatrix(np.concatenate(rows)))
    assert found.column("id").to_pylist() == list(range(3 * ROWS))
    probabilities = np.array(found.column("probabilities").to_pylist())
    np.testing.assert_array_equal(probabilities[:, 1].astype(np.float32), expected)
    assert found.column("model_version").unique().to_pylist() == [1]
    assert plan_of(home, done).model.from_source
    report = home.jobs.report(done.id)
    assert report is not None
    assert json.loads(report)["rows"]["written"] == 3 * ROWS


def test_another_runtime_of_the_same_version_answers_alike(
    home: BatchHome, tmp_path: Path, booster: Path
) -> None:
    feature_file(tmp_path / "in" / "a.parquet", features(ROWS))

    home.run(job("trees", tmp_path / "in", tmp_path / "native"))
    done = home.run(job("trees", tmp_path / "in", tmp_path / "onnx", runtime="onnx"))

    assert plan_of(home, done).model.runtime == "onnx"
    found, expected = (
        np.array(answers(tmp_path / name).column("probabilities").to_pylist())
        for name in ("onnx", "native")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_contributions_of_features_add_up_to_the_score(
    home: BatchHome, tmp_path: Path, booster: Path
) -> None:
    rows = features(200)
    feature_file(tmp_path / "in" / "a.parquet", rows)

    home.run(job("trees", tmp_path / "in", tmp_path / "out", explain=True))

    found = answers(tmp_path / "out")
    names = [f"contribution_f{i}" for i in range(FEATURES)] + ["contribution_base"]
    total = np.sum([found.column(name).to_numpy() for name in names], axis=0)
    booster_itself = xgboost.Booster(model_file=booster)
    margin = booster_itself.predict(xgboost.DMatrix(rows), output_margin=True)
    np.testing.assert_allclose(total, margin, rtol=1e-4, atol=1e-4)


def test_rows_that_the_model_fails_on_are_set_aside_alone(home: BatchHome, tmp_path: Path) -> None:
    places = np.arange(1000) % 10
    places[[17, 500, 501]] = 99
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"place": places}), tmp_path / "in" / "a.parquet")

    done = home.run(job("picky", tmp_path / "in", tmp_path / "out", max_bad_rows=SOME_BAD))

    assert (done.state, done.reason) == ("succeeded", "")
    expected = [place * 10 for place in places.tolist() if place != 99]
    assert answers(tmp_path / "out").column("found").to_pylist() == expected
    bad = rejected(tmp_path / "out")
    assert [row["row"] for row in bad] == [18, 501, 502]
    assert {row["kind"] for row in bad} == {"model_failed"}
    assert "out of" in bad[0]["reason"]


def test_the_first_bad_row_fails_a_job_that_allows_none(home: BatchHome, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"place": [1, 99, 2]}), tmp_path / "in" / "a.parquet")

    done = home.run(job("picky", tmp_path / "in", tmp_path / "out"))

    assert done.state == "failed"
    assert "1 row cannot be scored" in done.reason
    assert not contents(tmp_path / "out")


def reason_for_777(home: BatchHome, folder: Path, function: bytes) -> str:
    """Doubles the numbers up to 1000; why 777, and nothing else, was set aside."""
    home.register_runtime(function, "m", "python", NUMBERS)
    source = numbers(folder / "in", np.arange(1000))

    done = home.run(job("m", source, folder / "out", max_bad_rows=SOME_BAD, batch_size=16))

    assert (done.state, done.reason) == ("succeeded", "")
    expected = [2.0 * n for n in range(1000) if n != 777]
    assert answers(folder / "out").column("y").to_pylist() == expected
    (bad,) = rejected(folder / "out")
    assert (Path(bad["file"]).name, bad["row"], bad["kind"]) == ("2.parquet", 111, "model_failed")
    return str(bad["reason"])


def test_a_row_that_ends_the_process_is_found_and_set_aside(
    home: BatchHome, tmp_path: Path
) -> None:
    assert "SIGSEGV" in reason_for_777(home, tmp_path, doubled(deadly=777.0))


def test_a_row_on_which_the_model_hangs_is_found_and_set_aside(tmp_path: Path) -> None:
    settings = {"batch": {"scheduling": "normal", "run_timeout_s": 1.5}}
    with closing(BatchHome(tmp_path / "home", settings)) as home:
        reason = reason_for_777(home, tmp_path, doubled(endless=777.0))
    assert "its model ran longer than 1.5 s, see batch.run_timeout_s" in reason


def test_workers_that_are_killed_at_any_time_change_no_byte(
    home: BatchHome, tmp_path: Path
) -> None:
    source = numbers(tmp_path / "in", np.arange(3000))
    how: dict[str, Any] = {"partition_rows": 200, "batch_size": 50, "workers": 2}
    home.run(job("slow", source, tmp_path / "calm", **how))
    wait = home.submit(job("slow", source, tmp_path / "out", **how))

    process = home.start(home.claim())
    kills, rng = 0, np.random.default_rng(0)
    for committed in range(1, 12):
        home.wait(wait.id, partial(is_so_far, committed))
        time.sleep(float(rng.uniform(0, 0.1)))
        for pid in workers_of(process.pid)[:1]:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    assert process.wait(60) == 0

    assert kills
    assert home.jobs.get(wait.id).state == "succeeded"
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_a_job_whose_process_is_killed_goes_on_behind_what_is_committed(
    home: BatchHome, tmp_path: Path
) -> None:
    source = numbers(tmp_path / "in", np.arange(3000))
    how: dict[str, Any] = {"partition_rows": 200, "batch_size": 50}
    home.run(job("slow", source, tmp_path / "calm", **how))
    waiting = home.submit(job("slow", source, tmp_path / "out", **how))

    process = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.committed >= 3)
    process.kill()
    process.wait()
    before = {one.number: one.result for one in home.jobs.partitions(waiting.id)}
    assert not contents(tmp_path / "out")
    done = home.finish(waiting)

    after = {one.number: one.result for one in home.jobs.partitions(waiting.id)}
    assert done.state == "succeeded"
    assert before.items() <= after.items()
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_a_pause_holds_long_before_the_end_and_the_job_goes_on_later(
    home: BatchHome, tmp_path: Path
) -> None:
    source = numbers(tmp_path / "in", np.arange(1000))
    waiting = home.submit(job("slow", source, tmp_path / "out", partition_rows=100, batch_size=10))

    process = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.committed >= 1)
    home.jobs.want(waiting.id, "pause", "tests")
    paused = home.wait(waiting.id, lambda job: job.state == "paused" or job.ended)
    assert process.wait(60) == 0
    home.jobs.want(waiting.id, "run", "tests")
    done = home.finish(waiting)

    assert paused.state == "paused"
    assert paused.partitions is not None
    assert paused.committed < paused.partitions
    assert done.state == "succeeded"
    assert answers(tmp_path / "out").num_rows == 1000


def test_of_a_job_that_is_cancelled_nothing_is_left(home: BatchHome, tmp_path: Path) -> None:
    source = numbers(tmp_path / "in", np.arange(1000))
    waiting = home.submit(job("slow", source, tmp_path / "out", partition_rows=100, batch_size=10))

    process = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.committed >= 1)
    home.jobs.want(waiting.id, "cancel", "tests")

    assert process.wait(60) == 0
    assert home.jobs.get(waiting.id).state == "cancelled"
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


def test_a_job_that_has_to_stop_is_given_back_without_a_failed_attempt(
    home: BatchHome, tmp_path: Path
) -> None:
    source = numbers(tmp_path / "in", np.arange(1000))
    waiting = home.submit(job("slow", source, tmp_path / "out", partition_rows=100, batch_size=10))

    process = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.state == "running" and job.partitions is not None)
    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0
    given_back = home.jobs.get(waiting.id)
    assert (given_back.state, given_back.attempts) == ("queued", 0)
    assert home.finish(waiting).state == "succeeded"


def test_a_process_whose_job_is_another_holders_stops_and_changes_nothing(
    home: BatchHome, tmp_path: Path
) -> None:
    source = numbers(tmp_path / "in", np.arange(1000))
    waiting = home.submit(job("slow", source, tmp_path / "out", partition_rows=100, batch_size=10))

    stale = home.start(home.claim())
    home.wait(waiting.id, lambda job: job.partitions is not None)
    process = home.start(home.take_over(waiting))

    assert stale.wait(60) == 0
    assert process.wait(60) == 0
    assert home.jobs.get(waiting.id).state == "succeeded"
    assert answers(tmp_path / "out").num_rows == 1000


def test_a_model_that_is_code_reaches_no_file_but_those_of_its_job(
    home: BatchHome, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")

    def curious(inputs: dict[str, Array]) -> dict[str, Array]:
        try:
            size = len(secret.read_text())
        except PermissionError:
            size = -1
        return {"y": inputs["x"] * 0 + size}

    home.register_runtime(cloudpickle.dumps(curious), "m", "python", NUMBERS)
    source = numbers(tmp_path / "in", np.arange(10))

    done = home.run(job("m", source, tmp_path / "out"))

    assert (done.state, done.reason) == ("succeeded", "")
    assert set(answers(tmp_path / "out").column("y").to_pylist()) == {-1.0}


def test_a_version_that_was_deleted_fails_its_job_clearly(home: BatchHome, tmp_path: Path) -> None:
    deleted = home.register_runtime(doubled(), "m", "python", NUMBERS).version
    source = numbers(tmp_path / "in", np.arange(10))
    waiting = home.submit(job("m", source, tmp_path / "out"))
    home.registry.delete_version("m", deleted, "tests")

    done = home.finish(waiting)

    assert done.state == "failed"
    assert f"version {deleted} of model 'm' was deleted" in done.reason


def test_a_model_that_cannot_be_loaded_fails_its_job(home: BatchHome, tmp_path: Path) -> None:
    home.register_runtime(b"nothing", "m", "onnx", NUMBERS)
    source = numbers(tmp_path / "in", np.arange(10))

    done = home.run(job("m", source, tmp_path / "out"))

    assert done.state == "failed"
    assert "ONNX Runtime cannot load" in done.reason


def test_an_input_without_rows_succeeds_with_none(
    home: BatchHome, tmp_path: Path, booster: Path
) -> None:
    feature_file(tmp_path / "in" / "a.parquet", features(0))

    done = home.run(job("trees", tmp_path / "in", tmp_path / "out"))

    assert (done.state, done.reason) == ("succeeded", "")
