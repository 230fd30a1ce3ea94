"""The quality of a canary, read from the records of a node: late, repeated and by unit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from augurium.control.canary_quality import QualityQuestion, QualityRecords
from augurium.control.recorded_outcomes import FEEDBACK, PREDICTIONS
from augurium.core.clock import ManualClock
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.records.location import open_records
from augurium.records.partitions import Partitions
from augurium.statistics.moments import Moments

# of outcomes: seconds after the start, prediction, unit, name, id, value
Told = tuple[float, str, str, str, str, float]


class Node:
    """Records of a model, whose rollout began at `start`."""

    def __init__(self, home: Path) -> None:
        clock = ManualClock()
        folders = Home(home)
        folders.create()
        self.start = clock.now().timestamp()
        self.partitions: Partitions = open_records(StorageSettings(), folders, clock, {})
        self._told = 0

    def exposed(self, *rows: tuple[float, str, str, str]) -> None:
        """Predictions: seconds after the start, id, unit, variant."""
        after, ids, units, variants = zip(*rows, strict=True)
        columns: dict[str, Sequence[Any]] = {
            "at": [self.start + seconds for seconds in after],
            "prediction_id": ids,
            "variant": variants,
            "unit": units,
            "score": [0.5] * len(rows),
            "seconds": [0.01] * len(rows),
            "outcome": ["ok"] * len(rows),
        }
        self.partitions.write("predictions", "fraud", PREDICTIONS, columns)

    def told(self, *rows: Told) -> None:
        """Feedback, received in this order."""
        after, ids, units, names, feedback_ids, values = zip(*rows, strict=True)
        columns: dict[str, Sequence[Any]] = {
            "seq": [self._told + place for place in range(len(rows))],
            "at": [self.start + seconds for seconds in after],
            "prediction_id": ids,
            "unit": units,
            "name": names,
            "feedback_id": feedback_ids,
            "value": values,
        }
        self._told += len(rows)
        self.partitions.write("feedback", "fraud", FEEDBACK, columns)

    async def quality(self) -> tuple[Moments, Moments]:
        question = QualityQuestion("fraud", "bought", "v1", "v2", self.start)
        found = await QualityRecords(self.partitions).quality(question)
        return found.baseline, found.candidate


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_outcomes_of_predictions_are_those_of_the_variant_that_answered(node: Node) -> None:
    node.exposed((1, "p1", "", "v1"), (2, "p2", "", "v1"), (3, "p3", "", "v2"), (4, "p4", "", "v3"))
    node.told(
        (10, "p1", "", "bought", "", 1.0),
        (10, "p2", "", "bought", "", 4.0),
        (10, "p3", "", "bought", "", 2.0),
        (10, "p4", "", "bought", "", 9.0),
        (10, "p1", "", "seen", "", 9.0),
        (10, "unknown", "", "bought", "", 9.0),
    )

    assert await node.quality() == (Moments(2, 2.5, 4.5), Moments(1, 2.0, 0.0))


async def test_of_repeated_outcomes_the_one_received_last_counts(node: Node) -> None:
    node.exposed((1, "p1", "", "v1"), (2, "p2", "", "v2"))
    node.told((10, "p1", "", "bought", "", 5.0), (11, "p2", "", "bought", "", 1.0))
    # said again later, with an earlier time and in another segment
    node.told((3, "p1", "", "bought", "", 7.0), (12, "p2", "", "bought", "", 1.0))

    assert await node.quality() == (Moments(1, 7.0, 0.0), Moments(1, 1.0, 0.0))


async def test_late_outcomes_count_whatever_hour_they_are_received_in(node: Node) -> None:
    node.exposed((1, "p1", "", "v1"), (2, "p2", "u2", "v2"))
    before = await node.quality()
    node.told((9000, "p1", "", "bought", "", 1.0), (90_000, "", "u2", "bought", "", 3.0))

    assert before == (Moments(), Moments())
    assert await node.quality() == (Moments(1, 1.0, 0.0), Moments(1, 3.0, 0.0))


async def test_outcomes_of_a_unit_are_those_of_its_first_exposure(node: Node) -> None:
    # its share grew, and the unit went over to the candidate
    node.exposed((5, "p2", "u1", "v2"), (1, "p1", "u1", "v1"), (3, "p3", "u2", "v2"))
    node.told(
        (9, "", "u1", "bought", "", 1.0),
        (9, "", "u2", "bought", "", 2.0),
        (2, "", "u2", "bought", "early", 8.0),
        (9, "p2", "", "bought", "", 3.0),
    )

    baseline, candidate = await node.quality()
    assert baseline == Moments(1, 1.0, 0.0)
    # of the unit and of the prediction, and not of what was before it was asked
    assert candidate == Moments(2, 2.5, 0.5)


async def test_several_outcomes_of_one_prediction_have_ids(node: Node) -> None:
    node.exposed((1, "p1", "", "v1"))
    node.told(
        (2, "p1", "", "bought", "a", 1.0),
        (2, "p1", "", "bought", "b", 3.0),
        (2, "p1", "", "bought", "a", 2.0),
    )

    assert await node.quality() == (Moments(2, 2.5, 0.5), Moments())


async def test_exposures_before_the_rollout_are_none(node: Node) -> None:
    node.exposed((-1, "p1", "u1", "v1"), (1, "p2", "u2", "v1"))
    node.told((2, "p1", "", "bought", "", 9.0), (2, "", "u1", "bought", "", 9.0))

    assert await node.quality() == (Moments(), Moments())


async def test_what_is_on_its_way_is_brought_in_before(node: Node) -> None:
    async def predictions(model: str) -> None:
        node.exposed((1, "p1", "", "v1"))

    async def feedback(model: str) -> None:
        assert model == "fraud"
        node.told((2, "p1", "", "bought", "", 1.0))

    question = QualityQuestion("fraud", "bought", "v1", "v2", node.start)
    found = await QualityRecords(node.partitions, predictions, feedback).quality(question)

    assert found.baseline.n == 1
