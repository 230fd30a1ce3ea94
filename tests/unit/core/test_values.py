import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import BFLOAT16, Array, element_count
from augurium.core.values import array_from_json


def parse(datatype: str, shape: tuple[int, ...], data: Any) -> Array:
    text = data if isinstance(data, str) else json.dumps(data)
    return array_from_json("x", datatype, shape, math.prod(shape), msgspec.Raw(text.encode()))


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50)
)
def test_fp32_values_arrive_exactly(values: list[float]) -> None:
    assert parse("FP32", (1, len(values)), values).tolist() == [values]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_int64_values_arrive_exactly(values: list[int]) -> None:
    assert parse("INT64", (len(values),), values).tolist() == values


def test_nested_data_is_the_same_as_flat_data() -> None:
    nested = parse("FP32", (2, 2), [[1, 2], [3, 4]])
    assert nested.tolist() == parse("FP32", (2, 2), [1, 2, 3, 4]).tolist()
    assert parse("INT32", (2, 1, 2), " [ [[1,2]],\n[[3,4]] ]").tolist() == [[[1, 2]], [[3, 4]]]


def test_bf16_values_are_rounded_to_the_nearest() -> None:
    found = parse("BF16", (4,), [1.5, -0.1, None, 3e38])
    assert found.dtype == BFLOAT16
    assert found.tolist()[:2] == [1.5, -0.10009765625]
    assert np.isnan(found[2])
    assert np.isfinite(found[3])


def test_null_is_missing_in_floats_and_strings() -> None:
    assert np.isnan(parse("FP32", (2,), [1.5, None])[1])
    assert parse("BYTES", (2,), ["a", None]).tolist() == ["a", None]


def test_many_values_take_the_same_path_as_few() -> None:
    values = [float(i) for i in range(10_000)]
    assert parse("FP32", (100, 100), values).ravel().tolist() == values
    with pytest.raises(InvalidArgument, match="out of the range"):
        parse("FP32", (10_000,), [1e300, *values[1:]])


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP32", (1,), [True]),
        ("FP32", (1,), ["1"]),
        ("FP32", (1,), "[1e999]"),
        ("FP32", (1,), [1e39]),
        ("FP16", (1,), [1e6]),
        ("BF16", (1,), [1e39]),
        ("BF16", (1,), ["1"]),
        ("INT32", (1,), [True]),
        ("INT32", (1,), [1.5]),
        ("INT32", (1,), [None]),
        ("INT64", (1,), [2**64]),
        ("UINT8", (1,), [-1]),
        ("UINT8", (1,), [256]),
        ("BOOL", (1,), [1]),
        ("BYTES", (1,), [1]),
        ("FP32", (3,), [1, 2]),
        ("FP32", (2,), [1, 2, 3]),
        ("FP32", (2, 2), [[1, 2, 3, 4]]),
        ("FP32", (2, 2), [[1, 2], [3]]),
        ("BYTES", (2, 1), [["a"], ["b", "c"]]),
        ("FP32", (1,), 1.0),
        ("FP32", (1,), {"a": 1}),
        ("FP32", (1,), '"1"'),
        ("BYTES", (1,), '"abc"'),
        ("FP32", (1,), "[" * 40 + "1" + "]" * 40),
        ("FP8", (1,), [1]),
        ("fp32", (1,), [1]),
        ("OBJECT", (1,), ["a"]),
    ],
)
def test_values_that_do_not_fit_are_refused(
    datatype: str, shape: tuple[int, ...], data: Any
) -> None:
    with pytest.raises(InvalidArgument):
        parse(datatype, shape, data)


@pytest.mark.parametrize(
    "shape",
    [
        (16, 2**60 + 2),
        (-1, 4),
        (2**31,),
        (1,) * 17,
        (2**40, 2**40, 0, -1),
        (0, 2**62),
        (2**40, 2**40, 0),
    ],
)
def test_absurd_shapes_are_refused_before_anything_is_allocated(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgument):
        element_count("x", shape)
