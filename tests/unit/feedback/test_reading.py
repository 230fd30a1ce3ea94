"""Feedback as it is sent: what is taken, and what is said of the rest."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.feedback.reading import LONGEST_LINE, LineReader, Rows, read_json
from augurium.feedback.row import FeedbackRow, RowCheck

NOW = 1_700_000_000.0
GOOD: dict[str, Any] = {
    "model": "churn",
    "prediction_id": "p1",
    "name": "converted",
    "value": True,
}
TAKEN = FeedbackRow(NOW, "churn", "p1", "", "converted", "", 1.0)


def check() -> RowCheck:
    return RowCheck(lambda model: model in ("churn", "fraud"), NOW)


def of_json(body: bytes) -> Rows:
    rows = Rows()
    read_json(body, check(), rows)
    return rows


def of_lines(body: bytes, piece: int = 1 << 20) -> Rows:
    rows = Rows()
    reader = LineReader(check(), rows)
    for start in range(0, len(body), piece):
        reader.take(body[start : start + piece])
    reader.end()
    return rows


def told(rows: Rows) -> list[tuple[int, str]]:
    return [(found.line, found.reason) for found in rows.rejections]


def test_an_object_an_array_and_lines_say_the_same() -> None:
    text = json.dumps(GOOD).encode()

    assert of_json(text).taken == [TAKEN]
    assert of_json(b" [" + text + b", " + text + b"] ").taken == [TAKEN, TAKEN]
    assert of_lines(text + b"\n\r\n" + text).taken == [TAKEN, TAKEN]
    assert of_json(b"[]").taken == []


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        ("2026-01-31T12:00:00Z", 1769860800.0),
        ("2026-01-31T13:00:00.5+01:00", 1769860800.5),
        (1769860800, 1769860800.0),
        (0, 0.0),
        (None, NOW),
    ],
)
def test_the_time_of_an_outcome_is_rfc_3339_or_seconds(at: Any, seconds: float) -> None:
    assert of_json(json.dumps(GOOD | {"at": at}).encode()).taken[0].at == seconds


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "nope"}, "model 'nope' is not known"),
        ({"model": ""}, "model '' is not known"),
        ({"model": "a/b"}, "model 'a/b' is not known"),
        ({"prediction_id": ""}, "either prediction_id or unit"),
        ({"unit": "u1"}, "either prediction_id or unit"),
        ({"prediction_id": "x" * 257}, "prediction_id 'xxx"),
        ({"prediction_id": "a\x00b"}, "prediction_id 'a\\x00b' is not allowed"),
        ({"id": "a\nb"}, "id 'a\\nb' is not allowed"),
        ({"name": ""}, "name '' is not allowed"),
        ({"name": "a b"}, "name 'a b' is not allowed"),
        ({"name": "x" * 129}, "name 'xxx"),
        ({"value": "1"}, "Expected `bool | float`, got `str`"),
        ({"value": None}, "Expected `bool | float`, got `null`"),
        ({"value": [1]}, "Expected `bool | float`, got `array`"),
        ({"value": float("nan")}, "malformed"),
        ({"value": float("inf")}, "malformed"),
        ({"value": 10**400}, "Number out of range"),
        ({"at": "2026-01-31T12:00:00"}, "timezone"),
        ({"at": "yesterday"}, "RFC3339"),
        ({"at": -1}, "at is outside the years 1970 to 9999"),
        ({"at": 1e300}, "at is outside the years 1970 to 9999"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at is outside"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"model": 7}, "Expected `str`, got `int`"),
    ],
)
def test_a_row_that_does_not_fit_is_told_with_its_line_and_the_others_are_taken(
    change: dict[str, Any], reason: str
) -> None:
    good = json.dumps(GOOD).encode()
    bad = json.dumps(GOOD | change).encode()

    rows = of_lines(good + b"\n" + bad + b"\n\n" + bad + b"\n" + good)

    assert rows.taken == [TAKEN, TAKEN]
    assert rows.rejected == 2
    assert [line for line, _ in told(rows)] == [2, 4]
    for _, text in told(rows):
        assert reason in text


def test_rows_of_an_array_are_told_by_their_place() -> None:
    rows = of_json(json.dumps([GOOD, 7, GOOD | {"model": "x"}, GOOD]).encode())

    assert rows.taken == [TAKEN, TAKEN]
    assert [line for line, _ in told(rows)] == [2, 3]


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"nope", b"\xff", b"[" * 100_000, b"[{}] x"])
def test_a_body_that_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        of_json(body)


@pytest.mark.parametrize("body", [b"7", b'"text"', b"null", b"{}"])
def test_json_that_is_no_row_is_a_row_that_does_not_fit(body: bytes) -> None:
    assert (of_json(body).taken, of_json(body).rejected) == ([], 1)


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_a_line_that_is_too_long_is_passed_over_whatever_the_pieces(piece: int) -> None:
    good = json.dumps(GOOD).encode()
    endless = b'{"model": "' + b"x" * (3 * LONGEST_LINE)

    rows = of_lines(good + b"\n" + endless + b"\n" + good + b"\n" + endless, piece)

    assert rows.taken == [TAKEN, TAKEN]
    assert [line for line, _ in told(rows)] == [2, 4]


def test_only_the_first_hundred_reasons_are_kept() -> None:
    rows = of_lines(b"nope\n" * 250)

    assert rows.rejected == 250
    assert [line for line, _ in told(rows)] == list(range(1, 101))


LINES = st.lists(
    st.sampled_from(
        [
            json.dumps(GOOD),
            json.dumps(GOOD | {"unit": "u"}),
            json.dumps(GOOD, indent=1),
            "",
            "{}",
            "{}{}",
            "nope",
            "[",
            "  ",
        ]
    )
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 400)))
def test_how_lines_are_cut_into_pieces_changes_nothing(lines: list[str], cuts: list[int]) -> None:
    body = "\n".join(lines).encode()
    rows = Rows()
    reader = LineReader(check(), rows)
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    for start, end in pairwise(places):
        reader.take(body[start:end])
    reader.end()

    expected = of_lines(body, 1)
    assert rows.taken == expected.taken
    assert told(rows) == told(expected)


@given(body=st.binary(max_size=300))
def test_no_bytes_at_all_do_harm(body: bytes) -> None:
    assert of_lines(body).taken == []
