"""Schedules of batch jobs on a running node: every interval and every file is scored once, also
when control is killed at any moment, and receivers hear how it ended.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from augurium.client import Client
from augurium.client.batch_schedule_results import ScheduledRun
from augurium.core.batch_schedule import Arrival
from augurium.core.errors import AuguriumError
from tests.support.models import FEATURES, Tabular
from tests.support.node import Node, control_of

PATIENCE_S = 120.0
NAMES = [f"f{number}" for number in range(FEATURES)]
FILE_ROWS = 200


class Told(NamedTuple):
    """What a receiver of webhooks was sent: the id and the body of each request."""

    url: str
    requests: list[tuple[str, dict[str, Any]]]

    def kinds(self, schedule: str) -> list[str]:
        """The kinds of events about a schedule, each id once."""
        of_this = {key: body for key, body in self.requests if body["data"]["schedule"] == schedule}
        return sorted(body["data"]["kind"] for body in of_this.values())


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    requests: list[tuple[str, dict[str, Any]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.headers["webhook-id"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: they are in `requests`."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Told(f"http://127.0.0.1:{server.server_port}/hook", requests)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def scheduling(
    tabular: Tabular, told: Told, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A node with the model `churn`, whose features are `f0` to `f9`."""
    folder = tmp_path_factory.mktemp("schedules")
    settings = folder / "augurium.toml"
    settings.write_text(f'[webhooks]\nurls = ["{told.url}"]\n')
    node = Node(folder / "home", "--engines", "1", "--config", str(settings))
    booster = tabular.model.get_booster().copy()
    booster.feature_names = NAMES
    booster.save_model(folder / "churn.ubj")
    with node.client() as client:
        client.deploy("churn", client.register(folder / "churn.ubj", name="churn").version)
    yield node
    node.stop()


@pytest.fixture
def client(scheduling: Node) -> Iterator[Client]:
    with scheduling.client() as client:
        yield client


def write(file: Path, first_id: int) -> None:
    """Rows with ids from `first_id` on, in one step."""
    rows = np.random.default_rng(first_id).normal(size=(FILE_ROWS, FEATURES)).astype(np.float32)
    ids = np.arange(first_id, first_id + FILE_ROWS)
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = file.with_name(f".{file.name}")
    pq.write_table(pa.table({"id": ids} | dict(zip(NAMES, rows.T, strict=True))), whole)
    whole.rename(file)


def ids_in(folder: Path) -> list[int]:
    """The ids in all visible files below a folder, in order."""
    table = pyarrow.dataset.dataset(folder, format="parquet").to_table(columns=["id"])
    return sorted(table["id"].to_pylist())


def ended(client: Client, name: str, count: int) -> list[ScheduledRun]:
    """The runs of a schedule, the oldest first, when so many have ended."""
    end = time.monotonic() + PATIENCE_S
    runs: tuple[ScheduledRun, ...] = ()
    while time.monotonic() < end:
        try:
            runs = client.batch_schedule_runs(name)
        except AuguriumError:
            # control comes back
            runs = ()
        if len([run for run in runs if run.ended_at is not None]) >= count:
            return list(runs[::-1])
        time.sleep(0.1)
    raise AssertionError(f"only {runs} of {name} have ended")


def test_days_of_the_past_are_scored_once_each_though_control_is_killed_again_and_again(
    client: Client, scheduling: Node, told: Told, tmp_path: Path
) -> None:
    for day in range(1, 4):
        write(tmp_path / f"in/day=2026-02-0{day}/rows.parquet", day * FILE_ROWS)
    paths = (tmp_path / "in/day={date}", tmp_path / "out/day={date}")
    client.schedule_batch("days", "churn", *paths, cron="daily", keep=["id"])
    client.run_batch_schedule("days", "2026-02-01", "2026-02-04")

    for _ in range(3):
        time.sleep(3.0)
        control_of(scheduling).kill()
        wait_for_control(client)

    runs = ended(client, "days", 4)
    assert [run.state for run in runs] == ["succeeded"] * 3 + ["failed"]
    assert "2026-02-04 does not exist" in runs[3].reason
    assert ids_in(tmp_path / "out") == list(range(FILE_ROWS, 4 * FILE_ROWS))
    assert len([job for job in client.batch_jobs("churn") if job.schedule == "days"]) == 3
    wait_until(lambda: len(told.kinds("days")) == 4)
    assert told.kinds("days") == ["batch_failed", *["batch_succeeded"] * 3]


def test_files_that_arrive_are_scored_once_each_though_control_is_killed_again_and_again(
    client: Client, scheduling: Node, tmp_path: Path
) -> None:
    arrivals, scores = tmp_path / "in", tmp_path / "out"
    client.schedule_batch(
        *("incoming", "churn", arrivals / "*.parquet", scores / "{run}"),
        on_arrival=Arrival(poll_s=1),
        keep=["id"],
    )
    for number in range(4):
        write(arrivals / f"{number}.parquet", number * FILE_ROWS)
        time.sleep(2.0)
        control_of(scheduling).kill()
        wait_for_control(client)

    wait_until(lambda: files_of(client, "incoming") == 4)
    runs = ended(client, "incoming", len(client.batch_schedule_runs("incoming")))
    assert {run.state for run in runs} == {"succeeded"}
    assert ids_in(scores) == list(range(4 * FILE_ROWS))


def files_of(client: Client, name: str) -> int:
    return sum(run.files for run in client.batch_schedule_runs(name))


def wait_for_control(client: Client) -> None:
    def answers() -> bool:
        try:
            client.server()
        except AuguriumError:
            return False
        return True

    wait_until(answers)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
