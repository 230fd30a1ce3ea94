"""Rows as others may have written them: read exactly, or not used."""

import msgspec
import numpy as np
import pytest

from augurium.core.tensors import NUMPY_DTYPES, Array, TensorSpec
from augurium.serving import shared_rows

SPECS = (TensorSpec("p", "FP32", (-1, 2)), TensorSpec("label", "BYTES", (-1,)))
ROW: list[Array] = [np.array([[0.25, np.nan]], np.float32), np.array(["yes"], np.object_)]
packed = msgspec.msgpack.encode


@pytest.mark.parametrize("datatype", sorted(NUMPY_DTYPES))
def test_every_datatype_comes_back_as_it_was(datatype: str) -> None:
    spec = TensorSpec("x", datatype, (-1, 3))
    values = [["a", "é", b"\xff"]] if datatype == "BYTES" else [[0, 1, 1]]
    array = np.array(values, spec.dtype)
    decoded = shared_rows.decode(shared_rows.encode([array], 12.5), [spec])
    assert decoded is not None
    (found,), at = decoded
    assert at == 12.5
    assert (found.dtype, found.shape) == (array.dtype, (1, 3))
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        packed([1.0, [b"\0" * 8]]),
        packed([1.0, [b"\0" * 7, ["yes"]]]),
        packed([1.0, [b"\0" * 12, ["yes"]]]),
        packed([1.0, [b"\0" * 8, ["yes", "no"]]]),
        packed([1.0, [b"\0" * 8, b"yes"]]),
        packed([1.0, [["a", "b"], ["yes"]]]),
        packed([1.0, [b"\0" * 8, [1]]]),
        packed(["now", [b"\0" * 8, ["yes"]]]),
        packed({"at": 1.0}),
        shared_rows.encode(ROW, 1.0)[:-1],
    ],
    ids=range(12),
)
def test_what_does_not_fit_the_signature_is_not_used(content: bytes) -> None:
    assert shared_rows.decode(content, SPECS) is None


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (7, 3)])
def test_wholes_come_back_in_their_shapes(shape: tuple[int, ...]) -> None:
    spec = TensorSpec("x", "FP32", (-1, 3) if shape else ())
    array = np.ones(shape, np.float32)
    decoded = shared_rows.decode(shared_rows.encode([array], 1.0, whole=True), [spec], whole=True)
    assert decoded is not None
    (found,), _ = decoded
    assert (found.shape, found.tolist()) == (shape, array.tolist())


@pytest.mark.parametrize(
    "content",
    [
        shared_rows.encode([ROW[0]], 1.0),
        packed([1.0, [b"\0" * 8], [[2]]]),
        packed([1.0, [b"\0" * 8], [[1, 3]]]),
        packed([1.0, [b"\0" * 8], [[-1, 2]]]),
        packed([1.0, [b"\0" * 8], [[2, 2]]]),
        packed([1.0, [b"\0" * 8], []]),
        packed([1.0, [b"\0" * 8], "none"]),
    ],
    ids=range(7),
)
def test_a_whole_that_does_not_fit_the_signature_is_not_used(content: bytes) -> None:
    assert shared_rows.decode(content, [SPECS[0]], whole=True) is None
