"""Which rows of an answer in parts are marked as the fallback's."""

import msgspec
import numpy as np
import pytest

from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.protocols.answer_headers import MOST_RANGES, origin_of_parts


def part(rows: int, step: str = "") -> InferenceResponse:
    answer = Answer(BatchOutputs([np.zeros((rows, 1))]))
    model, version = ("other", 7) if step else ("asked", 2)
    degraded = "error" if step else ""
    return InferenceResponse(model, version, "", (), (0,), answer, degraded=degraded, step=step)


@pytest.mark.parametrize(
    ("parts", "version", "steps", "rows"),
    [
        ([part(4), part(4)], "2", None, None),
        ([part(4, "a")], "7", "a", None),
        ([part(4, "a"), part(3)], "2", "a", "0-3"),
        ([part(4), part(1, "a")], "2", "a", "4-4"),
        ([part(4), part(2, "a"), part(2, "b"), part(5), part(1, "a")], "2", "a,b", "4-7,13-13"),
        ([part(4, "a"), part(3, "a")], "7", "a", "0-6"),
    ],
)
def test_ranges_of_rows_are_those_that_are_degraded(
    parts: list[InferenceResponse], version: str, steps: str | None, rows: str | None
) -> None:
    headers = dict(origin_of_parts(parts))
    assert headers["augurium-version"] == version
    assert headers.get("augurium-degraded") == ("error" if steps else None)
    assert headers.get("augurium-degraded-step") == steps
    assert headers.get("augurium-degraded-rows") == rows


def test_with_too_many_ranges_the_last_reaches_to_the_last_row_that_is_marked() -> None:
    parts = [part(1, "a" * (place % 2)) for place in range(1000)]
    ranges = dict(origin_of_parts(parts))["augurium-degraded-rows"].split(",")
    assert len(ranges) == MOST_RANGES
    assert ranges[0] == "1-1"
    assert ranges[-1] == f"{2 * MOST_RANGES - 1}-999"


@pytest.mark.parametrize("parts", [[part(2), part(2)], [part(2), part(3, "a")]])
def test_the_variant_that_was_chosen_is_told_once(parts: list[InferenceResponse]) -> None:
    assert "augurium-variant" not in dict(origin_of_parts(parts))

    told = [msgspec.structs.replace(one, variant="challenger") for one in parts]

    names = [name for name, _ in origin_of_parts(told)]
    assert names.count("augurium-variant") == 1
    assert dict(origin_of_parts(told))["augurium-variant"] == "challenger"
