"""The records of a node as an experiment is judged by them: written by the hour, read in one go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from augurium.control.experiment_records import ExperimentRecords
from augurium.control.recorded_outcomes import FEEDBACK, PREDICTIONS
from augurium.core.clock import ManualClock
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.records.location import open_records
from augurium.records.partitions import Partitions
from augurium.traffic.experiment_result import ExperimentPhase
from tests.support.experiments import design

UNITS = 40


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def partitions(tmp_path: Path, clock: ManualClock) -> Partitions:
    home = Home(tmp_path)
    home.create()
    return open_records(StorageSettings(), home, clock, {})


def write(partitions: Partitions, start: float) -> None:
    """Each unit asks once; every second of them buys."""
    units = [f"u{number}" for number in range(UNITS)]
    predictions: dict[str, Sequence[Any]] = {
        "at": [start + 60.0 * number for number in range(UNITS)],
        "prediction_id": [f"p{number}" for number in range(UNITS)],
        "variant": [f"v{1 + number % 2}" for number in range(UNITS)],
        "unit": units,
        "score": [0.5] * UNITS,
        "seconds": [0.01] * UNITS,
        "outcome": ["ok"] * UNITS,
    }
    partitions.write("predictions", "ranker", PREDICTIONS, predictions)
    bought = units[::2]
    feedback: dict[str, Sequence[Any]] = {
        "seq": list(range(1, len(bought) + 1)),
        "at": [start + 3600.0 + number for number in range(len(bought))],
        "prediction_id": [""] * len(bought),
        "unit": bought,
        "name": ["bought"] * len(bought),
        "feedback_id": [""] * len(bought),
        "value": [1.0] * len(bought),
    }
    partitions.write("feedback", "ranker", FEEDBACK, feedback)


async def test_sums_are_of_the_records_after_what_is_on_its_way_was_brought_in(
    partitions: Partitions, clock: ManualClock
) -> None:
    start = clock.now().timestamp()

    async def flush(model: str) -> None:
        assert model == "ranker"
        write(partitions, start)

    records = ExperimentRecords(partitions, flush)
    phases = [ExperimentPhase(start - 60.0, {"v1": 0.5, "v2": 0.5})]
    found = await records.sums("ranker", design(), phases, start + 7200.0)

    (phase,) = found.phases
    assert {label: sums.units for label, sums in phase.variants.items()} == {"v1": 20, "v2": 20}
    buckets = phase.of("v1").metrics["bought"].buckets
    assert buckets is not None
    assert sum(buckets.values) == 20


async def test_of_a_model_that_nobody_asked_there_are_no_sums(
    partitions: Partitions, clock: ManualClock
) -> None:
    start = clock.now().timestamp()
    phases = [ExperimentPhase(start, {"v1": 0.5, "v2": 0.5})]
    found = await ExperimentRecords(partitions).sums("ranker", design(), phases, start + 60.0)

    assert found.units == 0
