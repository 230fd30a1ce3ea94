"""What the data plane counts of the variants that a traffic policy chooses."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import model_ref
from augurium.core.inference import Answer, BatchOutputs, InferenceRequest, InferenceResponse
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.serving.plane import DataPlane
from augurium.serving.score import score_of
from augurium.serving.variant_metrics import VariantMetrics
from tests.support.models import table_model
from tests.support.planes import split_plane

SIGNATURE = Signature(
    (TensorSpec("place", "INT64", (-1, 1)),), (TensorSpec("found", "FP32", (-1, 1)),)
)
SPLIT = TrafficPolicy((Variant(1, 50), Variant(2, 50, name="challenger")))
ANSWERS = {"v1": 1.0, "challenger": 2.0}


@pytest.fixture
def files(tmp_path: Path) -> dict[int, Path]:
    found = {number: tmp_path / f"{number}.onnx" for number in (1, 2)}
    for number, file in found.items():
        file.write_bytes(table_model(number, 4096))
    return found


def counted(plane: DataPlane) -> dict[tuple[int, str], VariantMetrics]:
    return {
        (number, name): sums
        for number, version in plane.routes("m").ready.items()
        for name, sums in version.metrics.gathered().variants.items()
    }


async def ask(plane: DataPlane, unit: str, model: str = "m", **inputs: Array) -> str:
    asked = inputs or {"place": np.array([[7]])}
    request = InferenceRequest(
        model_ref(model), dict(asked), plane.deadline(), header={"augurium-unit": unit}.get
    )
    return (await plane.infer(request)).variant


async def test_every_request_counts_for_the_variant_that_answered_it(
    files: dict[int, Path],
) -> None:
    plane = split_plane(files, SIGNATURE, SPLIT)

    told = Counter([await ask(plane, f"unit-{number}") for number in range(40)])

    found = counted(plane)
    assert {name: sums.outcomes["ok"] for (_, name), sums in found.items()} == told
    for (_, name), sums in found.items():
        assert sums.latency.count == sums.score_count == told[name]
        assert sums.score_sum == told[name] * ANSWERS[name]
        assert sums.score_squares == told[name] * ANSWERS[name] ** 2


async def test_a_request_that_names_its_version_counts_for_no_variant_and_has_no_score(
    files: dict[int, Path],
) -> None:
    plane = split_plane(files, SIGNATURE, SPLIT)

    assert await ask(plane, "somebody", "m@2") == ""

    ((key, sums),) = counted(plane).items()
    assert key == (2, "")
    assert (sums.outcomes, sums.score_count) == ({"ok": 1}, 0)


async def test_a_mistake_of_the_caller_counts_for_the_variant_as_a_mistake(
    files: dict[int, Path],
) -> None:
    plane = split_plane(files, SIGNATURE, SPLIT)

    with pytest.raises(InvalidArgument):
        await ask(plane, "somebody", other=np.array([[7]]))

    ((_, sums),) = counted(plane).items()
    assert (sums.requests, sums.mistakes, sums.errors, sums.score_count) == (1, 1, 0, 0)


def response(*outputs: Array, degraded: str = "") -> InferenceResponse:
    answer = Answer(BatchOutputs(outputs))
    return InferenceResponse("m", 1, "", (), (), answer, degraded=degraded)


@pytest.mark.parametrize(
    ("output", "score"),
    [
        (np.array([[0.25, 0.75], [1.0, 0.0]], np.float32), 0.25),
        (np.array([3, 4]), 3.0),
        (np.array([True]), 1.0),
        (np.array(2.5), 2.5),
        (np.array(["cat"], object), None),
        (np.empty((0, 2)), None),
    ],
)
def test_the_score_is_the_first_number(output: Array, score: Any) -> None:
    assert score_of(response(output)) == score


def test_a_row_of_a_run_has_its_own_score() -> None:
    whole = Answer(BatchOutputs([np.array([[1.0], [2.0], [3.0]])]))

    found = [
        score_of(InferenceResponse("m", 1, "", (), (), whole.row(place))) for place in range(3)
    ]

    assert found == [1.0, 2.0, 3.0]


def test_what_something_else_answered_is_no_score_of_the_version() -> None:
    assert score_of(response(np.array([1.0]), degraded="error")) is None
    assert score_of(response()) is None


def test_a_row_of_a_run_of_tables_begins_where_it_stands() -> None:
    whole = Answer(BatchOutputs([np.arange(12.0).reshape(3, 2, 2), np.arange(3)]))

    assert [whole.row(place).first_value for place in range(3)] == [0.0, 4.0, 8.0]
    assert Answer(BatchOutputs([np.empty((3, 0))])).row(1).first_value is None
    assert Answer(BatchOutputs([np.arange(3)]), 1, 1).first_value is None
