"""Batch jobs as the command line shows them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from augurium.cli.batch_page import duration, fields, line, rows, standing
from augurium.client.batch_results import BatchJob, BatchProgress

START = datetime(2026, 1, 1, tzinfo=UTC)


def job(**said: Any) -> BatchJob:
    known = {
        "id": "ab" * 16,
        "number": 1,
        "model": "churn",
        "version": 3,
        "state": "running",
        "input": "/in",
        "output": "/out",
        "created_at": START,
        "created_by": "ann",
        "rows": 1000,
        "partitions": 4,
        "spec": {"model": "churn", "input": {"paths": ["/in"]}, "output": {"path": "/out"}},
    }
    return msgspec.convert(known | said, BatchJob)


BUSY = BatchProgress(
    read_rows=500,
    written_rows=480,
    filtered_rows=15,
    rejected={"malformed": 3, "missing": 2},
    rows_per_s=12_345.6,
    eta_s=75.0,
)


def test_a_line_says_how_far_a_job_is_and_how_long_it_will_take() -> None:
    assert line(job(progress=BUSY, committed=1)) == (
        "running, 50%, 480 of 1,000 rows, 5 rejected, 15 left out, 12,346 rows/s, 1 min 15 s left"
    )


def test_a_job_without_a_plan_is_starting() -> None:
    assert line(job(rows=None, partitions=None)) == "starting"


def test_a_job_of_unknown_length_is_measured_by_its_partitions() -> None:
    assert line(job(rows=None, committed=3)).startswith("running, 75%, 0 rows")


def test_a_job_that_has_ended_tells_no_speed() -> None:
    ended = job(state="succeeded", progress=BUSY, committed=4)

    assert line(ended) == "succeeded, 100%, 480 rows, 5 rejected, 15 left out"


@pytest.mark.parametrize(
    ("state", "wanted", "said"),
    [
        ("running", "run", "running"),
        ("running", "pause", "running, pausing"),
        ("paused", "pause", "paused"),
        ("queued", "cancel", "queued, cancelling"),
        ("cancelled", "cancel", "cancelled"),
        ("failed", "cancel", "failed"),
    ],
)
def test_a_state_says_what_it_is_about_to_become(state: str, wanted: str, said: str) -> None:
    assert standing(job(state=state, wanted=wanted)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (59.4, "59.4 s"),
        (60.0, "1 min 00 s"),
        (3599.0, "59 min 59 s"),
        (3600.0, "1 h 00 min"),
        (90_061.0, "25 h 01 min"),
    ],
)
def test_times_are_told_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_failed_job_shows_why() -> None:
    shown = dict(fields(job(state="failed", reason="no column 'amount'", inputs=3)))

    assert shown["because"] == "no column 'amount'"
    assert shown["input"] == "/in and 2 more"
    assert rows(job(progress=BUSY)) == "480 of 1,000 rows, 5 rejected, 15 left out"
