"""Columns of a table as the features of a signature."""

from typing import Any

import numpy as np
import pytest

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.importing.feature_columns import FeatureColumns
from augurium.importing.training_table import Field, Kind
from augurium.statistics.values import Values

OUTPUT = (TensorSpec("y", "FP32", (-1,)),)


def numbers(*found: float | None) -> Values:
    content = np.array([np.nan if v is None else v for v in found], np.float64)
    return Values(content, np.array([v is None for v in found], bool))


def texts(*found: Any) -> Values:
    content = np.empty(len(found), np.object_)
    content[:] = found
    return Values(content)


def columns_for(spec: TensorSpec, values: Values) -> tuple[FeatureColumns, dict[str, Values]]:
    kind = Kind.TEXT if values.content.dtype == np.object_ else Kind.NUMBER
    found = FeatureColumns(Signature((spec,), OUTPUT), [Field(spec.name, kind)])
    return found, found.columns({spec.name: values})


@pytest.mark.parametrize(
    ("spec", "values", "taken"),
    [
        (TensorSpec("x", "FP32", (-1,)), numbers(1.5, None, np.nan), [True, False, False]),
        (TensorSpec("x", "FP32", (-1,), nullable=True), numbers(1.5, None), [True, True]),
        (TensorSpec("x", "INT8", (-1,)), numbers(127, 128, 1.5, None), [True, False, False, False]),
        (TensorSpec("x", "INT64", (-1, 1)), numbers(-(2.0**63), 2.0**63), [True, False]),
        (TensorSpec("x", "BOOL", (-1,)), numbers(0, 1, 2), [True, True, False]),
        (TensorSpec("x", "FP32", (-1,)), texts("a", None), [False, False]),
        (TensorSpec("x", "FP64", (-1,), moment=True), texts("1970-01-02", "soon"), [True, False]),
        (TensorSpec("x", "BYTES", (-1,)), texts("a", None, 3), [True, False, False]),
        (
            TensorSpec("x", "BYTES", (-1,), nullable=True, missing_value="?"),
            texts("a", None),
            [True, True],
        ),
        (TensorSpec("x", "BYTES", (-1,), categories=("a",)), texts("a", "b"), [True, False]),
        (
            TensorSpec("x", "BYTES", (-1,), categories=("a",), cleaning=("trim", "lower")),
            texts(" A ", "b"),
            [True, False],
        ),
        (TensorSpec("x", "BYTES", (-1,)), numbers(1, 2), [False, False]),
    ],
)
def test_rows_that_a_server_would_refuse_are_told_apart(
    spec: TensorSpec, values: Values, taken: list[bool]
) -> None:
    found, columns = columns_for(spec, values)
    assert found.servable(columns).tolist() == taken


def test_tensors_have_the_shape_and_the_type_of_their_input() -> None:
    signature = Signature(
        (
            TensorSpec("m", "FP32", (-1, 2), features=("a", "b"), nullable=True),
            TensorSpec("n", "INT32", (-1, 1)),
            TensorSpec("t", "BYTES", (-1,), nullable=True, missing_value="__NA__"),
            TensorSpec("when", "FP64", (-1,), moment=True),
        ),
        OUTPUT,
    )
    kinds = {"a": Kind.NUMBER, "b": Kind.NUMBER, "n": Kind.INTEGER, "t": Kind.TEXT}
    fields = [Field(name, kind) for name, kind in kinds.items()]
    found = FeatureColumns(signature, [*fields, Field("when", Kind.TEXT)])
    columns = found.columns(
        {
            "a": numbers(1, 2, 3),
            "b": numbers(4, None, 6),
            "n": numbers(7, 8, 9),
            "t": texts("x", None, "z"),
            "when": texts("1970-01-02", "1970-01-03", "1970-01-04"),
        }
    )

    tensors = found.tensors(columns, np.array([1, 2]))

    np.testing.assert_array_equal(tensors["m"], np.array([[2, np.nan], [3, 6]], np.float32))
    assert [tensors[name].dtype.name for name in ("m", "n")] == ["float32", "int32"]
    assert tensors["n"].tolist() == [[8], [9]]
    assert tensors["t"].tolist() == ["__NA__", "z"]
    assert tensors["when"].tolist() == [172800.0, 259200.0]
    assert found.instance(columns, 1) == {
        "a": 2.0,
        "b": None,
        "n": 8,
        "t": None,
        "when": 172800.0,
    }


def test_what_the_table_lacks_is_told() -> None:
    spec = TensorSpec("m", "FP32", (-1, 2), features=("a", "b"))
    found = FeatureColumns(Signature((spec,), OUTPUT), [Field("a", Kind.NUMBER)])
    assert found.names == ["a"]
    assert found.obstacle() == "the training data lacks the features ['b']"


def test_an_optional_feature_that_the_table_lacks_is_missing_everywhere() -> None:
    inputs = (
        TensorSpec("a", "FP32", (-1,)),
        TensorSpec("b", "FP32", (-1,), nullable=True, optional=True),
        TensorSpec("c", "BYTES", (-1,), nullable=True, missing_value="?", optional=True),
    )
    found = FeatureColumns(Signature(inputs, OUTPUT), [Field("a", Kind.NUMBER)])
    columns = found.columns({"a": numbers(1, 2)})
    assert found.obstacle() == ""
    assert columns["b"].missing.tolist() == [True, True]
    assert found.tensors(columns, np.array([0, 1]))["c"].tolist() == ["?", "?"]


def test_inputs_that_are_no_columns_and_models_without_rows_are_obstacles() -> None:
    image = TensorSpec("image", "UINT8", (-1, 28, 28))
    found = FeatureColumns(Signature((image,), OUTPUT), [Field("a", Kind.NUMBER)])
    assert found.obstacle() == "the inputs ['image'] are no columns of a table"
    single = FeatureColumns(
        Signature((TensorSpec("a", "FP32", (-1,)),), OUTPUT, batched=False),
        [Field("a", Kind.NUMBER)],
    )
    assert single.obstacle() == "the model has no batch dimension"
