"""Schedules of batch jobs on the command line and with the clients, against a real management API
whose jobs nobody runs.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from augurium.client import AsyncClient, Client
from augurium.client.batch_schedule_results import ScheduledRun
from augurium.core.batch_schedule import Arrival
from augurium.core.batch_settings import BatchSettings
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.home import NodeConfig
from augurium.core.settings import NodeSettings, Settings
from augurium.registry.records import Version
from tests.integration.management.conftest import ManagementApi

Augurium = Callable[..., Result]
Register = Callable[..., Version]
NIGHTLY = ("--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
PATIENCE_S = 60.0


@pytest.fixture
def management(tmp_path: Path) -> Iterator[ManagementApi]:
    settings = Settings(
        node=NodeSettings(home=str(tmp_path / "home")), batch=BatchSettings(enabled=False)
    )
    api = ManagementApi(NodeConfig(settings, ()))
    api.start()
    yield api
    api.stop()


@pytest.fixture(autouse=True)
def churn(management: ManagementApi, register: Register) -> None:
    register("churn")
    management.services.registry.set_deployed("churn", 1, True, "ann")
    management.services.registry.set_default("churn", 1, "ann")


@pytest.fixture
def nightly(augurium: Augurium) -> None:
    paths = ("/data/in/{date}", "/data/out/{date}")
    result = augurium("batch", "schedule", "create", "nightly", "churn", *paths, *NIGHTLY)
    assert result.exit_code == 0, result.stderr


def newest_run(client: Client, name: str, *states: str) -> ScheduledRun:
    """The newest run, when it has come into one of these states."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = client.batch_schedule_runs(name, limit=1)
        if found and found[0].state in states:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no run of {name} is {states}: {client.batch_schedule(name)}")


def test_a_schedule_is_created_listed_and_shown(augurium: Augurium) -> None:
    created = augurium(
        *("batch", "schedule", "create", "nightly", "churn", "/data/in/{date}", "/data/out/{date}"),
        *(*NIGHTLY, "--catch-up", "--most-catch-up", "7", "--overlap", "wait", "--keep", "id"),
    )
    assert created.exit_code == 0, created.stderr
    assert "schedule nightly of churn runs next at " in created.stdout
    assert "augurium batch schedule show nightly" in created.stderr

    listed = augurium("batch", "schedule", "list", "churn")
    assert "0 2 * * * (Europe/Berlin)" in listed.stdout
    shown = augurium("batch", "schedule", "show", "nightly").stdout
    assert "catches up         7 intervals" in shown
    assert "next runs" in shown
    show = ("batch", "schedule", "show", "nightly", "--upcoming", "3", "--json")
    found = json.loads(augurium(*show).stdout)
    assert found["spec"]["job"]["input"]["paths"] == ["/data/in/{date}"]
    assert found["spec"]["job"]["input"]["keep"] == ["id"]
    assert len(found["next_runs"]) == 3
    assert found["next_at"] == found["next_runs"][0]["end"]


@pytest.mark.usefixtures("nightly")
def test_a_schedule_is_changed_only_on_demand(augurium: Augurium) -> None:
    hourly = ("nightly", "churn", "/data/in", "/data/out/{start}", "--cron", "hourly")
    refused = augurium("batch", "schedule", "create", *hourly)
    assert (refused.exit_code, "--replace" in refused.stderr) == (1, True)

    changed = augurium("batch", "schedule", "create", *hourly, "--replace", "--json")

    assert (changed.exit_code, json.loads(changed.stdout)["cron"]) == (0, "hourly")


@pytest.mark.usefixtures("nightly")
def test_a_schedule_rests_goes_on_and_is_forgotten(augurium: Augurium) -> None:
    paused = augurium("batch", "schedule", "pause", "nightly")
    assert "nightly of churn is paused" in paused.stderr
    assert " paused " in augurium("batch", "schedule", "list").stdout
    resumed = augurium("batch", "schedule", "resume", "nightly")
    assert "runs next at" in resumed.stderr
    gone = augurium("batch", "schedule", "delete", "nightly", "--json")
    assert json.loads(gone.stdout)["name"] == "nightly"

    for command in ("show", "pause", "resume", "run", "delete"):
        result = augurium("batch", "schedule", command, "nightly")
        assert (result.exit_code, "there is no schedule 'nightly'" in result.stderr) == (1, True)


@pytest.mark.usefixtures("nightly")
def test_days_of_the_past_run_and_why_one_failed_is_shown(
    augurium: Augurium, client: Client
) -> None:
    ordered = augurium("batch", "schedule", "run", "nightly", "--for", "2025-11-01..2025-11-02")
    assert "2 runs wait for their turn" in ordered.stderr
    assert newest_run(client, "nightly", "failed").number == 2

    shown = augurium("batch", "schedule", "show", "nightly").stdout
    assert "/data/in/2025-11-01 does not exist" in shown
    again = augurium("batch", "schedule", "run", "nightly", "--for", "2025-11-01")
    assert "nothing to run: 1 had a job already" in again.stderr
    now = json.loads(augurium("batch", "schedule", "run", "nightly", "--json").stdout)
    assert (len(now["runs"]), now["left_out"]) == (1, 0)
    wrong = augurium("batch", "schedule", "run", "nightly", "--for", "2035-11-01")
    assert (wrong.exit_code, "no interval of 'nightly'" in wrong.stderr) == (1, True)


def test_a_file_that_arrives_becomes_a_job_after_a_look_at_it(
    augurium: Augurium, client: Client, tmp_path: Path
) -> None:
    arrivals = tmp_path / "arrivals"
    arrivals.mkdir()
    made = augurium(
        *("batch", "schedule", "create", "incoming", "churn", f"{arrivals}/*.parquet"),
        *(str(tmp_path / "scores" / "{run}"), "--on-arrival", "--poll", "1s"),
    )
    assert "runs when files arrive" in made.stdout, made.stderr
    pq.write_table(pa.table({"x": pa.array([1.0, 2.0], pa.float32())}), arrivals / "1.parquet")

    run = newest_run(client, "incoming", "running", "failed")

    assert (run.state, run.files, run.reason) == ("running", 1, "")
    job = client.batch_job(run.job)
    assert job.spec.input.paths == (str(arrivals / "1.parquet"),)
    assert job.spec.output.path == str(tmp_path / "scores" / "000001")
    assert (job.schedule, job.created_by) == ("incoming", "schedule:incoming")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--cron", "sometimes"), 1, "cannot be read"),
        ((), 1, "give one of them"),
        (("--cron", "daily", "--marker", "_SUCCESS"), 2, "go with --on-arrival"),
        (("--cron", "daily", "--overlap", "both"), 2, "overlap"),
        (("--cron", "daily", "--most-catch-up", "0"), 2, "most_catch_up"),
        (("--cron", "daily", "--timezone", "Mars/North"), 1, "no time zone"),
        (("--on-arrival", "--poll", "soon"), 2, "is not a time"),
        (("--on-arrival", "--catch-up"), 1, "leave out catch_up"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_a_sentence(
    augurium: Augurium, options: tuple[str, ...], code: int, says: str
) -> None:
    command = ("batch", "schedule", "create", "nightly", "churn", "/in", "/out/{run}")
    result = augurium(*command, *options)

    assert result.exit_code == code
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_times_are_shown_without_a_server(
    augurium: Augurium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGURIUM_URL", "http://127.0.0.1:1")
    arguments = ("30 2 * * *", "--timezone", "Europe/Berlin", "--after", "2026-03-28", "--count")
    shown = augurium("batch", "schedule", "next", *arguments, "2")
    assert "2026-03-29 03:00 +0200   2026-03-29 01:00   2026-03-28 02:30 +0100" in shown.stdout

    found = json.loads(augurium("batch", "schedule", "next", *arguments, "1", "--json").stdout)
    assert found == [{"start": "2026-03-27T01:30:00Z", "end": "2026-03-28T01:30:00Z"}]
    wrong = augurium("batch", "schedule", "next", "sometimes")
    assert (wrong.exit_code, "cannot be read" in wrong.stderr) == (1, True)


async def test_both_clients_say_and_do_the_same(client: Client, management: ManagementApi) -> None:
    client.schedule_batch("one", "churn@1", "/in/{date}", "/out/{date}", cron="daily", keep=["id"])
    arrival = Arrival(poll_s=3600, marker="_SUCCESS")
    async with AsyncClient(management.url) as tasks:
        two = await tasks.schedule_batch("two", "churn", "/in", "/out/{run}", on_arrival=arrival)
        assert (two.on_arrival, two.spec.arrival) == (True, arrival)
        assert await tasks.batch_schedules() == client.batch_schedules()
        assert await tasks.batch_schedule("one", 2) == client.batch_schedule("one", 2)
        assert (await tasks.order_batch_schedule("one", "pause")).paused
        ordered = await tasks.run_batch_schedule("one", "2025-11-01", "2025-11-03")
        assert [run.start.day for run in ordered.runs] == [1, 2, 3]
        assert await tasks.batch_schedule_runs("one", 2) == client.batch_schedule_runs("one", 2)
        assert client.run_batch_schedule("one", "2025-11-03").left_out == 1
        assert not client.order_batch_schedule("one", "resume").paused
        assert client.batch_schedule("one").spec.job.version == 1
        with pytest.raises(Conflict):
            await tasks.schedule_batch("two", "churn", "/in", "/out/{run}", cron="daily")
        with pytest.raises(InvalidArgument):
            await tasks.schedule_batch("three", "churn", "/in", "/out", overlap="never")
        assert (await tasks.delete_batch_schedule("two")).name == "two"
        with pytest.raises(NotFound):
            client.delete_batch_schedule("two")
