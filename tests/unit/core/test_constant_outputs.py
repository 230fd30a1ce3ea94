from typing import Any

import numpy as np
import pytest

from augurium.core.constant_outputs import constant_row, constant_rows
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec

INPUTS = (TensorSpec("x", "FP32", (-1, 2)),)


def of(datatype: str, *shape: int, batched: bool = True) -> Signature:
    return Signature(INPUTS, (TensorSpec("y", datatype, shape),), batched=batched)


def rows(signature: Signature, value: Any, count: int = 3) -> np.ndarray[Any, Any]:
    (found,) = constant_rows(constant_row(signature, {"y": value}), count, signature.batched)
    return found


def test_a_value_is_given_to_every_row() -> None:
    found = rows(of("FP32", -1), 0.5)
    assert (found.dtype, found.tolist()) == (np.float32, [0.5] * 3)
    assert rows(of("INT64", -1, 2), [1, 2]).tolist() == [[1, 2]] * 3
    assert rows(of("INT64", -1, 2), 7).tolist() == [[7, 7]] * 3
    assert rows(of("BYTES", -1), "unknown").tolist() == ["unknown"] * 3
    assert np.isnan(rows(of("FP64", -1), None)).all()


def test_a_shape_that_is_open_is_that_of_the_constant() -> None:
    assert rows(of("FP32", -1, -1), [1.0, 2.0]).shape == (3, 2)
    with pytest.raises(InvalidArgument):
        rows(of("FP32", -1, -1), 1.0)


def test_whole_tensors_are_given_as_they_are() -> None:
    assert rows(of("FP32", 2, 2, batched=False), [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert rows(of("FP32", 2, batched=False), 0).tolist() == [0, 0]


@pytest.mark.parametrize(
    "value",
    [[1, 2, 3], [[1, 2]], "text", [1, "2"], [1.5, 2], [], 2**80, {"a": 1}],
    ids=["long", "deep", "text", "mixed", "fraction", "empty", "huge", "object"],
)
def test_what_does_not_fit_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="output 'y'"):
        rows(of("INT64", -1, 2), value)


@pytest.mark.parametrize("outputs", [{}, {"z": 1}, {"y": 1, "z": 1}], ids=str)
def test_every_output_is_named_once(outputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="must name the outputs y"):
        constant_row(of("FP32", -1), outputs)
