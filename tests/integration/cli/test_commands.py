"""Every command against a server: what people see, what scripts get, which exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

Answer = Callable[..., None]
Augurium = Callable[..., Result]
Received = list[httpx.Request]
DEPLOYMENT = {"model": "churn", "version": 2, "default": True, "state": "ready", "seconds": 1.5}


def lines_of(text: str) -> list[list[str]]:
    """The words of every line."""
    return [line.split() for line in text.splitlines()]


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    file = tmp_path / "churn.ubj"
    file.write_bytes(b"model")
    return str(file)


@pytest.mark.usefixtures("registering")
def test_register_shows_what_the_model_became(
    augurium: Augurium, model_file: str, received: Received
) -> None:
    result = augurium(
        *("register", model_file, "--name", "churn", "--framework", "xgboost"),
        *("--metric", "auc=0.93", "--metric", "n=10", "--tag", "team=risk"),
        *("--trained-at", "2026-01-31T12:00:00+01:00", "--allow-code"),
    )

    assert result.exit_code == 0, result.stderr
    assert lines_of(result.stdout) == [
        ["version", "churn@2"],
        ["framework", "xgboost", "3.1.0"],
        ["engine", "onnx"],
        ["parity", "error", "2.5e-07"],
        ["size", "1.5", "MiB"],
    ]
    body = json.loads(received[1].content)
    assert body["framework"] == "xgboost"
    assert body["metrics"] == {"auc": 0.93, "n": 10.0}
    assert body["tags"] == {"team": "risk"}
    assert body["trained_at"] == "2026-01-31T12:00:00+01:00"
    assert body["allow_code"] is True


@pytest.mark.usefixtures("registering")
def test_register_sends_the_training_data_beside_the_model(
    augurium: Augurium, model_file: str, tmp_path: Path, received: Received
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("age,city\n31,Rome\n,Oslo\n")

    result = augurium("register", model_file, "--name", "churn", "--data", str(table))

    assert result.exit_code == 0, result.stderr
    model, rows, start = received[:3]
    assert model.content == b"model"
    assert rows.content == table.read_bytes()
    assert json.loads(start.content)["table"] == "a" * 64


@pytest.mark.usefixtures("registering")
def test_register_says_where_a_version_comes_from(
    augurium: Augurium, model_file: str, tmp_path: Path, received: Received
) -> None:
    card, transforms = tmp_path / "card.md", tmp_path / "fitted.json"
    card.write_text("# Churn")
    transforms.write_text("{}")

    result = augurium(
        *("register", model_file, "--name", "churn", "--engine", "treelite"),
        *("--card", str(card), "--preprocessing", str(transforms)),
        *("--code-revision", "4f2a", "--dataset-uri", "s3://data/train.parquet"),
        *("--run-url", "https://tracker/runs/7", "--parent-version", "2"),
    )

    assert result.exit_code == 0, result.stderr
    body = json.loads(received[2].content)
    assert (body["engine"], body["card"]) == ("treelite", "# Churn")
    assert body["preprocessing"] == "a" * 64
    assert body["lineage"] == {
        "code_revision": "4f2a",
        "dataset_uri": "s3://data/train.parquet",
        "run_url": "https://tracker/runs/7",
        "parent_version": 2,
    }


PROFILE = {
    "schema_hash": "5" * 64,
    "rows": 100,
    "output_rows": 90,
    "notes": ["the outputs are those of 90 of 100 rows"],
    "features": [
        {
            "bins": {"type": "numeric", "name": "age", "low": 18, "high": 90, "edges": [30, 45]},
            "counts": [0, 40, 30, 20, 0],
            "n": 100,
            "n_missing": 8,
            "n_nan": 2,
            "min": 18,
            "max": 90,
            "moments": {"n": 90, "mean": 41.5, "m2": 8900},
        },
        {
            "bins": {"type": "categorical", "name": "city", "categories": ["Rome", "Oslo"]},
            "counts": [70, 29, 1, 0],
            "n": 100,
        },
    ],
}


def test_versions_shows_the_reference_profile_of_one(augurium: Augurium, answer: Answer) -> None:
    answer("GET /api/v1/models/churn/versions/2/profile", PROFILE)

    result = augurium("versions", "churn@2", "--profile")
    raw = augurium("versions", "churn@2", "--profile", "--json")

    assert result.exit_code == 0, result.stderr
    lines = lines_of(result.stdout)
    assert ["rows", "100"] in lines
    assert next(line[:-1] for line in lines if line[:1] == ["age"]) == [
        *("age", "10.0%", "18", "41.5", "10", "90")
    ]
    city = next(line for line in lines if line[:1] == ["city"])
    assert " ".join(city).endswith("Rome 70%, Oslo 29%, __other__ 1%")
    assert json.loads(raw.stdout)["rows"] == 100


@pytest.mark.parametrize("words", [("churn", "--profile"), ("show", "churn", "--profile")])
def test_a_profile_is_of_one_version(augurium: Augurium, words: tuple[str, ...]) -> None:
    result = augurium("versions", *words)

    assert result.exit_code == 2
    assert "churn@3" in result.stderr


@pytest.mark.usefixtures("registering")
def test_register_can_deploy_at_once(
    augurium: Augurium, model_file: str, answer: Answer, received: Received
) -> None:
    answer("POST /api/v1/models/churn/deployments", DEPLOYMENT)

    result = augurium("register", model_file, "--name", "churn", "--deploy")

    assert result.exit_code == 0, result.stderr
    assert "churn@2 is ready as the default (1.50 s)" in result.stdout
    assert json.loads(received[-1].content) == {"version": 2, "default": True}


@pytest.mark.usefixtures("registering")
def test_a_version_that_cannot_be_deployed_stays_registered_and_that_is_said(
    augurium: Augurium, model_file: str, answer: Answer
) -> None:
    refusal = {"error": "engine-0: out of memory", "kind": "unprocessable"}
    answer("POST /api/v1/models/churn/deployments", refusal, 422)

    result = augurium("register", model_file, "--name", "churn", "--deploy")

    assert result.exit_code == 1
    assert "churn@2 is registered, but not deployed: engine-0: out of memory" in result.stderr


def test_models_are_a_table(augurium: Augurium, answer: Answer, model_body: dict[str, Any]) -> None:
    unused = {"name": "[new]", "created_at": model_body["created_at"]}
    answer("GET /api/v1/models", {"models": [model_body, unused]})

    result = augurium("models")

    lines = lines_of(result.stdout)
    assert ["name", "latest", "default", "deployed", "aliases"] in lines
    assert ["churn", "2", "1", "1,", "2", "champion=1"] in lines
    assert ["[new]", "0", "-", "-", "-"] in lines


ACTIVITY: dict[str, Any] = {
    "at": 1.0,
    "engines": [
        {"engine": "engine-0", "pid": 7, "cpu_s": 1, "resident_bytes": 3145728,
         "budget_bytes": 4194304, "memory_bytes": 9437184},
    ],
    "versions": [
        {"model": "churn", "version": 1, "state": "asleep", "reason": "churn@1 cannot be loaded"},
        {"model": "fraud", "version": 3, "state": "resident", "pinned": True, "engines": 1,
         "resident_bytes": 3145728, "replicas": 2, "load_s": 0.25, "loads": 2, "evictions": 1,
         "last_inference_at": 0.0, "requests": {"ok": 5}, "latency": [5, 0]},
    ],
    "latency_bounds_s": [0.001],
}  # fmt: skip


def test_what_is_in_memory_is_a_table_with_the_largest_first(
    augurium: Augurium, answer: Answer
) -> None:
    answer("GET /api/v1/activity", ACTIVITY)

    result = augurium("models", "--resident")

    assert result.exit_code == 0, result.stderr
    assert "models take 3.0 MiB of 4.0 MiB in 1 engines" in result.stderr
    fraud, churn = [line for line in lines_of(result.stdout) if line and "@" in line[0]]
    assert " ".join(fraud) == "fraud@3 resident, pinned 1/1 3.0 MiB 2 0.25 2 1 - -"
    assert " ".join(churn) == "churn@1 asleep 0/1 - - 0 0 0 - churn@1 cannot be loaded"
    told = json.loads(augurium("models", "--resident", "--json").stdout)
    assert [one["model"] for one in told["versions"]] == ["churn", "fraud"]


def test_top_measures_once_without_a_terminal(augurium: Augurium, answer: Answer) -> None:
    later = {**ACTIVITY, "at": 3.0, "versions": [
        ACTIVITY["versions"][0],
        {**ACTIVITY["versions"][1], "requests": {"ok": 105}, "latency": [105, 0], "pending": 4},
    ]}  # fmt: skip
    answer("GET /api/v1/activity", ACTIVITY)
    answer("GET /api/v1/activity", later)

    result = augurium("top", "--interval", "0.2")

    assert result.exit_code == 0, result.stderr
    assert "50 requests/s" in result.stdout
    assert "1 asleep, 1 resident" in result.stdout
    (fraud,) = (line for line in lines_of(result.stdout) if line[:1] == ["fraud@3"])
    assert fraud[1:8] == ["resident,", "pinned", "1/1", "3.0", "MiB", "2", "50"]
    measured = json.loads(augurium("top", "--interval", "0.2", "--json").stdout)
    assert {one["name"] for one in measured["versions"]} == {"churn@1", "fraud@3"}


def test_top_refuses_an_order_there_is_not(augurium: Augurium) -> None:
    result = augurium("top", "--sort", "size")

    assert result.exit_code == 1
    assert "rate, memory, latency, waiting, name" in result.stderr


def test_without_models_the_next_step_is_told(augurium: Augurium, answer: Answer) -> None:
    answer("GET /api/v1/models", {"models": []})

    result = augurium("models")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "augurium register" in result.stderr


@pytest.mark.parametrize("words", [("list", "churn"), ("churn",)], ids=" ".join)
def test_versions_are_a_table(
    augurium: Augurium, answer: Answer, version_body: dict[str, Any], words: tuple[str, ...]
) -> None:
    answer("GET /api/v1/models/churn/versions", {"versions": [version_body]})

    lines = lines_of(augurium("versions", *words).stdout)

    shown = ["2", "xgboost", "3.1.0", "onnx", "no", "none", "2026-01-02", "03:04:05", "UTC"]
    assert [*shown, "2.5e-07", "auc=0.93"] in lines


@pytest.mark.parametrize(
    "words",
    [("show", "churn@2"), ("show", "churn@challenger"), ("churn@2",), ("churn@challenger",)],
    ids=" ".join,
)
def test_a_version_is_shown_whole_by_number_or_alias(
    augurium: Augurium,
    answer: Answer,
    model_body: dict[str, Any],
    version_body: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    answer("GET /api/v1/models/churn", model_body | {"aliases": {"challenger": 2}})
    answer("GET /api/v1/models/churn/versions/2", version_body)

    lines = lines_of(augurium("versions", *words).stdout)

    assert ["version", "churn@2"] in lines
    assert ["description", "second", "try"] in lines
    assert ["source", "churn.ubj,", "2.0", "KiB"] in lines
    assert ["servable", "SHA-256", "b" * 64] in lines
    assert ["label", "INT64", "[-1]", "no"] in lines
    assert lines[-3:] == [["parity"], ["max", "abs", "error", "2.5e-07"], ["rows", "450"]]
    (features,) = [line for line in lines if line[:2] == ["features", "FP32"]]
    assert features[-4:] == ["f9", "and", "2", "more"]


def test_a_version_shows_every_engine_that_was_tried(
    augurium: Augurium, answer: Answer, version_body: dict[str, Any]
) -> None:
    tried = {
        "onnx": {"outcome": "refused: rank:ndcg"},
        "treelite": {
            "outcome": "ok",
            "parity": {"rows": 450, "max_abs_error": 5e-7, "label_differences": 0},
            "latency_ms": {"1": 0.04, "64": 0.6, "1024": 9.5},
            "load_ms": 1.5,
            "memory_bytes": 2 * 1024**2,
        },
    }
    because = "treelite passed parity; onnx did not"
    report = {"chosen": "treelite", "chosen_because": because, "engines": tried}
    answer("GET /api/v1/models/churn/versions/2", version_body | {"report": report})

    page = augurium("versions", "show", "churn@2")
    raw = augurium("versions", "show", "churn@2", "--json")

    lines = lines_of(page.stdout)
    assert ["onnx", *["-"] * 7, "refused:", "rank:ndcg"] in lines
    served = ["treelite", "*", "5e-07", "0", "0.04", "0.6", "9.5", "1.5", "2.0", "MiB", "ok"]
    assert served in lines
    assert f"* serves: {because}" in page.stdout
    assert json.loads(raw.stdout)["report"] == report


def test_an_unknown_alias_is_refused_with_the_known_ones(
    augurium: Augurium, answer: Answer, model_body: dict[str, Any]
) -> None:
    answer("GET /api/v1/models/churn", model_body)

    result = augurium("versions", "show", "churn@challenger")

    assert result.exit_code == 1
    assert "has no alias 'challenger'; it has champion" in result.stderr


def test_deploy_says_when_the_version_serves(
    augurium: Augurium, answer: Answer, received: Received
) -> None:
    answer("POST /api/v1/models/churn/deployments", DEPLOYMENT | {"default": False})

    result = augurium("deploy", "churn@2", "--no-default")

    assert result.stdout == "churn@2 is ready (1.50 s)\n"
    assert json.loads(received[0].content) == {"version": 2, "default": False}


def test_undeploy_and_alias_say_what_changed(
    augurium: Augurium, answer: Answer, received: Received, model_body: dict[str, Any]
) -> None:
    undeployed = {"model": "churn", "version": 2, "state": "undeployed"}
    answer("DELETE /api/v1/models/churn/deployments/2", undeployed)
    answer("PUT /api/v1/models/churn/aliases/champion", model_body)
    answer("DELETE /api/v1/models/churn/aliases/champion", model_body)

    assert augurium("undeploy", "churn@2").stdout == "churn@2 is undeployed\n"
    assert augurium("alias", "churn@champion", "1").stdout == "churn@champion is version 1\n"
    assert augurium("alias", "churn@champion", "--remove").stdout == "churn@champion is removed\n"
    assert json.loads(received[1].content) == {"version": 1}


@pytest.mark.parametrize(
    ("predictions", "lines"),
    [
        ([0.25, None], [["row", "prediction"], ["0", "0.25"], ["1", "-"]]),
        ([[0.1, 0.9]], [["row", "prediction"], ["0", "[0.1,0.9]"]]),
        (
            [{"label": "yes", "probabilities": [0.1, 0.9]}],
            [["row", "label", "probabilities"], ["0", "yes", "[0.1,0.9]"]],
        ),
    ],
)
def test_predictions_are_a_table(
    augurium: Augurium, answer: Answer, predictions: list[Any], lines: list[list[str]]
) -> None:
    answer("POST /v1/models/churn:predict", {"predictions": predictions})

    result = augurium("predict", "churn", "--input", "[[1, 2]]")

    assert [line for line in lines_of(result.stdout) if line and line[0][0] != "─"] == lines


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("churn", "/v1/models/churn:predict"),
        ("churn@2", "/v1/models/churn/versions/2:predict"),
        ("churn@champion", "/v1/models/churn@champion:predict"),
    ],
)
def test_predict_reads_csv_from_standard_input(
    augurium: Augurium, answer: Answer, received: Received, reference: str, path: str
) -> None:
    answer(f"POST {path}", {"predictions": [1]})

    result = augurium("predict", reference, "--input", "-", input="age,city\n31,Rome\n,Oslo\n")

    assert result.exit_code == 0, result.stderr
    assert json.loads(received[-1].content) == {
        "instances": [{"age": 31, "city": "Rome"}, {"age": None, "city": "Oslo"}]
    }


def test_a_degraded_answer_is_remarked(augurium: Augurium, answer: Answer) -> None:
    headers = {"augurium-degraded": "stale cache"}
    answer(
        "POST /v1/models/churn:predict",
        lambda request: httpx.Response(200, json={"predictions": [1]}, headers=headers),
    )

    result = augurium("predict", "churn", "--input", "[[1]]")

    assert result.stderr == "The answer is degraded: stale cache.\n"


def test_status_shows_engines_that_are_absent_and_why_versions_fail(
    augurium: Augurium, answer: Answer
) -> None:
    answer("GET /api/v1/ready", {"ready": False, "waiting_for": ["engine-1"]}, 503)

    result = augurium("status")

    lines = lines_of(result.stdout)
    assert result.exit_code == 1
    assert ["state", "not", "ready,", "waiting", "for", "engine-1"] in lines
    assert ["engine-1", "absent", "-", "-", "-"] in lines
    failed = "1 ready; churn@2 failed: out of memory"
    assert ["engine-0", "connected", "7", "4", *failed.split()] in lines


def test_status_of_a_ready_node_exits_0(augurium: Augurium, answer: Answer) -> None:
    answer("GET /api/v1/ready", {"ready": True, "waiting_for": []})

    result = augurium("status")

    assert result.exit_code == 0
    assert ["state", "ready"] in lines_of(result.stdout)


@pytest.mark.usefixtures("registering")
def test_every_command_prints_one_json_value_and_nothing_else(
    augurium: Augurium, answer: Answer, model_file: str, model_body: dict[str, Any]
) -> None:
    answer("GET /api/v1/models", {"models": [model_body]})
    answer("GET /api/v1/models/churn/versions", {"versions": []})
    answer("POST /api/v1/models/churn/deployments", DEPLOYMENT)
    answer("DELETE /api/v1/models/churn/deployments/2", DEPLOYMENT | {"state": "undeployed"})
    answer("PUT /api/v1/models/churn/aliases/champion", model_body)
    answer("POST /v1/models/churn:predict", {"predictions": [1]})
    answer("GET /api/v1/ready", {"ready": True, "waiting_for": []})

    def json_of(*arguments: str) -> Any:
        result = augurium(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    assert json_of("register", model_file, "--name", "churn")["deployment"] is None
    registered = json_of("register", model_file, "--name", "churn", "--deploy")
    assert (registered["version"], registered["deployment"]) == (2, DEPLOYMENT)
    assert json_of("models")["models"][0]["aliases"] == {"champion": 1}
    assert json_of("versions", "list", "churn") == {"versions": []}
    assert json_of("versions", "show", "churn@2")["signature"]["inputs"][0]["name"] == "features"
    assert json_of("deploy", "churn@2") == DEPLOYMENT
    assert json_of("undeploy", "churn@2")["state"] == "undeployed"
    assert json_of("alias", "churn@champion", "1")["name"] == "churn"
    assert json_of("predict", "churn", "--input", "[[1]]") == {"predictions": [1]}
    assert json_of("status")["readiness"] == {"ready": True, "waiting_for": []}


def test_a_refusal_exits_1_with_its_reason_on_standard_error(
    augurium: Augurium, answer: Answer
) -> None:
    refusal = {"error": "model 'churn' has no version 2\x1b[2J", "kind": "not_found"}
    answer("POST /api/v1/models/churn/deployments", refusal, 404)

    result = augurium("deploy", "churn@2", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: model 'churn' has no version 2?[2J\n"
