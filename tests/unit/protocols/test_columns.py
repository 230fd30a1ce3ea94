"""The columnar form: whole inputs by name, matrices whole or by feature."""

from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.columns import tensors_of_inputs

VECTOR = TensorSpec("vector", "FP32", (-1, 2))
CITY = TensorSpec("city", "BYTES", (-1, 1))
TABLE = TensorSpec("table", "FP32", (-1, 2), features=("age", "income"))
WHEN = TensorSpec("when", "FP64", (-1,), moment=True)
MAYBE = TensorSpec("maybe", "FP32", (-1, 2), ("a", "b"), nullable=True, optional=True)
NUMBER = TensorSpec("number", "INT64", ())
ANSWER = (TensorSpec("y", "FP32", (-1,)),)


def read(inputs: Any, *specs: TensorSpec) -> dict[str, Any]:
    found = tensors_of_inputs(inputs, Signature(specs, ANSWER))
    return {name: array.tolist() for name, array in found.items()}


def test_the_only_input_needs_no_name() -> None:
    assert read([[1, 2]], VECTOR) == read({"vector": [[1, 2]]}, VECTOR) == {"vector": [[1, 2]]}


def test_inputs_come_by_name_and_matrices_also_by_feature() -> None:
    expected = {"table": [[31, 5], [40, 6]], "city": [["Bern"], ["Rom"]]}
    cities = {"city": ["Bern", "Rom"]}
    assert read({"table": [[31, 5], [40, 6]], **cities}, TABLE, CITY) == expected
    assert read({"income": [5, 6], "age": [31, 40], **cities}, TABLE, CITY) == expected
    assert read({"income": [[5], [6]], "age": [[31], [40]], **cities}, TABLE, CITY) == expected


def test_times_may_be_texts_and_an_input_without_dimensions_a_bare_value() -> None:
    assert read(["1970-01-01T00:01:00Z"], WHEN) == {"when": [60.0]}
    assert read(7, NUMBER) == {"number": 7}


def test_features_of_an_optional_matrix_may_be_left_out() -> None:
    found = read({"b": [1]}, MAYBE)["maybe"]
    assert np.isnan(found[0][0])
    assert found[0][1] == 1


@pytest.mark.parametrize(
    ("inputs", "specs", "said"),
    [
        ([[1, 2]], (VECTOR, CITY), "one value, but the model has 2 inputs"),
        ({"vectr": [[1, 2]]}, (VECTOR,), r"unknown names \['vectr'\]; expected \['vector'\]"),
        ({"age": [1]}, (TABLE,), r"features \['income'\] of input 'table' are missing"),
        ({"age": [1], "income": [1, 2]}, (TABLE,), r"differ in rows: \[1, 2\]"),
        ({"age": 1, "income": [1]}, (TABLE,), "feature 'age' expects a list"),
        ({"table": [[1, 2]], "age": [1]}, (TABLE,), r"as a whole and by its features \['age'\]"),
        ({"vector": []}, (VECTOR,), "at least one"),
        ({"vector": 3}, (VECTOR,), "expects a list of rows"),
        (None, (VECTOR,), "expects a list of rows"),
        ({"vector": [[1, "x"]]}, (VECTOR,), "expects FP32 values"),
        ({"vector": [[1, 2], [3]]}, (VECTOR,), "nested unevenly"),
        ({"vector": [1, 2]}, (VECTOR,), "Expected `array`"),
        (["soon"], (WHEN,), "feature 'when'"),
    ],
)
def test_what_does_not_fit_is_refused(
    inputs: Any, specs: tuple[TensorSpec, ...], said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read(inputs, *specs)
