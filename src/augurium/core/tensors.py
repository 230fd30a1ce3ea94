"""Tensors: the Open Inference Protocol's datatypes, their NumPy counterparts, and what a tensor
must look like.

Arrays stay NumPy arrays from the wire to the runtime. A BYTES tensor is an object array of `str`
(UTF-8 on the wire); what is not UTF-8, such as a picture, is `bytes` there. Source of the names and
sizes: Open Inference Protocol v2, "Tensor Data Types", and Triton's BF16.
"""

from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import numpy.typing as npt

from augurium.core.errors import InvalidArgument

Array = npt.NDArray[Any]

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
NUMPY_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": BFLOAT16,
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
DATATYPES = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
MAX_RANK = 16
MAX_ELEMENTS = 2**31 - 1


class TensorSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one input or output looks like.

    `shape` has one entry per dimension, -1 where it varies; the batch dimension, if the model has
    one, is a leading -1. `features` names the columns of a `[-1, n]` input so that rows can be sent
    as objects. `nullable` says whether a value may be missing: NaN for floats, `missing_value` for
    BYTES. An `optional` input may be left out altogether: every value is missing then. `lenient`
    takes values of a wrong type in instances for missing ones. `moment` marks seconds since 1970,
    which instances may give as ISO 8601 text. `cleaning` (`trim`, `lower`) is done to texts before
    anything else; `categories` are the only texts that are taken, all if empty. `labels` name the
    classes of an output `[-1, n]` of scores, in their order; empty where their numbers do.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    features: tuple[str, ...] = ()
    nullable: bool = False
    missing_value: str | None = None
    optional: bool = False
    lenient: bool = False
    moment: bool = False
    cleaning: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of this tensor."""
        return numpy_dtype(self.datatype)


def numpy_dtype(datatype: str) -> np.dtype[Any]:
    """The NumPy dtype of a protocol datatype; raises InvalidArgument for an unknown one."""
    try:
        return NUMPY_DTYPES[datatype]
    except KeyError:
        raise InvalidArgument(
            f"datatype '{datatype[:32]}' is not known; expected one of {', '.join(NUMPY_DTYPES)}"
        ) from None


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values are floats; NumPy does not count BF16, which is no type of its own."""
    return dtype.kind == "f" or dtype == BFLOAT16


def missing_values(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """A tensor in which every value is missing."""
    return np.full(shape, None if spec.datatype == "BYTES" else np.nan, spec.dtype)


def element_count(name: str, shape: tuple[int, ...]) -> int:
    """The product of `shape`, in exact arithmetic; raises InvalidArgument before anything is
    allocated.
    """
    if len(shape) > MAX_RANK:
        raise InvalidArgument(
            f"input '{name}' has {len(shape)} dimensions; at most {MAX_RANK} are allowed"
        )
    count = spanned = 1
    for extent in shape:
        if extent < 0:
            raise InvalidArgument(
                f"input '{name}' has a negative dimension in shape {list(shape)}; dimensions in"
                " a request are 0 or more"
            )
        count *= extent
        spanned *= extent or 1
    # an array without elements still has its other dimensions, and NumPy refuses very large ones
    if spanned > MAX_ELEMENTS:
        raise InvalidArgument(
            f"input '{name}' with shape {list(shape)} has {spanned} elements; at most"
            f" {MAX_ELEMENTS} are allowed, by the dimensions other than 0"
        )
    return count
