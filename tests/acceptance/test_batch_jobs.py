"""Batch jobs on a running node: asked for on the command line, and every row is answered once,
whoever dies meanwhile.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from augurium.client import Client
from augurium.client.batch_results import BatchJob
from augurium.core.errors import Conflict
from tests.support.models import FEATURES, Tabular
from tests.support.node import AUGURIUM, Node, clean_environment, control_of

FILES, FILE_ROWS = 4, 50_000
ROWS = FILES * FILE_ROWS
PATIENCE_S = 120.0
# many small steps of one process: whoever is killed is in the middle of them
SLOWLY: dict[str, Any] = {"partition_rows": 5_000, "workers": 1}


class Scoring(NamedTuple):
    """A folder of Parquet files, and what the model says of their rows by id."""

    rows: Path
    answers: dict[int, float]


@pytest.fixture(scope="module")
def scoring(tabular: Tabular, tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    names = [f"f{number}" for number in range(FEATURES)]
    for number in range(FILES):
        some = slice(number * FILE_ROWS, (number + 1) * FILE_ROWS)
        columns = {"id": np.arange(ROWS)[some]} | dict(zip(names, rows[some].T, strict=True))
        pq.write_table(pa.table(columns), folder / f"{number}.parquet", row_group_size=5_000)
    scores = tabular.model.predict_proba(rows)[:, 1]
    return Scoring(folder, dict(enumerate(scores.tolist())))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batch") / "home"


class Nodes:
    """One node at a time over one home folder."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.node = Node(home, "--engines", "1")

    def restart(self) -> None:
        assert self.node.stop() == 0
        self.node = Node(self._home, "--engines", "1")


@pytest.fixture(scope="module")
def nodes(home: Path, tabular: Tabular) -> Iterator[Nodes]:
    nodes = Nodes(home)
    booster = tabular.model.get_booster()
    booster.feature_names = [f"f{number}" for number in range(FEATURES)]
    file = home.parent / "churn.ubj"
    booster.save_model(file)
    with nodes.node.client() as client:
        version = client.register(file, name="churn").version
        client.deploy("churn", version)
    yield nodes
    nodes.node.stop()


@pytest.fixture
def client(nodes: Nodes) -> Iterator[Client]:
    with nodes.node.client() as client:
        yield client


Augurium = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def augurium(nodes: Nodes) -> Augurium:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = clean_environment() | {"AUGURIUM_URL": nodes.node.management}
        return subprocess.run(
            [AUGURIUM, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run


def answered(output: Path) -> dict[int, float]:
    """Scores by id in the visible files of a job, each of which it has once."""
    table = pyarrow.dataset.dataset(output, format="parquet").to_table()
    names = set(table.column_names) - {"id", "model_version"}
    score = next(name for name in sorted(names) if "prob" in name or "score" in name)
    values = table[score].to_pylist()
    ids = table["id"].to_pylist()
    assert len(ids) == len(set(ids))
    return {
        key: value[-1] if isinstance(value, list) else value
        for key, value in zip(ids, values, strict=True)
    }


def check_answers(output: Path, scoring: Scoring) -> None:
    found = answered(output)
    assert found.keys() == scoring.answers.keys()
    assert np.allclose(
        [found[key] for key in range(ROWS)], list(scoring.answers.values()), atol=1e-5
    )


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
    (found,) = processes_of(job)
    return found


def is_gone(process: psutil.Process) -> bool:
    """Also of one whose parent is gone and whom nobody asked for its exit code."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_files_are_scored_on_the_command_line(
    augurium: Augurium, scoring: Scoring, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    done = augurium(
        "batch", "run", "churn", f"{scoring.rows}/*.parquet", str(output), "--keep", "id"
    )

    assert done.returncode == 0, done.stderr
    assert f"{ROWS:,} rows" in done.stdout
    assert "succeeded, 100%" in done.stderr
    check_answers(output, scoring)
    job = json.loads(augurium("batch", "status", "churn", "--json").stdout)
    assert (job["state"], job["rows"], job["progress"]["written_rows"]) == (
        "succeeded",
        ROWS,
        ROWS,
    )
    page = tmp_path / "report.html"
    assert augurium("batch", "report", "churn", "--html", str(page)).returncode == 0
    assert f"{job['id']}" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{rows}/none", "{out}"], "does not exist"),
        (["{rows}", "{out}", "--map", "f0=amount"], "amount"),
        (["{rows}", "{out}", "--where", "country = 'DE'"], "country"),
        (["{rows}", "{rows}"], "choose another folder for the output"),
        (["{rows}", "{out}", "--keep", "customer"], "customer"),
        (["{rows}", "{out}", "--outputs", "price"], "price"),
        (["{rows}", "{out}", "--partition-by", "id"], "id"),
        (["{rows}", "{out}", "--runtime", "abacus"], "abacus"),
        (["{rows}", "{out}", "--engine", "ray"], "ray"),
    ],
)
def test_a_job_that_cannot_be_is_refused_before_it_begins(
    augurium: Augurium,
    client: Client,
    scoring: Scoring,
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    before = client.batch_jobs(limit=1)
    places = {"{rows}": str(scoring.rows), "{out}": str(tmp_path / "out")}
    words = [word.replace("{rows}", places["{rows}"]) for word in arguments]
    refused = augurium("batch", "run", "churn", *(places.get(word, word) for word in words))

    assert refused.returncode == 1
    assert said in refused.stderr
    assert client.batch_jobs(limit=1) == before
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_in_the_way_is_refused_unless_it_is_added_to(
    client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    output, file = tmp_path / "out", scoring.rows / "0.parquet"
    client.batch("churn", file, output, keep=["id"]).wait(PATIENCE_S)
    with pytest.raises(Conflict):
        client.batch("churn", file, output)
    client.batch("churn", scoring.rows / "1.parquet", output, keep=["id"], mode="append").wait(
        PATIENCE_S
    )

    assert len(answered(output)) == 2 * FILE_ROWS


def test_a_job_outlives_the_control_that_began_it(
    nodes: Nodes, client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    begun(client, run.id)
    process = process_of(run.id)
    control_of(nodes.node).kill()
    seen: set[psutil.Process] = set()
    done = run.wait(PATIENCE_S, lambda job: seen.update(processes_of(job.id)))

    assert done.state == "succeeded"
    assert seen <= {process}
    assert is_gone(process)
    check_answers(tmp_path / "out", scoring)


def test_a_job_whose_process_is_killed_again_and_again_answers_every_row_once(
    client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    for _ in range(3):
        committed = begun(client, run.id).committed
        process = process_of(run.id)
        process.kill()
        while (known := client.batch_job(run.id)).committed <= committed and not known.ended:
            time.sleep(0.02)
    run.wait(PATIENCE_S)

    deaths = [line for line in run.log() if "its process ended (SIGKILL)" in line.text]
    assert len(deaths) == 3
    check_answers(tmp_path / "out", scoring)


def test_a_node_that_is_stopped_goes_on_with_its_jobs_when_it_is_started(
    nodes: Nodes, scoring: Scoring, tmp_path: Path
) -> None:
    with nodes.node.client() as client:
        job = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY).id
        begun(client, job)
        process = process_of(job)
        nodes.restart()
    with nodes.node.client() as client:
        run = client.batch_run(job)
        assert is_gone(process)
        assert run.wait(PATIENCE_S).state == "succeeded"
        # to be stopped is no failure
        assert [line for line in run.log() if "process ended" in line.text] == []
    check_answers(tmp_path / "out", scoring)


def test_two_who_cancel_at_once_leave_nothing_of_the_job(
    client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", **SLOWLY)
    begun(client, run.id)
    told: list[str] = []
    both = [
        threading.Thread(
            target=lambda: told.append(client.order_batch_job(run.id, "cancel").wanted)
        )
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    ended = next(job for job in run.looks() if job.ended)

    assert told == ["cancel", "cancel"]
    assert ended.state == "cancelled"
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


def test_a_paused_job_rests_and_goes_on_where_it_was(
    client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    begun(client, run.id)
    run.pause()
    paused = next(job for job in run.looks() if job.state == "paused" or job.ended)
    assert paused.state == "paused"
    assert 0 < paused.committed < ROWS / 5_000
    run.resume()
    run.wait(PATIENCE_S)

    check_answers(tmp_path / "out", scoring)
