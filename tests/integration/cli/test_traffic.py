"""`augurium traffic`: what is sent, what people see, which exit code."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import Result

from augurium.client import Client

Answer = Callable[..., None]
Augurium = Callable[..., Result]
Received = list[httpx.Request]
URL = "/api/v1/models/churn/traffic"
RULE = {"source": "header:country", "version": 2, "values": ["DE"]}
POLICY: dict[str, Any] = {
    "split": [{"version": 1, "weight": 90}, {"version": 2, "weight": 10, "name": "new"}],
    "unit": "header:x-user",
    "rules": [RULE],
}


def revision(number: int, policy: dict[str, Any] | None = None, **told: Any) -> dict[str, Any]:
    usual = {"model": "churn", "at": "2026-01-02T03:04:05Z", "actor": "ann", "reason": "try it"}
    return {**usual, "revision": number, "policy": policy, **told}


def test_a_policy_is_shown_with_who_decided_it(
    augurium: Augurium, answer: Answer, model_body: dict[str, Any]
) -> None:
    answer(f"GET {URL}", revision(3, POLICY))
    answer("GET /api/v1/models/churn", model_body)

    result = augurium("traffic", "show", "churn")

    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    for words in (
        ["revision", "3"],
        ["decided", "by", "ann"],
        ["reason", "try", "it"],
        ["unit", "header:x-user"],
        ["1", "header:country", "is", "DE", "2"],
        ["v1", "1", "90", "%", "█" * 36],
        ["new", "2", "10", "%", "█" * 4],
    ):
        assert words in lines


def test_what_is_not_said_stays_and_the_revision_that_was_read_is_told(
    augurium: Augurium, answer: Answer, received: Received
) -> None:
    answer(f"GET {URL}", revision(3, POLICY))
    answer(f"PUT {URL}", revision(4, POLICY, applied=True, milliseconds=12.5))

    result = augurium("traffic", "set", "churn", "v1=50", "new@2=50", "--reason", "go on")

    assert result.exit_code == 0, result.stderr
    assert "Revision 4 after 12.5 ms." in result.stderr
    sent = json.loads(received[-1].content)
    split = [{"version": 1, "weight": 50.0}, {"version": 2, "weight": 50.0, "name": "new"}]
    assert sent == {
        "policy": {"split": split, "unit": "header:x-user", "rules": [RULE]},
        "reason": "go on",
        "based_on_revision": 3,
    }


def test_engines_that_are_late_are_mentioned(augurium: Augurium, answer: Answer) -> None:
    answer(f"DELETE {URL}", revision(4, applied=False, milliseconds=5000.0))

    result = augurium("traffic", "clear", "churn", "--reason", "done")

    assert result.exit_code == 0
    assert "late" in result.stderr
    assert "the default version" in result.stdout


def test_an_earlier_policy_is_asked_for_by_its_revision(
    augurium: Augurium, answer: Answer, received: Received
) -> None:
    answer(f"POST {URL}/revert", revision(5, POLICY, based_on=2, applied=True, milliseconds=9.0))

    result = augurium("traffic", "revert", "churn", "--to", "2", "--json")

    assert json.loads(result.stdout)["based_on"] == 2
    assert json.loads(received[-1].content)["revision"] == 2


def test_the_history_is_a_table(augurium: Augurium, answer: Answer, received: Received) -> None:
    told = [revision(2, reason=""), revision(1, POLICY)]
    answer(f"GET {URL}/history", {"revisions": told})

    result = augurium("traffic", "history", "churn", "--limit", "2")

    assert "the default version" in result.stdout
    assert "v1 90 %, new (v2) 10 %, 1 rule" in result.stdout
    assert dict(received[-1].url.params) == {"limit": "2"}


@pytest.mark.parametrize(
    "words", [("v1=50", "v2=x"), (), ("--rule", "country"), ("--file", "no-such-file.json")]
)
def test_what_cannot_be_read_is_bad_usage(
    augurium: Augurium, words: tuple[str, ...], received: Received
) -> None:
    assert augurium("traffic", "set", "churn", *words).exit_code == 2
    assert received == []


def test_a_refusal_is_told_with_its_reason(
    client: Client, augurium: Augurium, answer: Answer
) -> None:
    answer(f"GET {URL}", revision(3, POLICY))
    refused = {"error": "changed meanwhile: revision 4 by bob", "kind": "conflict"}
    answer(f"PUT {URL}", refused, 409)

    result = augurium("traffic", "set", "churn", "--salt", "again")

    assert result.exit_code == 1
    assert "revision 4 by bob" in result.stderr
    assert client.traffic("churn").revision == 3
