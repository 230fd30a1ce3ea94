"""How far two answers to the same rows are apart."""

from typing import Any

import numpy as np
import pytest

from augurium.importing.conversion import absolute_tolerance
from augurium.importing.parity import Comparison, Tolerance, compare

NEAR = Tolerance(rtol=1e-3, atol=1e-5)


def compared(expected: Any, found: Any, tolerance: Tolerance = NEAR) -> Comparison:
    expected = np.asarray(expected)
    return compare(expected, np.asarray(found), np.zeros(len(expected), bool), tolerance)


@pytest.mark.parametrize(
    ("expected", "found", "differing"),
    [
        ([1.0, 2.0], [1.0005, 2.0], []),
        ([1.0, 2.0], [1.0, 2.01], [1]),
        ([0.0, 0.0], [9e-6, 2e-5], [1]),
        ([np.nan, 1.0], [np.nan, np.nan], [1]),
        ([np.inf, -np.inf, 1.0], [np.inf, np.inf, np.inf], [1, 2]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 5.0]], [1]),
        ([1, 0, 1], [1, 1, 1], [1]),
        (np.array(["a", "b"], object), np.array(["a", "c"], object), [1]),
    ],
)
def test_rows_outside_of_the_tolerance_are_found(
    expected: Any, found: Any, differing: list[int]
) -> None:
    result = compared(expected, found)
    assert result.differing.tolist() == differing
    assert result.parity.different == len(differing)


def test_the_largest_errors_are_told() -> None:
    parity = compared([10.0, 100.0], [10.5, 101.0]).parity
    assert parity.max_abs_error == pytest.approx(1.0)
    assert parity.max_rel_error == pytest.approx(0.05)


def test_an_uncertain_row_does_not_count() -> None:
    result = compare(np.array([1.0, 2.0]), np.array([9.0, 2.0]), np.array([True, False]), NEAR)
    assert result.differing.tolist() == []
    assert (result.parity.uncertain, result.parity.max_abs_error) == (1, 0.0)


def test_a_missing_answer_is_an_error_that_json_can_carry() -> None:
    assert np.isfinite(compared([1.0], [np.nan]).parity.max_abs_error)


def test_the_tolerance_of_a_regressor_grows_with_its_answers() -> None:
    small = absolute_tolerance("prediction", np.linspace(0, 1, 100))
    large = absolute_tolerance("prediction", np.linspace(0, 1e6, 100))
    assert large == pytest.approx(small * 1e6)
    assert absolute_tolerance("probabilities", np.linspace(0, 1, 100)) == 1e-5
    assert absolute_tolerance("label", np.array([0, 1])) == 0.0
