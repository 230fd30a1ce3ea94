"""The forms of rows that the headers ask for."""

import pytest

from augurium.protocols.media_types import PLAIN, Form, asked_forms

ARROW, LINES, JSON = Form.ARROW, Form.LINES, Form.JSON


@pytest.mark.parametrize(
    ("content_type", "accept", "rows", "answer"),
    [
        (ARROW.value, None, ARROW, ARROW),
        (ARROW.value, "*/*", ARROW, ARROW),
        (ARROW.value, "application/json", ARROW, JSON),
        (ARROW.value.upper(), "text/html, */*;q=0.1", ARROW, ARROW),
        ("application/x-ndjson; charset=utf-8", None, LINES, LINES),
        ("application/jsonl", "application/json", LINES, JSON),
        ("application/json", ARROW.value, JSON, ARROW),
        (None, "application/jsonl", JSON, LINES),
        (
            "application/json",
            f"application/json;q=0.5, {ARROW.value};q=0.9, application/x-ndjson;q=x",
            JSON,
            ARROW,
        ),
        (ARROW.value, f"{ARROW.value};q=0, application/json", ARROW, JSON),
    ],
)
def test_rows_come_and_go_in_the_forms_that_are_named(
    content_type: str | None, accept: str | None, rows: Form, answer: Form
) -> None:
    assert asked_forms(content_type, accept) == (rows, answer)


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/html", "application/*;q=0.3", ""]
)
@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", "text/plain", ""],
)
def test_everything_else_is_json(content_type: str | None, accept: str | None) -> None:
    assert asked_forms(content_type, accept) is PLAIN
