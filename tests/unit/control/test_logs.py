import logging
from datetime import datetime, timedelta

import msgspec
import pytest
import structlog

from augurium.core.logs import configure_logging
from augurium.core.settings import LogSettings

pytestmark = pytest.mark.usefixtures("logging_restored")
Capture = pytest.CaptureFixture[str]


def test_a_json_line_holds_the_event_and_its_facts(capsys: Capture) -> None:
    configure_logging(LogSettings(format="json"), "engine-0")

    structlog.get_logger().info("deployed", model="iris", seconds=0.5, path=ValueError("odd"))

    line = msgspec.json.decode(capsys.readouterr().err)
    assert list(line)[:4] == ["time", "level", "process", "event"]
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "process": "engine-0",
        "event": "deployed",
        "model": "iris",
        "seconds": 0.5,
        "path": "odd",
    }


def test_a_text_line_is_for_people(capsys: Capture) -> None:
    configure_logging(LogSettings(), "control")

    structlog.get_logger().warning("deployed", model="iris", reason="no memory")

    line = capsys.readouterr().err
    assert line.endswith(' warning control deployed model=iris reason="no memory"\n')


def test_standard_logging_looks_like_our_own(capsys: Capture) -> None:
    configure_logging(LogSettings(format="json"), "control")

    logging.getLogger("some.library").warning("%d left", 3)

    line = msgspec.json.decode(capsys.readouterr().err)
    assert (line["event"], line["logger"], line["process"]) == ("3 left", "some.library", "control")


@pytest.mark.parametrize("logger", ["structlog", "logging"])
def test_what_is_below_the_level_is_not_written(logger: str, capsys: Capture) -> None:
    configure_logging(LogSettings(level="warning"), "control")

    (structlog.get_logger() if logger == "structlog" else logging.getLogger()).info("quiet")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_stands_with_its_event(form: str, capsys: Capture) -> None:
    configure_logging(msgspec.convert({"format": form}, LogSettings), "control")

    try:
        raise KeyError("lost")
    except KeyError:
        structlog.get_logger().exception("failed")

    assert "KeyError: 'lost'" in capsys.readouterr().err


def test_a_hostile_value_forges_no_line_and_no_colour(capsys: Capture) -> None:
    configure_logging(LogSettings(), "control")

    structlog.get_logger().info("seen\n2026 info", name="a\nb\x1b[31m", key='x" admin="1')

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\x1b" not in written
    assert r'key="x\" admin=\"1"' in written


def test_the_last_configuration_counts(capsys: Capture) -> None:
    log = structlog.get_logger()
    configure_logging(LogSettings(format="json"), "first")
    log.info("one")
    configure_logging(LogSettings(format="json"), "second")
    log.info("two")

    lines = [msgspec.json.decode(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["process"], line["event"]) for line in lines] == [
        ("first", "one"),
        ("second", "two"),
    ]
