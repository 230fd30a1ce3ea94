"""Values that are not recorded, in whatever form they were sent."""

from typing import Any

import pytest

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.redaction import REDACTED, Redaction

MATRIX = Signature(
    (TensorSpec("x", "FP32", (-1, 3), features=("age", "income", "zip")),),
    (TensorSpec("score", "FP32", (-1, 1)),),
)
COLUMNS = Signature(
    (TensorSpec("age", "FP32", (-1,)), TensorSpec("email", "BYTES", (-1,))),
    (TensorSpec("y", "FP32", (-1,)),),
)


@pytest.mark.parametrize(
    ("names", "row", "shown"),
    [
        (["income"], {"age": 1, "income": 2, "zip": 3}, {"age": 1, "income": REDACTED, "zip": 3}),
        (["income"], [1, 2, 3], [1, REDACTED, 3]),
        (["income"], {"x": [1, 2, 3]}, {"x": [1, REDACTED, 3]}),
        (["income"], {"x": [1, 2]}, {"x": REDACTED}),
        (["income"], [1, 2], REDACTED),
        (["income"], 7, REDACTED),
        (
            ["x"],
            {"age": 1, "income": 2, "zip": 3},
            dict.fromkeys(("age", "income", "zip"), REDACTED),
        ),
        (["x"], {"x": [1, 2, 3]}, {"x": REDACTED}),
        (["x"], [1, 2, 3], [REDACTED] * 3),
        (["*"], {"age": 1}, REDACTED),
        (["score"], [1, 2, 3], [1, 2, 3]),
        ([], {"age": 1}, {"age": 1}),
    ],
)
def test_a_row_loses_what_is_hidden(names: list[str], row: Any, shown: Any) -> None:
    assert Redaction(names, MATRIX).instance(row) == shown


def test_a_matrix_loses_the_columns_that_are_hidden() -> None:
    redaction = Redaction(["zip"], MATRIX)

    assert redaction.tensor("x", [[1, 2, 3], [4, 5, 6]]) == [[1, 2, REDACTED], [4, 5, REDACTED]]


def test_a_matrix_of_another_shape_goes_whole() -> None:
    assert Redaction(["zip"], MATRIX).tensor("x", [[1, 2]]) == REDACTED


def test_a_column_that_is_hidden_goes_whole() -> None:
    redaction = Redaction(["email"], COLUMNS)

    assert redaction.tensor("email", ["a@x.org"]) == REDACTED
    assert redaction.tensor("age", [1.0]) == [1.0]
    assert redaction.instance([1.0, "a@x.org"]) == [1.0, REDACTED]


def test_outputs_are_hidden_by_their_names() -> None:
    assert Redaction(["score"], MATRIX).hides("score")
    assert Redaction(["*"], MATRIX).hides("score")
    assert not Redaction(["x"], MATRIX).hides("score")
