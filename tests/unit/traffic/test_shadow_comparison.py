"""What two answers have in common, against values worked out by hand and by SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from augurium.core.shadow import Comparison
from augurium.core.tensors import BFLOAT16, Array
from augurium.traffic.shadow_comparison import UNLIKE, Compared, compare

EXACT = Comparison(absolute=0.0, relative=0.0)


def numbers(*values: float) -> dict[str, Array]:
    return {"y": np.array(values, np.float32).reshape(-1, 1)}


def labels(*values: str) -> dict[str, Array]:
    return {"y": np.array(values, np.object_)}


def test_numbers_within_the_tolerance_are_the_same() -> None:
    before, after = numbers(100.0, 100.0, 0.0), numbers(100.9, 101.2, 0.05)
    found = compare(before, after, True, Comparison(absolute=0.1, relative=0.01))
    sums = found.outputs["y"]

    assert found.agreeing == 2
    assert found.difference.tolist() == pytest.approx([0, 1.2, 0], rel=1e-5)
    assert (sums.rows, sums.differing, sums.values, sums.not_finite) == (3, 1, 3, 0)
    assert sums.total == pytest.approx(0.9 + 1.2 + 0.05, rel=1e-4)
    assert sums.largest == pytest.approx(1.2, rel=1e-4)
    assert sums.largest_relative == pytest.approx(0.012, rel=1e-4)
    assert sums.differences.count == 3


def test_what_is_not_a_number_is_the_same_as_itself_alone() -> None:
    nan, inf = math.nan, math.inf
    before, after = numbers(nan, nan, 1, inf, inf, inf), numbers(nan, 1, nan, inf, -inf, 1)
    found = compare(before, after, True, Comparison(absolute=10, relative=1))

    assert found.difference.tolist() == [0, UNLIKE, UNLIKE, 0, UNLIKE, UNLIKE]
    assert found.outputs["y"].not_finite == 4
    assert found.outputs["y"].largest == 0


def test_labels_are_the_same_or_not() -> None:
    found = compare(labels("cat", "cat", "dog"), labels("cat", "dog", "dog"), True, EXACT)
    assert found.agreeing == 2
    assert found.outputs["y"].labels == {"cat": {"cat": 1, "dog": 1}, "dog": {"dog": 1}}
    whole = compare(
        {"y": np.array([1, 2], np.int64)}, {"y": np.array([1, 3], np.int32)}, True, EXACT
    )
    assert whole.outputs["y"].labels == {"1": {"1": 1}, "2": {"3": 1}}


def test_labels_beyond_the_first_count_together() -> None:
    many = [f"label {number}" for number in range(30)]
    sums = compare(labels(*many), labels(*many), True, EXACT).outputs["y"]
    assert (len(sums.labels), sums.other_labels) == (20, 10)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({}, "missing"),
        ({"y": np.zeros((3, 2), np.float32)}, "shape"),
        ({"y": np.zeros((3, 1), np.int64)}, "type"),
        (labels("a", "b", "c"), "shape"),
    ],
)
def test_outputs_of_another_kind_differ_in_every_row(after: dict[str, Array], why: str) -> None:
    found = compare(numbers(1, 2, 3), after, True, EXACT)
    assert found.outputs["y"].unlike == {why: 3}
    assert found.difference.tolist() == [UNLIKE] * 3


def test_floats_of_other_widths_are_numbers() -> None:
    before, after = np.array([[0.5]], np.float64), np.array([[0.5]], BFLOAT16)
    assert compare({"y": before}, {"y": after}, True, EXACT).agreeing == 1


def test_a_row_is_the_same_when_all_of_its_outputs_are() -> None:
    before = {**numbers(1, 2, 3), "z": np.array([1, 1, 1], np.int64)}
    after = {**numbers(1, 2.5, 3), "z": np.array([1, 1, 2], np.int64)}
    found = compare(before, after, True, EXACT)
    assert (found.agreeing, found.output) == (1, ["", "y", "z"])


def test_tensors_that_are_no_rows_are_one() -> None:
    before, after = np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)
    after[2, 1] = 0.25
    found = compare({"y": before}, {"y": after}, False, EXACT)
    assert found.difference.tolist() == [0.25]


def test_rankings_are_the_same_when_the_highest_items_are() -> None:
    before = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1]], np.float32)
    after = np.array([[50, 60, 3, 2, 1], [1, 2, 3, 4, 5]], np.float32)
    found = compare({"y": before}, {"y": after}, True, Comparison(ranking=True, top_k=2))
    sums = found.outputs["y"]
    assert found.difference.tolist() == [0.0, 1.0]
    assert (sums.ranked, sums.overlap) == (2, 1.0)
    assert sums.tau == pytest.approx(0.8 - 1.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_tau_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    before, after = (np.array([column], np.float32) for column in zip(*pairs, strict=True))
    expected = kendalltau(before[0], after[0]).statistic
    found: Compared = compare({"y": before}, {"y": after}, True, Comparison(ranking=True))
    if math.isnan(expected):
        flat = [len(set(column)) == 1 for column in zip(*pairs, strict=True)]
        expected = float(all(flat))
    assert found.outputs["y"].tau == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.floats(width=32), st.floats(width=32), st.floats(0, 10)),
        min_size=1,
        max_size=20,
    )
)
def test_agreement_is_that_of_each_number(rows: list[tuple[float, float, float]]) -> None:
    for left, right, tolerance in rows:
        comparison = Comparison(absolute=tolerance, relative=0.0)
        same = left == right or (math.isnan(left) and math.isnan(right))
        near = math.isfinite(right - left) and abs(right - left) <= tolerance
        assert compare(numbers(left), numbers(right), True, comparison).agreeing == (same or near)
