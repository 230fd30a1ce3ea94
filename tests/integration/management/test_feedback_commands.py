"""Feedback on the command line and with the client, against a real management API."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from typer.testing import Result

from augurium.client import AsyncClient, Client
from augurium.core.errors import InvalidArgument, NotFound
from augurium.registry.records import Version
from tests.integration.management.conftest import ManagementApi

Augurium = Callable[..., Result]
Register = Callable[..., Version]
MANY = 120_000


@pytest.fixture(autouse=True)
def model(register: Register) -> None:
    register("churn")


def row(of: str, value: Any = 1, **said: Any) -> dict[str, Any]:
    return {"model": "churn", "prediction_id": of, "name": "converted", "value": value} | said


def test_one_outcome_is_sent_and_shown(augurium: Augurium) -> None:
    sent = ["feedback", "send", "churn", "--prediction", "p1", "--metric", "converted"]
    noted = augurium(*sent, "--value", "true", "--at", "2026-01-31T12:00")
    assert (noted.exit_code, noted.stdout) == (0, "")
    assert "Noted: converted of p1 is true." in noted.stderr
    augurium(*sent, "--value", "0", "--at", "2026-01-31T12:00Z")
    augurium("feedback", "send", "churn", "--unit", "u1", "--metric", "revenue", "--value", "9.5")

    shown = augurium("feedback", "show", "churn")
    assert shown.exit_code == 0
    words = [line.split() for line in shown.stdout.splitlines()]
    assert ["converted", "1", "0", "0", "0"] in [line[:5] for line in words]
    assert any(line[3:6] == ["p1", "converted", "0"] for line in words)
    found = json.loads(
        augurium("feedback", "show", "churn", "--metric", "revenue", "--json").stdout
    )
    assert [value["unit"] for value in found["values"]] == ["u1"]
    assert {metric["name"]: metric["conflicting"] for metric in found["metrics"]} == {
        "converted": 1,
        "revenue": 0,
    }
    asked = ["--start", "2026-01-31T11:59", "--end", "2026-01-31T12:01", "--json"]
    within = json.loads(augurium("feedback", "show", "churn", *asked).stdout)
    assert [value["prediction_id"] for value in within["values"]] == ["p1"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["nope", "--prediction", "p", "--metric", "x", "--value", "1"], 1, "'nope' is not known"),
        (["churn", "--metric", "x", "--value", "1"], 1, "either prediction_id or unit"),
        (["churn", "--prediction", "p", "--metric", "x", "--value", "nan"], 2, "expected a number"),
        (["churn", "--prediction", "p", "--metric", "x y", "--value", "1"], 1, "name 'x y'"),
    ],
)
def test_an_outcome_that_does_not_fit_is_refused(
    augurium: Augurium, arguments: list[str], code: int, reason: str
) -> None:
    result = augurium("feedback", "send", *arguments)

    assert result.exit_code == code
    assert reason in " ".join(result.stderr.split())


def test_a_model_without_feedback_says_so(augurium: Augurium) -> None:
    assert "Nothing was said" in augurium("feedback", "show", "churn").stderr
    assert augurium("feedback", "show", "nope").exit_code == 1


def test_files_of_every_form_are_loaded(augurium: Augurium, client: Client, tmp_path: Path) -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    lines = tmp_path / "rows.ndjson"
    lines.write_text(
        '{"prediction_id": "p1", "name": "a", "value": 1, "at": "2026-01-31T12:00:00Z"}\n\n'
        '{"model": "churn", "prediction_id": "p2", "name": "a", "value": true, "at": 1769860800}'
    )
    table = tmp_path / "rows.csv"
    table.write_text(
        "\ufeffprediction_id,name,value,at,id\n"
        "p1,b,1.5,2026-01-31T12:00:00Z,\n"
        "p2,b,TRUE,1769860800,2nd\n"
    )
    parquet = tmp_path / "rows.parquet"
    rows = (
        "SELECT 'p' || i AS prediction_id, 'c' AS name, i % 2 = 0 AS value, NULL AS unit, "
        "TIMESTAMP '2026-01-31 12:00:00' AS at FROM range(2500) t(i)"
    )
    duckdb.execute(f"COPY ({rows}) TO '{parquet}' (FORMAT parquet)")

    for file in (lines, table, parquet):
        loaded = augurium("feedback", "load", str(file), "--model", "churn")
        assert loaded.exit_code == 0, loaded.stderr

    found = {told.name: told for told in client.feedback_summary("churn").metrics}
    assert {name: told.outcomes for name, told in found.items()} == {"a": 2, "b": 2, "c": 2500}
    assert {(told.first_at, told.last_at) for told in found.values()} == {(at, at)}
    assert found["c"].mean == 0.5
    assert {told.id for told in client.feedback("churn", metric="b").values} == {"", "2nd"}


def test_rows_of_a_file_that_do_not_fit_are_told_and_the_others_taken(
    augurium: Augurium, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("model,prediction_id,name,value\nchurn,p1,a,1\nnope,p2,a,1\nchurn,p3,a,many\n")

    plain = augurium("feedback", "load", str(file))
    as_json = augurium("feedback", "load", str(file), "--json")

    assert plain.exit_code == as_json.exit_code == 1
    assert "1 rows accepted, 2 rejected" in plain.stderr
    assert "row 2: model 'nope' is not known" in plain.stderr
    assert [told["line"] for told in json.loads(as_json.stdout)["rejections"]] == [2, 3]
    assert client.feedback_summary("churn").metrics[0].outcomes == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.txt", "x", "another suffix"),
        ("rows.ndjson", "{}\n[1]", "line 2 is no JSON object"),
        ("rows.parquet", "PAR1 no", "cannot be read as Parquet"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    augurium: Augurium, tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)

    result = augurium("feedback", "load", str(tmp_path / name))

    assert result.exit_code == 1
    assert reason in result.stderr


def test_an_iterator_is_sent_in_chunks_and_places_go_on(client: Client) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for place in range(1, MANY + 1):
            yield row(f"p{place}", np.float32(0.5), model="nope" if place == 110_000 else "churn")

    receipt = client.send_feedback(rows())

    assert (receipt.accepted, receipt.rejected) == (MANY - 1, 1)
    assert receipt.rejections[0].line == 110_000
    assert client.feedback_summary("churn").metrics[0].outcomes == MANY - 1
    assert client.feedback("churn", limit=1).values[0].prediction_id == f"p{MANY}"


def test_what_the_client_cannot_send_is_told_before(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="row 2 of the feedback"):
        client.send_feedback([row("p1"), row("p2", object())])
    with pytest.raises(NotFound):
        client.feedback("nope")
    assert client.send_feedback([]).accepted == 0


async def test_tasks_send_feedback_too(management: ManagementApi) -> None:
    async def rows() -> AsyncIterator[dict[str, Any]]:
        for place in range(60_000):
            yield row(f"q{place}")

    async with AsyncClient(management.url) as client:
        one = await client.send_feedback(row("p1", at=datetime.now(UTC)))
        some = await client.send_feedback([row("p2"), row("p3", "x")])
        many = await client.send_feedback(rows())

    assert [told.accepted for told in (one, some, many)] == [1, 1, 60_000]
    assert [told.line for told in some.rejections] == [2]
