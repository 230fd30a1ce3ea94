"""Storing arrays without anything executable."""

from pathlib import Path

import numpy as np
import pytest

from augurium.core.tensors import NUMPY_DTYPES
from augurium.importing.reference import (
    Reference,
    StoredArray,
    pack_all,
    read_reference,
    unpack,
    unpack_all,
    write_reference,
)


def test_arrays_of_every_datatype_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {
        name: np.arange(6).reshape(2, 3).astype(dtype)
        for name, dtype in NUMPY_DTYPES.items()
        if name != "BYTES"
    }
    arrays["BYTES"] = np.array([["a", "", "\u2603\0"]], object)
    write_reference(tmp_path / "r", Reference(inputs=pack_all(arrays)))
    found = unpack_all(read_reference(tmp_path / "r").inputs)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_content_that_does_not_fill_the_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        unpack(StoredArray("FP32", (3,), content=bytes(8)))
