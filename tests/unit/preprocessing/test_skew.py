"""The skew report finds where a training table and the compiled graph differ."""

from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import FittedPreprocessing, Impute, OneHot, Preprocessing, Standardize
from augurium.preprocessing.skew import skew
from tests.support.preprocessing import texts

RNG = np.random.default_rng(0)
RAW = {
    "age": np.where(np.arange(300) % 7 == 0, np.nan, RNG.normal(40, 12, 300)),
    "city": RNG.choice(np.array(["Rome", "Oslo"], np.object_), 300),
}


@pytest.fixture
def fitted() -> FittedPreprocessing:
    return Preprocessing((Impute("age"), Standardize("age"), OneHot("city"))).fit(RAW)


def transformed(fitted: FittedPreprocessing) -> dict[str, Any]:
    matrix, names = fitted.transform(RAW)
    return {name: matrix[:, place].copy() for place, name in enumerate(names)}


def test_the_graph_agrees_with_the_reference(fitted: FittedPreprocessing) -> None:
    report = skew(fitted, RAW)

    assert report.agrees
    assert (report.rows, report.against) == (300, "the NumPy reference")
    assert [column.name for column in report.columns] == ["age", "city_Oslo", "city_Rome"]


def test_a_difference_is_told_by_column_and_first_row(fitted: FittedPreprocessing) -> None:
    expected = transformed(fitted)
    expected["age"][[41, 207]] += [0.5, 0.25]

    report = skew(fitted, RAW, expected)

    age, oslo, _ = report.columns
    assert not report.agrees
    assert (age.rows_beyond_tolerance, age.first_row) == (2, 41)
    assert age.max_abs_difference == pytest.approx(0.5)
    assert age.expected == pytest.approx((age.found or 0) + 0.5)
    assert oslo.rows_beyond_tolerance == 0


def test_a_missing_value_on_one_side_alone_differs(fitted: FittedPreprocessing) -> None:
    expected = transformed(fitted)
    expected["age"][3] = np.nan

    (age, *_) = skew(fitted, RAW, expected).columns

    assert (age.rows_beyond_tolerance, age.first_row, age.expected) == (1, 3, None)
    assert age.max_abs_difference is None


def test_a_tolerance_allows_differences(fitted: FittedPreprocessing) -> None:
    expected = transformed(fitted)
    expected["age"] *= 1.001

    assert not skew(fitted, RAW, expected).agrees
    assert skew(fitted, RAW, expected, rtol=0.01).agrees


def test_columns_that_nobody_makes_are_named(fitted: FittedPreprocessing) -> None:
    report = skew(fitted, RAW, {**transformed(fitted), "city_Bern": np.zeros(300)})

    assert report.unknown_columns == ["city_Bern"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.pop("age"), "lacks the columns .'age'."),
        (lambda table: table.update({k: v[:200] for k, v in table.items()}), "ends after 200 rows"),
        (
            lambda table: table.update({k: np.append(v, 0) for k, v in table.items()}),
            "has more rows than the 300 raw ones",
        ),
        (lambda table: table.update(age=texts(*"x" * 300)), "expected a number"),
    ],
)
def test_a_table_that_is_not_the_same_rows_is_refused(
    fitted: FittedPreprocessing, change: Any, said: str
) -> None:
    expected = transformed(fitted)
    change(expected)

    with pytest.raises(InvalidArgument, match=said):
        skew(fitted, RAW, expected)
