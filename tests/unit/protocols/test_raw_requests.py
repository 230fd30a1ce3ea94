"""Bodies that are the only input of a model, and nothing else."""

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.oip_json import decode_raw


def signature(*inputs: TensorSpec, batched: bool = True) -> Signature:
    return Signature(inputs, (TensorSpec("y", "FP32", (-1,)),), batched)


@pytest.mark.parametrize(
    ("shape", "batched", "values", "expected"),
    [
        ((-1, 4), True, 4, (1, 4)),
        ((-1, -1), True, 6, (1, 6)),
        ((-1, 3, -1), True, 12, (1, 3, 4)),
        ((-1,), True, 1, (1,)),
        ((2, -1), False, 6, (2, 3)),
        ((2, 2), False, 4, (2, 2)),
    ],
)
def test_the_size_of_the_body_tells_what_varies(
    shape: tuple[int, ...], batched: bool, values: int, expected: tuple[int, ...]
) -> None:
    content = np.arange(values, dtype=np.float32)
    found = decode_raw(
        content.tobytes(), "m", signature(TensorSpec("x", "FP32", shape), batched=batched)
    )

    assert found.inputs["x"].shape == expected
    assert found.inputs["x"].ravel().tolist() == content.tolist()
    assert found.body.parameters == {"binary_data_output": True}


@pytest.mark.parametrize("shape", [(-1, 1), (-1, -1), (-1,)])
def test_a_text_is_the_body_itself(shape: tuple[int, ...]) -> None:
    found = decode_raw("ä:1".encode(), "m", signature(TensorSpec("x", "BYTES", shape)))

    assert found.inputs["x"].ravel().tolist() == ["ä:1"]


@pytest.mark.parametrize(
    ("spec", "size", "text"),
    [
        (TensorSpec("x", "FP32", (-1, 4)), 12, "needs 16 bytes, got 12"),
        (TensorSpec("x", "FP32", (-1, -1)), 7, "no whole number of 4 bytes"),
        (TensorSpec("x", "FP32", (-1, -1, -1)), 8, "2 extents that vary"),
        (TensorSpec("x", "FP32", (-1, 0, -1)), 8, "no whole number of 0 bytes"),
        (TensorSpec("x", "BYTES", (-1, 2)), 8, "holds one text"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(spec: TensorSpec, size: int, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        decode_raw(b"\0" * size, "m", signature(spec))


def test_a_model_of_two_inputs_needs_their_names() -> None:
    both = signature(TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "FP32", (-1,)))
    with pytest.raises(InvalidArgument, match="models with one input; model 'm' has 2"):
        decode_raw(b"\0" * 8, "m", both)
