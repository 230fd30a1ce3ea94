"""`augurium scaling` and `augurium scaling simulate`: what people see and scripts get."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

from augurium.cli.exit_codes import ExitCode

Augurium = Callable[..., Result]
DECISION = {
    "at": "2026-01-05T08:00:00Z",
    "current": 1,
    "wanted": 2,
    "cause": "target",
    "low": 1,
    "high": 4,
    "reason": "cpu utilization 0.9 against 0.7 asks for 2",
    "numbers": {"cpu_utilization": 0.9},
}
SCALING: dict[str, Any] = {
    "enabled": True,
    "engines": {"engine-0": "serving", "engine-1": "starting"},
    "min_engines": 1,
    "max_engines": 4,
    "targets": {"cpu_utilization": 0.7},
    "schedules": ["weekdays 08:00-18:00 min 2"],
    "latest": DECISION | {"current": 2, "reason": "cpu utilization 0.7 against 0.7: 2 is right"},
    "decisions": [{"number": 3, "decision": DECISION, "done": "engine-1 starts"}],
    "counts": {"up": 1, "down": 0, "hold": 7},
    "reported_s_ago": 1.2,
    "models": [
        {
            "model": "fraud",
            "replicas": 2,
            "running": 1,
            "least": 0,
            "most": 4,
            "targets": {"in_flight": 2.0},
            "schedules": ["daily 08:00-09:00 min 1"],
            "latest": DECISION | {"reason": "in flight per replica 2 against 2: 2 is right"},
            "decisions": [{"number": 1, "decision": DECISION, "done": "replica 2 starts"}],
            "counts": {"up": 1},
        }
    ],
    "of_a_newer_server": True,
}
MODEL = {"name": "fraud", "created_at": "2026-01-05T08:00:00Z"}
LOAD = ("scaling", "simulate", "--capacity", "100", "--max", "8")


@pytest.fixture
def scaled(answer: Callable[..., None]) -> None:
    answer("GET /api/v1/scaling", SCALING)


@pytest.mark.usefixtures("scaled")
def test_people_see_the_engines_and_why(augurium: Augurium) -> None:
    page = augurium("scaling").stdout

    assert "2 engines of 1 to 4 (engine-0 serving, engine-1 starting), 1 s ago" in page
    assert "targets: cpu_utilization 0.7" in page
    assert "schedule: weekdays 08:00-18:00 min 2" in page
    assert "now: cpu utilization 0.7 against 0.7: 2 is right" in page
    assert "1 -> 2" in page
    assert "engine-1 starts" in page


@pytest.mark.usefixtures("scaled")
def test_people_see_the_replicas_of_models_and_why(augurium: Augurium) -> None:
    page = augurium("scaling").stdout

    assert "fraud: 2 replicas of 0 to 4, 1 running" in page
    assert "targets: in_flight 2" in page
    assert "schedule: daily 08:00-09:00 min 1" in page
    assert "now: in flight per replica 2 against 2: 2 is right" in page
    assert "replica 2 starts" in page


def test_a_model_s_replicas_are_simulated_by_what_was_decided_for_them(
    augurium: Augurium, answer: Callable[..., None]
) -> None:
    replicas = {"most": 4, "up_window_s": 0.0, "down_window_s": 60.0}
    answer("GET /api/v1/models/fraud", {**MODEL, "serving": {"replicas": replicas}})
    shape = ("--shape", "step", "--base", "5", "--peak", "60", "--duration", "10m")

    found = augurium("scaling", "simulate", "--model", "fraud", "--capacity", "20", *shape)

    assert found.exit_code == ExitCode.OK, found.stderr
    assert "replicas" in found.stdout
    assert "1 to 4" in " ".join(found.stdout.split())


@pytest.mark.usefixtures("scaled")
def test_scripts_get_the_same_as_json(augurium: Augurium) -> None:
    found = json.loads(augurium("scaling", "--json").stdout)

    assert found["engines"] == SCALING["engines"]
    assert found["decisions"][0]["decision"]["numbers"] == {"cpu_utilization": 0.9}


def test_a_fixed_number_says_how_it_could_change(
    augurium: Augurium, answer: Callable[..., None]
) -> None:
    fixed = {"enabled": False, "engines": {"engine-0": "serving"}}
    answer("GET /api/v1/scaling", fixed | {"min_engines": 1, "max_engines": 1})

    page = augurium("scaling").stdout

    assert "1 engines, fixed (engine-0 serving); scaling.max_engines lets it change" in page


def test_a_simulation_draws_and_sums_up(augurium: Augurium) -> None:
    page = augurium(*LOAD, "--shape", "step", "--peak", "400", "--duration", "20m").stdout

    assert "replicas" in page
    assert "engine hours" in page
    assert "1 to 8" in page or "1 to 7" in page or "1 to 6" in page


def test_a_simulation_of_a_trace_is_json_and_a_picture(augurium: Augurium, tmp_path: Path) -> None:
    trace, picture = tmp_path / "trace.csv", tmp_path / "picture.svg"
    trace.write_text("t,rate\n0,10\n60,300\n600,300\n")

    result = augurium(*LOAD, "--trace", str(trace), "--svg", str(picture), "--json")

    found = json.loads(result.stdout)
    assert found["replicas"][0] == {"t": 0.0, "wanted": 1, "ready": 1}
    assert found["summary"]["fewest"] == 1
    assert found["summary"]["most"] >= 4
    assert found["decisions"][0]["wanted"] > 1
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--capacity", "100"), "scaling.max_engines is 0", ExitCode.USAGE),
        (("--capacity", "0", "--max", "2"), "a capacity", ExitCode.FAILED),
        (("--capacity", "9", "--max", "2", "--shape", "zigzag"), "'zigzag' is no", ExitCode.FAILED),
        (("--capacity", "9", "--max", "2", "--trace", "none.csv"), "cannot be", ExitCode.USAGE),
        (("--capacity", "9", "--max", "2", "--min", "3"), "min_engines is 3", ExitCode.FAILED),
    ],
    ids=["off", "capacity", "shape", "trace", "bounds"],
)
def test_what_cannot_be_simulated_is_said(
    augurium: Augurium, arguments: tuple[str, ...], said: str, code: ExitCode
) -> None:
    result = augurium("scaling", "simulate", *arguments)

    assert said in result.stderr
    assert result.exit_code == code


@pytest.mark.parametrize(
    ("word", "bounds"), [("2", (2, 2)), ("1-4", (1, 4)), ("0-3", (0, 3))], ids=str
)
def test_replicas_are_given_as_a_number_or_a_range(
    word: str, bounds: tuple[int, int], augurium: Augurium, answer: Callable[..., None]
) -> None:
    answer("GET /api/v1/models/fraud", MODEL)

    def decided(request: Any) -> httpx.Response:
        return httpx.Response(200, json={**MODEL, "serving": json.loads(request.content)})

    answer("PUT /api/v1/models/fraud/serving", decided)

    found = augurium(
        *("serving", "fraud", "--replicas", word, "--target-in-flight", "2", "--idle", "60"),
        *("--schedule", "daily 08:00-09:00 min 1", "--json"),
    )

    assert found.exit_code == ExitCode.OK, found.stderr
    assert json.loads(found.stdout)["replicas"] == {
        "least": bounds[0],
        "most": bounds[1],
        "target_in_flight": 2.0,
        "idle_s": 60.0,
        "schedules": ["daily 08:00-09:00 min 1"],
    }


def test_people_read_how_replicas_are_decided(
    augurium: Augurium, answer: Callable[..., None]
) -> None:
    replicas = {"least": 0, "most": 4, "target_in_flight": 2.0, "idle_s": 60.0}
    answer("GET /api/v1/models/fraud", {**MODEL, "serving": {"replicas": replicas}})

    page = " ".join(augurium("serving", "fraud").stdout.split())

    assert "0 to 4, by the load" in page
    assert "targets: cpu_utilization 0.7, in_flight 2" in page
    assert "none after 60 s without a request" in page


def test_a_number_of_replicas_that_is_none_is_refused(augurium: Augurium) -> None:
    refused = augurium("serving", "fraud", "--replicas", "many")

    assert refused.exit_code == ExitCode.USAGE
    assert "expected one such as 2, or 1-4" in refused.stderr
