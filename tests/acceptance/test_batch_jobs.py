"""Batch jobs on a running node: asked for on the command line, and every row is answered once,
whoever dies meanwhile.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from augurium.client import Client
from augurium.core.errors import Conflict
from augurium.core.processors import USABLE, kept_on
from augurium.node.processor_split import split_of
from tests.support.batch_processes import workers_of
from tests.support.frozen_process import freeze
from tests.support.models import FEATURES, Tabular
from tests.support.node import AUGURIUM, Node, clean_environment, control_of
from tests.support.scoring import (
    FILE_ROWS,
    GROUP_ROWS,
    PATIENCE_S,
    ROWS,
    Scoring,
    answered,
    awaited_process_of,
    begun,
    check_answers,
    deploy_scorer,
    ends,
    process_of,
    processes_of,
    scoring_of,
)
from tests.support.waiting import until

KILLS = 3
# many small steps of one process: whoever is killed is in the middle of them
ONE_ROW = {"instances": [[0.0] * FEATURES]}
SLOWLY: dict[str, Any] = {"partition_rows": GROUP_ROWS, "workers": 1}


@pytest.fixture(scope="module")
def scoring(tabular: Tabular, tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    return scoring_of(tabular, tmp_path_factory.mktemp("rows"))


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
    with nodes.node.client() as client:
        deploy_scorer(client, tabular, home.parent)
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


def test_a_job_keeps_off_the_processors_that_predictions_need(
    nodes: Nodes, client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    splits = [split_of(USABLE, needed) for needed in range(1, len(USABLE) + 1)]
    engine = nodes.node.children()["engine-0"]
    assert until(lambda: kept_on(engine) == USABLE, PATIENCE_S)
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    begun(client, run.id)
    (worker,) = workers_of(run.id)

    deadline = time.monotonic() + PATIENCE_S
    while (kept_on(engine), kept_on(worker.pid)) not in splits and len(USABLE) > 1:
        assert time.monotonic() < deadline
        assert not client.batch_job(run.id).ended
        for _ in range(20):
            assert nodes.node.ask("/v1/models/churn:predict", ONE_ROW).status == 200

    assert run.wait(PATIENCE_S).state == "succeeded"
    check_answers(tmp_path / "out", scoring)
    assert until(lambda: kept_on(engine) == USABLE, PATIENCE_S)


@pytest.mark.parametrize("stands_still", [False, True])
def test_a_job_outlives_the_control_that_began_it(
    nodes: Nodes, client: Client, scoring: Scoring, home: Path, tmp_path: Path, stands_still: bool
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    begun(client, run.id)
    process = process_of(run.id)
    if stands_still:
        freeze(process.pid, home / "registry.db")
    control_of(nodes.node).kill()
    seen: set[psutil.Process] = set()
    done = run.wait(PATIENCE_S, lambda job: seen.update(processes_of(job.id)))

    assert done.state == "succeeded"
    assert seen <= {process}
    assert ends(process)
    check_answers(tmp_path / "out", scoring)


def test_a_job_whose_process_is_killed_again_and_again_answers_every_row_once(
    client: Client, scoring: Scoring, tmp_path: Path
) -> None:
    run = client.batch("churn", scoring.rows, tmp_path / "out", keep=["id"], **SLOWLY)
    for _ in range(KILLS):
        process = awaited_process_of(run.id)
        committed = client.batch_job(run.id).committed
        while (known := client.batch_job(run.id)).committed <= committed:
            assert not known.ended
            time.sleep(0.02)
        process.kill()
        assert ends(process)
    run.wait(PATIENCE_S)

    deaths = [line for line in run.log() if "its process ended (SIGKILL)" in line.text]
    assert len(deaths) == KILLS
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
        assert ends(process)
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

    # the second may come when the job has ended
    assert len(told) == 2
    assert "cancel" in told
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
    assert 0 < paused.committed < ROWS / GROUP_ROWS
    run.resume()
    run.wait(PATIENCE_S)

    check_answers(tmp_path / "out", scoring)
