"""How a rollout is shown: in a terminal, in a line, and as a picture."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from augurium.cli.rollout_chart import rollout_svg
from augurium.cli.rollout_page import line, page, totals
from augurium.client.rollout_results import ArmPoint, Point, Rollout, RolloutEvent

START = datetime(2026, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def a_rollout(*last: Point, points: int = 20, **fields: Any) -> Rollout:
    weight = {"v1": 95.0, "v2": 5.0}
    made = tuple(
        Point(
            START.timestamp() + 10 * (number + 1),
            10.0,
            weight,
            {
                "v1": ArmPoint(950, 2, 8.0, 30.0 + number),
                "v2": ArmPoint(50, number % 3, 9.0, None if number == 3 else 40.0),
            },
        )
        for number in range(points)
    )
    usual: dict[str, Any] = {
        "id": "ab" * 16,
        "model": "fraud",
        "kind": "canary",
        "version": 2,
        "control": 1,
        "status": "running",
        "reason": "25 % & more <soon>",
        "created_at": START,
        "created_by": "ann",
        "revision": 3,
        "weights": weight,
        "points": last or made,
    }
    return Rollout(**(usual | fields))


def an_event(number: int, kind: str = "step", text: str = "25 %") -> RolloutEvent:
    return RolloutEvent(
        number=number,
        rollout="ab" * 16,
        model="fraud",
        seq=number,
        at=START + timedelta(seconds=30 * number),
        actor="rollouts",
        kind=kind,
        text=text,
    )


def shown(rollout: Rollout, *events: RolloutEvent) -> str:
    console = Console(width=200, record=True, file=None)
    with console.capture() as captured:
        console.print(page(rollout, events))
    return captured.get()


def parsed(rollout: Rollout, *events: RolloutEvent) -> ET.Element:
    return ET.fromstring(rollout_svg(rollout, events))


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def test_the_page_shows_weights_errors_with_intervals_and_why() -> None:
    verdict = {"findings": [{"check": "errors", "reason": "12 errors of 500", "outcome": "failed"}]}
    text = shown(a_rollout(verdict=verdict), an_event(1))

    assert "canary of fraud@2 against version 1: running" in text
    assert "why: 25 % & more <soon>" in text
    assert "19,000" in text
    assert "0.211 %" in text
    assert "0.155 to 0.287 %" in text
    assert "- errors failed: 12 errors of 500" in text
    assert "█" * 38 in text


def test_after_its_end_the_page_claims_no_weights() -> None:
    text = shown(a_rollout(status="promoted", weights={}, ended_at=START + timedelta(hours=1)))

    rows = [row.split() for row in text.splitlines()]
    assert ["v1", "-", "19,000"] in [row[:3] for row in rows]


def test_a_line_tells_the_same_without_a_terminal() -> None:
    told = line(a_rollout())

    assert told.startswith("running; v1 95 %, v2 5 %; v1 5700 requests, 12 errors, p99 49.00 ms")


def test_why_it_goes_on_is_not_said_again_with_every_line() -> None:
    assert "25 % & more" not in line(a_rollout())
    assert line(a_rollout(status="rolled_back")).endswith("25 % & more <soon>")


def test_what_has_ended_has_no_weights() -> None:
    assert "0 %   " not in shown(a_rollout(weights={}, status="completed"))
    assert "19,000" in shown(a_rollout(weights={}, status="completed"))


def test_the_page_says_nothing_twice() -> None:
    text = shown(a_rollout(verdict={"sentences": ["25 % & more <soon>", "and so on"]}))

    assert text.count("25 % & more <soon>") == 1
    assert "and so on" in text


def test_a_rollout_that_nobody_asked_yet_is_shown_as_well() -> None:
    empty = a_rollout(points=0, reason="", problem="the database is away")

    assert "waits: the database is away" in shown(empty)
    assert line(empty) == "running; v1 95 %, v2 5 %"
    assert parsed(empty).tag == f"{SVG}svg"


def test_points_add_up_and_the_slowest_latency_stays() -> None:
    found = totals(a_rollout(points=3).points)

    assert (found["v1"].requests, found["v1"].errors, found["v1"].p99_ms) == (2850, 6, 32.0)


def test_what_a_server_says_cannot_steer_a_terminal() -> None:
    assert "\x1b]0;" not in shown(a_rollout(reason="\x1b]0;owned\x07"))


def test_the_picture_has_a_panel_each_for_weights_errors_and_latency() -> None:
    picture = parsed(a_rollout(), an_event(1), an_event(2, "rolled_back", "too many <errors>"))
    found = texts(picture)

    assert any("weights" in text for text in found)
    assert any("errors" in text for text in found)
    assert any("p99" in text for text in found)
    assert [text for text in found if text.startswith("2. ")] == ["2. 00:01:00 too many <errors>"]
    lines = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "line"]
    bands = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "band"]
    assert (len(lines), len(bands)) == (6, 2)


def test_the_picture_follows_the_readers_colours_and_fetches_nothing() -> None:
    svg = rollout_svg(a_rollout(), [])

    assert "prefers-color-scheme: dark" in svg
    assert "<script" not in svg
    assert svg.count("http") == svg.count("http://www.w3.org/2000/svg")


def test_everything_in_the_picture_lies_in_the_picture() -> None:
    picture = parsed(a_rollout(), *(an_event(number) for number in range(1, 12)))
    width, height = (float(picture.get(side) or 0) for side in ("width", "height"))

    for element in picture.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x") or 0) <= width
        assert 0 <= float(element.get("y") or 0) <= height


def test_what_has_ended_ends_with_the_weights_that_are_in_effect_since() -> None:
    ended: dict[str, Any] = {"ended_at": START + timedelta(seconds=300), "weights": {}}
    last = {
        status: [path.get("d", "").split("V")[-1] for path in lines[:2]]
        for status in ("rolled_back", "promoted", "completed")
        for lines in [
            [
                path
                for path in parsed(a_rollout(status=status, **ended)).iter(f"{SVG}path")
                if path.get("class") == "line"
            ]
        ]
    }
    # of v1 and v2: all of the units, or none, further below
    (all_units, none) = last["rolled_back"]

    assert float(all_units) < float(none)
    assert last["completed"] == [all_units, none]
    assert last["promoted"] == [none, all_units]


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    found = texts(parsed(a_rollout(), an_event(1, text="errors " * 60)))

    (mark,) = [text for text in found if text.startswith("1. ")]
    assert mark.endswith("…")
    assert len(mark) < 150


def test_verdicts_are_not_marked_because_they_come_all_the_time() -> None:
    found = texts(parsed(a_rollout(), an_event(1, "verdict", "hold")))

    assert not any("hold" in text for text in found)


def test_of_an_experiment_effects_and_bounds_are_shown_by_look() -> None:
    looks = [
        {
            "at": START.timestamp() + 60 * number,
            "look": number,
            "metric": "converted",
            "variant": "v2",
            "effect": 0.01,
            "low": None if number == 1 else -0.01,
            "high": None if number == 1 else 0.03,
            "z": 0.5 * number,
            "bound": 4.0 / number,
        }
        for number in range(1, 4)
    ]
    picture = parsed(a_rollout(kind="experiment", course={"history": looks}))

    assert any("effect on converted" in text for text in texts(picture))
    assert any("z of converted" in text for text in texts(picture))
    bounds = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "bound"]
    assert len(bounds) == 3
    assert len(list(picture.iter(f"{SVG}circle"))) == 6


@pytest.mark.parametrize("seconds", [1, 59, 3600, 86_400 * 14])
def test_the_axis_of_time_has_a_few_labels(seconds: int) -> None:
    last = Point(START.timestamp() + seconds, 10.0, {"v1": 100.0})
    found = texts(parsed(a_rollout(*[last])))
    labels = [text for text in found if text.split(" ")[-1] in ("s", "min", "h", "d")]

    assert 2 <= len(labels) <= 12


def test_an_interval_of_few_requests_does_not_flatten_all_others() -> None:
    many = {"v1": ArmPoint(10_000, 10, 8.0, 30.0), "v2": ArmPoint(10_000, 20, 8.0, 30.0)}
    few = {"v1": ArmPoint(1, 0, 8.0, 30.0), "v2": ArmPoint(10_000, 20, 8.0, 30.0)}
    points = [
        Point(START.timestamp() + 10 * n, 10.0, {"v1": 50.0, "v2": 50.0}, few if n == 9 else many)
        for n in range(1, 10)
    ]
    labels = texts(parsed(a_rollout(*points)))

    # of v2: 0.2 % and its interval; one request of v1 that was answered says 0 to 79 %
    assert {"0.2 %", "0.4 %"} <= set(labels)
    assert "79.3 %" not in labels
