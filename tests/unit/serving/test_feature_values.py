"""Inputs of a preprocessing: categories, cleaned texts, times, values that may be left out."""

from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.validation import InputValidator

CITY = TensorSpec("city", "BYTES", (-1, 1), cleaning=("trim", "lower"), categories=("oslo", "rome"))
OPTIONAL_CITY = TensorSpec(
    "city",
    "BYTES",
    (-1, 1),
    nullable=True,
    missing_value="__NA__",
    optional=True,
    cleaning=("lower",),
    categories=("oslo",),
)
AGE = TensorSpec("age", "FP32", (-1, 1), nullable=True, optional=True)
FARE = TensorSpec("fare", "FP32", (-1, 1), nullable=True, lenient=True)
WHEN = TensorSpec("when", "FP64", (-1, 1), moment=True)


def prepared(rows: list[Any], *specs: TensorSpec) -> list[Array]:
    signature = Signature(specs, ())
    tensors = tensors_from_instances(Instances(rows), signature)
    return list(InputValidator("m", signature).prepare(tensors).inputs)


def texts(*values: str | None) -> Array:
    return np.array([[value] for value in values], np.object_)


def test_a_text_is_cleaned_before_it_is_looked_up() -> None:
    (found,) = prepared([{"city": " ROME"}, {"city": "oslo\t"}], CITY)

    assert found.tolist() == [["rome"], ["oslo"]]


def test_a_category_that_was_not_learned_is_refused_by_name_and_row() -> None:
    with pytest.raises(InvalidArgument, match=r"the category 'bern' in row 1.*'oslo','rome'"):
        prepared([{"city": "Rome"}, {"city": "Bern"}], CITY)


def test_many_categories_are_not_all_shown() -> None:
    spec = TensorSpec("c", "BYTES", (-1, 1), categories=tuple(f"level {i}" for i in range(99)))

    with pytest.raises(InvalidArgument, match="'level 7'] and others"):
        prepared([{"c": "x"}], spec)


def test_a_missing_category_is_no_unseen_one() -> None:
    (found,) = prepared([{"city": None}, {"city": "OSLO"}], OPTIONAL_CITY)

    assert found.tolist() == [["__NA__"], ["oslo"]]


def test_features_with_a_default_may_be_left_out_of_an_object() -> None:
    age, city = prepared([{}, {"age": 3.0}, {"city": "Oslo"}], AGE, OPTIONAL_CITY)

    np.testing.assert_array_equal(age, [[np.nan], [3], [np.nan]])
    assert city.tolist() == [["__NA__"], ["__NA__"], ["oslo"]]


def test_inputs_with_a_default_may_be_left_out_of_a_request() -> None:
    validator = InputValidator("m", Signature((AGE, OPTIONAL_CITY, FARE), ()))

    found = validator.prepare({"fare": np.ones((2, 1), np.float32)}).inputs

    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [["__NA__"], ["__NA__"]]


@pytest.mark.parametrize("inputs", [{}, {"age": np.ones((1, 1), np.float32)}])
def test_other_inputs_may_not_be_left_out(inputs: dict[str, Array]) -> None:
    with pytest.raises(InvalidArgument, match="missing required input"):
        InputValidator("m", Signature((AGE, FARE), ())).prepare(inputs)


def test_unknown_features_are_refused_where_others_may_be_left_out() -> None:
    with pytest.raises(InvalidArgument, match="unknown features"):
        prepared([{"height": 1.0}], AGE)


def test_a_time_is_given_as_iso_8601_or_in_seconds() -> None:
    rows = [
        {"when": "2024-02-29T12:00:00Z"},
        {"when": "2024-02-29T13:00:00+01:00"},
        {"when": "2024-02-29 12:00"},
        {"when": 1709208000},
        {"when": "0001-01-01"},
    ]

    (found,) = prepared(rows, WHEN)

    assert found.dtype == np.float64
    assert found.ravel().tolist() == [1709208000.0] * 4 + [-62135596800.0]


def test_a_text_that_is_no_time_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="feature 'when': 'tomorrow' is not an ISO 8601"):
        prepared([{"when": "tomorrow"}], WHEN)


@pytest.mark.parametrize("value", ["much", True, {"a": 1}, None])
def test_a_lenient_feature_takes_other_types_for_missing(value: Any) -> None:
    (found,) = prepared([{"fare": value}, {"fare": 2}], FARE)

    np.testing.assert_array_equal(found, [[np.nan], [2]])


def test_a_feature_that_is_not_lenient_refuses_other_types() -> None:
    with pytest.raises(InvalidArgument, match="input 'age' expects FP32 values"):
        prepared([{"age": "much"}], AGE)


MATRIX = TensorSpec("features", "FP32", (-1, 3), features=("age", "fare", "rooms"), nullable=True)
COLUMNS = {
    "rooms": np.array([[1], [2]], np.float32),
    "age": np.array([31, np.nan], np.float32),
    "fare": np.array([[7.5], [8]], np.float32),
}


def prepared_tensors(inputs: dict[str, Array], *specs: TensorSpec) -> list[Array]:
    return list(InputValidator("m", Signature(specs, ())).prepare(inputs).inputs)


def test_the_columns_of_a_matrix_may_come_as_tensors_of_their_own() -> None:
    (found,) = prepared_tensors(COLUMNS, MATRIX)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[31, 7.5, 1], [np.nan, 8, 2]])


def test_columns_of_a_matrix_that_are_optional_may_be_left_out() -> None:
    optional = msgspec.structs.replace(MATRIX, optional=True)

    (found,) = prepared_tensors({"fare": COLUMNS["fare"]}, optional)

    np.testing.assert_array_equal(found, [[np.nan, 7.5, np.nan], [np.nan, 8, np.nan]])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fare": None}, r"features \['fare'\] of input 'features' are missing"),
        ({"rooms": np.ones(3, np.float32)}, r"'rooms' has the shape \[3\]; expected \[2\] or"),
        ({"fare": np.ones((2, 2), np.float32)}, r"'fare' has the shape \[2, 2\]"),
        ({"age": np.float32(1)}, r"feature 'age' has the shape \[\]"),
        ({"age": np.ones(2, np.float64)}, "input 'age' data-type is 'FP64'.* expects 'FP32'"),
        ({"height": np.ones(2, np.float32)}, "unexpected inference input 'height'"),
        ({"features": np.ones((2, 3), np.float32)}, "unexpected inference input 'rooms'"),
    ],
)
def test_columns_that_make_no_matrix_are_refused(changed: dict[str, Any], said: str) -> None:
    inputs = {name: np.asarray(v) for name, v in {**COLUMNS, **changed}.items() if v is not None}

    with pytest.raises(InvalidArgument, match=said):
        prepared_tensors(inputs, MATRIX)


def test_a_column_that_is_called_like_an_input_is_that_input() -> None:
    other = TensorSpec("age", "BYTES", (-1, 1))
    inputs = {"age": texts("old"), "features": np.ones((1, 3), np.float32)}

    matrix, text = prepared_tensors(inputs, MATRIX, other)

    assert (matrix.tolist(), text.tolist()) == ([[1, 1, 1]], [["old"]])


def test_a_time_may_be_a_tensor_of_texts() -> None:
    (found,) = prepared_tensors({"when": texts("2024-02-29T13:00:00+01:00", "1970-01-01")}, WHEN)

    assert found.dtype == np.float64
    assert found.tolist() == [[1709208000.0], [0.0]]
    with pytest.raises(InvalidArgument, match="input 'when': 'soon' is not an ISO 8601"):
        prepared_tensors({"when": texts("soon")}, WHEN)
    with pytest.raises(InvalidArgument, match="'when' of model 'm' has a missing value"):
        prepared_tensors({"when": texts(None)}, WHEN)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[7], [8]], np.int64), [[7], [8]]),
        (np.array([[7.5], [1e300]], np.float64), [[7.5], [np.inf]]),
        (np.array([[True], [False]]), [[np.nan], [np.nan]]),
        (texts("much", "more"), [[np.nan], [np.nan]]),
    ],
)
def test_a_lenient_tensor_takes_other_numbers_and_all_else_for_missing(
    array: Array, expected: list[Any]
) -> None:
    (found,) = prepared_tensors({"fare": array}, FARE)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_lenient_text_takes_numbers_for_missing() -> None:
    spec = msgspec.structs.replace(OPTIONAL_CITY, lenient=True)

    (found,) = prepared_tensors({"city": np.ones((1, 1), np.int64)}, spec)

    assert found.tolist() == [["__NA__"]]


def test_a_lenient_time_takes_texts_that_are_none_for_missing() -> None:
    spec = msgspec.structs.replace(WHEN, lenient=True, nullable=True)

    (found,) = prepared_tensors({"when": texts("soon", "1970-01-02")}, spec)

    np.testing.assert_array_equal(found, [[np.nan], [86400]])
