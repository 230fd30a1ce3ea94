import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.validation import InputValidator

WIDE = Signature((TensorSpec("x", "FP32", (-1, 3), features=("a", "b", "c")),), ())
COLUMNS = Signature(
    (
        TensorSpec("age", "FP32", (-1, 1), nullable=True),
        TensorSpec("city", "BYTES", (-1, 1), nullable=True, missing_value="__NA__"),
        TensorSpec("code", "BYTES", (-1, 1)),
    ),
    (),
)


def column(*values: object) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    return np.array([[value] for value in values], dtype=np.object_)


def test_inputs_come_out_in_the_signatures_order() -> None:
    age = np.array([[1.0]], np.float32)
    prepared = InputValidator("m", COLUMNS).prepare(
        {"code": column("c"), "city": column("x"), "age": age}
    )
    assert prepared.rows == 1
    assert prepared.inputs[0] is age
    assert [array.tolist() for array in prepared.inputs[1:]] == [[["x"]], [["c"]]]


def test_null_strings_become_the_value_that_means_missing() -> None:
    inputs = {
        "age": np.array([[np.nan], [2]], np.float32),
        "city": column("x", None),
        "code": column("c", "d"),
    }
    prepared = InputValidator("m", COLUMNS).prepare(inputs)
    assert prepared.inputs[1].tolist() == [["x"], ["__NA__"]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "expected 1 inputs but got 0 inputs for model 'm'"),
        ({"y": np.zeros((1, 3), np.float32)}, "unexpected inference input 'y' for model 'm'"),
        ({"x": np.zeros((1, 3), np.float64)}, "data-type is 'FP64', but model 'm' expects 'FP32'"),
        (
            {"x": np.zeros((1, 4), np.float32)},
            r"unexpected shape for input 'x' for model 'm'. Expected \[-1,3\], got \[1,4\]",
        ),
        ({"x": np.zeros((3,), np.float32)}, "unexpected shape"),
        ({"x": np.zeros((0, 3), np.float32)}, "has no rows"),
        ({"x": np.full((1, 3), np.nan, np.float32)}, "missing value"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        InputValidator("m", WIDE).prepare(inputs)  # type: ignore[arg-type]


def test_inputs_must_have_the_same_number_of_rows() -> None:
    inputs = {"age": np.zeros((2, 1), np.float32), "city": column("x"), "code": column("c")}
    with pytest.raises(InvalidArgument, match="differ in rows: 'age' has 2 and 'city' has 1"):
        InputValidator("m", COLUMNS).prepare(inputs)


def test_a_missing_value_is_refused_where_the_signature_forbids_it() -> None:
    inputs = {"age": np.zeros((1, 1), np.float32), "city": column("x"), "code": column(None)}
    with pytest.raises(InvalidArgument, match="input 'code' of model 'm' has a missing value"):
        InputValidator("m", COLUMNS).prepare(inputs)


def test_rows_share_a_run_only_when_their_varying_dimensions_agree() -> None:
    signature = Signature((TensorSpec("x", "FP32", (-1, -1)),), ())
    validator = InputValidator("m", signature)
    keys = [validator.prepare({"x": np.zeros((1, n), np.float32)}).key for n in (2, 2, 3)]
    assert keys[0] == keys[1] != keys[2]


def test_requests_of_a_model_without_batch_dimension_never_share_a_run() -> None:
    validator = InputValidator("m", Signature((TensorSpec("x", "FP32", (3,)),), (), batched=False))
    first, second = (validator.prepare({"x": np.zeros(3, np.float32)}) for _ in range(2))
    assert first.rows == 1
    assert first.key != second.key


def test_instances_as_objects_and_as_lists_are_the_same() -> None:
    objects = Instances([{"c": 3, "a": 1, "b": 2}, {"a": 4.5, "b": None, "c": 6}])
    lists = Instances([[1, 2, 3], [4.5, None, 6]])
    first, second = (tensors_from_instances(form, WIDE)["x"] for form in (objects, lists))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (2, 3)


def test_instances_fill_one_tensor_per_column() -> None:
    objects = Instances(
        [{"age": None, "city": "x", "code": "c"}, {"age": 2, "city": None, "code": "d"}]
    )
    tensors = tensors_from_instances(objects, COLUMNS)
    assert tensors["city"].tolist() == [["x"], [None]]
    assert tensors["age"].shape == (2, 1)
    lists = tensors_from_instances(Instances([[1, "x", "c"], [2, None, "d"]]), COLUMNS)
    assert lists["code"].tolist() == [["c"], ["d"]]


@pytest.mark.parametrize(
    ("rows", "signature", "message"),
    [
        ([], WIDE, "empty"),
        ([{"a": 1, "b": 2}], WIDE, r"instance 0 misses \['c'\]"),
        ([{"a": 1, "b": 2, "c": 3, "d": 4}], WIDE, r"unknown features \['d'\]"),
        ([{"a": 1, "b": 2, "c": "3"}], WIDE, "input 'x' expects FP32"),
        ([{"a": 1, "b": 2, "c": True}], WIDE, "input 'x' expects FP32"),
        ([{"a": 1, "b": 2, "c": 3}, [1, 2, 3]], WIDE, "instance 1 is not an object"),
        ([[1, 2, 3], {"a": 1}], WIDE, "instance 0 is not an object"),
        ([[1, 2], [1, 2, 3]], WIDE, "nested unevenly"),
        ([1], WIDE, "input 'x' expects FP32"),
        ([[1, "x"]], COLUMNS, "expected a list of 3"),
        ([1], COLUMNS, "instance 0 has one value"),
        ([[1, 2, "c"]], COLUMNS, "input 'city' expects BYTES"),
        ([None], WIDE, "expects FP32"),
    ],
)
def test_instances_that_do_not_fit_are_refused(
    rows: list[object], signature: Signature, message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        tensors_from_instances(Instances(rows), signature)
