"""Fitting learns what NumPy says of the whole table, in as few passes as it can."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import (
    Bucketize,
    Clip,
    Column,
    Copy,
    Cross,
    DateParts,
    Drop,
    Frequency,
    Hash,
    Impute,
    Log,
    MinMax,
    OneHot,
    Ordinal,
    Power,
    Preprocessing,
    Robust,
    Select,
    Standardize,
    TargetMean,
    Text,
)
from tests.support.preprocessing import texts

RNG = np.random.default_rng(0)
AGE = np.where(RNG.random(500) < 0.1, np.nan, RNG.normal(40, 12, 500)).astype(np.float32)
FARE = RNG.lognormal(2, 1, 500).astype(np.float32)
CITY = np.array(["Rome", "Oslo", "Lima"], np.object_)[RNG.integers(0, 3, 500)]
TABLE = {"age": AGE, "fare": FARE, "city": CITY, "bought": RNG.integers(0, 2, 500)}
WIDE_AGE, WIDE_FARE = AGE.astype(np.float64), FARE.astype(np.float64)
FILLED = np.where(np.isnan(AGE), np.float32(np.nanmedian(WIDE_AGE)), WIDE_AGE)


def column(transforms: list[Any], name: str, table: dict[str, Any] = TABLE, **options: Any) -> Any:
    fitted = Preprocessing(tuple(transforms)).fit(table, **options)
    matrix, names = fitted.transform(table)
    return matrix[:, names.index(name)]


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Standardize("fare"), (WIDE_FARE - WIDE_FARE.mean()) / WIDE_FARE.std()),
        (MinMax("fare", -1, 1), 2 * (WIDE_FARE - WIDE_FARE.min()) / np.ptp(WIDE_FARE) - 1),
        (
            Robust("fare"),
            (WIDE_FARE - np.median(WIDE_FARE))
            / (np.quantile(WIDE_FARE, 0.75) - np.quantile(WIDE_FARE, 0.25)),
        ),
        (Log("fare"), np.log1p(WIDE_FARE)),
        (Log("fare", plus_one=False), np.log(WIDE_FARE)),
        (Clip("fare", 2, 5), np.clip(WIDE_FARE, 2, 5)),
        (
            Bucketize("fare", buckets=4),
            np.digitize(WIDE_FARE, np.quantile(WIDE_FARE, [0.25, 0.5, 0.75])),
        ),
        (Bucketize("fare", "edges", edges=(2, 5)), np.digitize(WIDE_FARE, [2, 5])),
    ],
)
def test_a_transform_of_numbers_gives_what_numpy_gives(transform: Any, expected: Any) -> None:
    np.testing.assert_allclose(column([transform], "fare"), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("strategy", "value"), [("mean", np.nanmean(WIDE_AGE)), ("median", np.nanmedian(WIDE_AGE))]
)
def test_an_impute_puts_in_what_numpy_ignoring_missing_values_finds(
    strategy: Any, value: float
) -> None:
    found = column([Impute("age", strategy, indicator=True)], "age")

    np.testing.assert_array_equal(found[np.isnan(AGE)], np.float32(value))
    np.testing.assert_array_equal(found[~np.isnan(AGE)], AGE[~np.isnan(AGE)])


def test_an_indicator_tells_where_values_were_missing() -> None:
    found = column([Impute("age", indicator=True)], "age_missing")

    np.testing.assert_array_equal(found, np.isnan(AGE))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Standardize("age"), (FILLED - FILLED.mean()) / FILLED.std()),
        (MinMax("age"), (FILLED - FILLED.min()) / np.ptp(FILLED)),
        (
            Robust("age"),
            (FILLED - np.median(FILLED)) / (np.quantile(FILLED, 0.75) - np.quantile(FILLED, 0.25)),
        ),
    ],
)
def test_an_impute_and_what_follows_are_fitted_in_one_pass(transform: Any, expected: Any) -> None:
    once = iter([{"age": AGE[:200]}, {"age": AGE[200:]}])
    fitted = Preprocessing((Impute("age"), transform)).fit(once)

    np.testing.assert_allclose(fitted.transform(TABLE)[0][:, 0], expected, rtol=1e-5, atol=1e-6)


def test_what_learns_from_another_transform_is_fitted_in_a_second_pass() -> None:
    found = column([Power("fare"), MinMax("fare")], "fare")

    assert (found.min(), found.max()) == (0, 1)


def test_a_second_pass_over_an_iterator_is_refused() -> None:
    def batches() -> Iterator[Any]:
        yield {"fare": FARE}

    with pytest.raises(InvalidArgument, match="min_max of 'fare' learns from what another"):
        Preprocessing((Power("fare"), MinMax("fare"))).fit(batches())


def test_one_hot_makes_a_column_for_each_category_in_place_of_the_old_one() -> None:
    fitted = Preprocessing((OneHot("city"),), columns=("age", "city", "fare")).fit(TABLE)

    assert fitted.outputs == ("age", "city_Lima", "city_Oslo", "city_Rome", "fare")
    np.testing.assert_array_equal(fitted.transform(TABLE)[0][:, 2], CITY == "Oslo")


def test_one_hot_keeps_the_most_frequent_categories_and_counts_the_others_as_other() -> None:
    table = {"c": texts(*"aaabbbcd")}
    fitted = Preprocessing((OneHot("c", "default", max_categories=2),)).fit(table)

    assert fitted.outputs == ("c_a", "c_b", "c_other")
    np.testing.assert_array_equal(fitted.transform(table)[0].sum(0), [3, 3, 2])


def test_one_hot_of_buckets_has_a_column_for_buckets_no_row_was_in() -> None:
    fitted = Preprocessing((Bucketize("fare", "edges", edges=(-9, 5)), OneHot("fare"))).fit(TABLE)

    assert fitted.outputs == ("fare_0", "fare_1", "fare_2")


def test_a_missing_category_has_a_column_where_wanted_and_none_otherwise() -> None:
    table = {"c": texts("a", None, "b")}
    with_one = Preprocessing((OneHot("c", missing="category"),)).fit(table)
    without = Preprocessing((OneHot("c"),)).fit(table)

    np.testing.assert_array_equal(with_one.transform(table)[0][1], [0, 0, 1])
    np.testing.assert_array_equal(without.transform(table)[0][1], [0, 0])


def test_ordinal_numbers_categories_in_order_and_frequency_tells_their_share() -> None:
    ordinal = column([Ordinal("city")], "city")
    frequency = column([Frequency("city")], "city")

    np.testing.assert_array_equal(ordinal[CITY == "Rome"], 2)
    np.testing.assert_allclose(frequency[CITY == "Rome"], (CITY == "Rome").mean())


def test_target_mean_is_drawn_towards_the_overall_mean() -> None:
    found = column([TargetMean("city", smoothing=10)], "city", target="bought")
    bought = TABLE["bought"]
    rome = bought[CITY == "Rome"]

    expected = (rome.sum() + 10 * bought.mean()) / (len(rome) + 10)
    np.testing.assert_allclose(found[CITY == "Rome"], expected)


def test_text_is_cleaned_before_anything_else_sees_it() -> None:
    table = {"c": texts(" A", "a", "B ")}
    fitted = Preprocessing((Text("c"), OneHot("c"))).fit(table)

    assert fitted.outputs == ("c_a", "c_b")
    assert fitted.inputs[0].cleaning == ("trim", "lower")
    np.testing.assert_array_equal(fitted.transform(table)[0][:, 0], [1, 1, 0])


def test_date_parts_come_from_texts_in_the_order_asked_for() -> None:
    table = {"when": texts("2024-02-29T23:00:00Z", "2024-03-01T01:00:00+02:00")}
    declared = Preprocessing(
        (DateParts("when", ("day", "hour", "weekday")),), (Column("when", "datetime"),)
    )
    fitted = declared.fit(table)

    assert fitted.outputs == ("when_day", "when_hour", "when_weekday")
    np.testing.assert_array_equal(fitted.transform(table)[0], [[29, 23, 3], [29, 23, 3]])


def test_a_cross_can_be_counted_and_hashed() -> None:
    transforms = (
        Copy("fare", "band"),
        Bucketize("band", buckets=2),
        Cross(("city", "band"), "place"),
        Copy("place", "place_hash"),
        Hash("place_hash", 16),
        OneHot("place"),
        Drop(("band", "city")),
    )
    fitted = Preprocessing(transforms).fit(TABLE)
    matrix, names = fitted.transform(TABLE)

    ones = [i for i, name in enumerate(names) if name.startswith("place_") and "&" in name]
    assert len(ones) == 6
    np.testing.assert_array_equal(matrix[:, ones].sum(1), 1)
    assert set(matrix[:, names.index("place_hash")]) <= set(range(16))


def test_select_puts_columns_into_the_order_asked_for() -> None:
    fitted = Preprocessing((OneHot("city"), Select(("fare", "city_Rome")))).fit(TABLE)

    assert fitted.outputs == ("fare", "city_Rome")


@pytest.mark.parametrize(
    ("transforms", "options", "said"),
    [
        ([Standardize("fare"), Log("height")], {}, "neither in the table nor made by"),
        ([Standardize("city")], {}, "standardize takes numbers, but column 'city' holds texts"),
        ([TargetMean("city")], {}, "needs the target column"),
        ([TargetMean("city")], {"target": "sold"}, "the target 'sold' is not a column"),
        ([Standardize("fare")], {"target": "fare"}, "also used as a feature"),
        ([OneHot("fare")], {"max_levels": 10}, "more than 10 levels"),
        ([Frequency("fare")], {"max_levels": 10}, "more than 10 levels"),
        ([OneHot("city", "default", "Paris")], {}, "'Paris', which is not one of its categories"),
        ([Drop("fare"), Impute("city", "most_frequent")], {}, "column 'city' is still text"),
        ([Copy("city", "town"), Text("city")], {}, "must come before every other transform"),
        ([Cross(("city", "fare"), "place")], {}, "bucketize it first"),
        ([Power("fare"), Copy("fare", "age"), Log("age")], {}, "a column 'age', which is there"),
        ([OneHot("fare", "error")], {}, "only a raw text column can refuse"),
        ([Power("age", "box_cox"), Clip("city", 1)], {}, "limit takes numbers"),
        ([Hash("fare")], {}, "hash takes texts"),
        ([DateParts("fare")], {}, "date_part takes points in time"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_column_and_the_reason(
    transforms: list[Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Preprocessing(tuple(transforms)).fit(TABLE, **options)


@pytest.mark.parametrize(
    ("columns", "table", "said"),
    [
        ((Column("x", missing="error"),), {"x": [1.0, None]}, "1 missing values in the training"),
        (("x",), {"x": []}, "no rows"),
        (("x",), {"x": [1.0, "much"]}, "'much' .str. in row 1; expected a number"),
        ((Column("x", "text"),), {"x": ["a", 1]}, "expected a text"),
        ((Column("x", "datetime"),), {"x": ["soon"]}, "expected an ISO 8601 date"),
        (("y",), {"x": [1.0]}, "'y' is not in the table"),
        (("x",), {"x": [1.0], "y": [1.0, 2.0]}, "all need the same number"),
        ((Column("x", missing="default", default="a"),), {"x": [1.0]}, "is no number"),
    ],
)
def test_a_table_that_does_not_fit_its_columns_is_refused(
    columns: Any, table: Any, said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Preprocessing((), columns).fit(table)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([10**400, 1], "column 'x' has '1000000.* in row 0; expected a number"),
        ([[1.0], [2.0]], r"column 'x' has '\[1.0\]' .list. in row 0; expected a number"),
        (np.ones((3, 2)), r"column 'x' has the shape \[3, 2\]"),
        (3, "column 'x' is a int; expected a value for every row"),
        ("abc", "column 'x' is a str; expected a value for every row"),
    ],
)
def test_a_column_that_is_none_is_refused(values: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Preprocessing((Standardize("x"),), (Column("x", "number"),)).fit({"x": values})


@pytest.mark.parametrize("transform", [OneHot("c"), Ordinal("c"), Frequency("c")])
@pytest.mark.parametrize(
    ("category", "said"),
    [("x" * 2000, "a category of 2000 characters"), ("a\ud800", "which is no Unicode text")],
)
def test_a_category_that_cannot_be_written_down_is_refused(
    transform: Any, category: str, said: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"column 'c' has .*{said}"):
        Preprocessing((transform,)).fit({"c": texts("a", category)})


def test_nothing_to_learn_from_is_refused() -> None:
    table = {"x": [None, None]}
    for transform in (
        Impute("x"),
        MinMax("x"),
        Robust("x"),
        Power("x"),
        Bucketize("x"),
        OneHot("x"),
    ):
        with pytest.raises(InvalidArgument, match="column 'x' has no value"):
            Preprocessing((transform,)).fit(table)


def test_missing_values_in_training_or_an_impute_let_a_column_be_missing() -> None:
    fitted = Preprocessing((Standardize(("age", "fare")), OneHot("city"))).fit(TABLE)

    assert {column.name: column.nullable for column in fitted.inputs} == {
        "age": True,
        "fare": False,
        "city": False,
    }


def test_a_default_lets_a_column_be_left_out() -> None:
    declared = Preprocessing((), (Column("x", missing="default", default=7.0), "y"))
    fitted = declared.fit({"x": [1.0, None], "y": [1.0, 2.0]})

    np.testing.assert_array_equal(fitted.transform({"y": [3.0]})[0], [[7, 3]])


def test_a_value_of_a_wrong_type_is_missing_where_declared() -> None:
    declared = Preprocessing((Impute("x", "constant", 5.0),), (Column("x", wrong_type="missing"),))
    fitted = declared.fit({"x": [1.0, "much"]})

    np.testing.assert_array_equal(fitted.transform({"x": [1.0, "much"]})[0], [[1], [5]])


def test_unseen_categories_are_refused_where_declared() -> None:
    fitted = Preprocessing((Ordinal("city", "error"),)).fit(TABLE)

    assert fitted.inputs[0].categories == ("Lima", "Oslo", "Rome")
    with pytest.raises(InvalidArgument, match="the category 'Bern' in row 1"):
        fitted.transform({"city": texts("Rome", "Bern")})
