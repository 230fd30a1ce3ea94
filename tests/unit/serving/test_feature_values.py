"""Inputs of a preprocessing: categories, cleaned texts, times, values that may be left out."""

from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.instances import tensors_from_instances
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
