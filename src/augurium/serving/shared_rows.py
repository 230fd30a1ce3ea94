"""The outputs of one row as bytes, for a cache that others read and write too.

msgpack: when the row was computed, by the wall clock, and the values of each output: little-endian
bytes, or a list of texts. What is read is held against the signature; what does not fit is not
used.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array, TensorSpec


class SharedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row as it is written; `at` is in seconds since 1970."""

    at: float
    contents: tuple[Any, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SharedRow)


def encode(outputs: Sequence[Array], at: float) -> bytes:
    """A row that was computed at a time, in seconds since 1970."""
    return _encoder.encode(SharedRow(at, tuple(map(_content, outputs))))


def decode(content: bytes, specs: Sequence[TensorSpec]) -> tuple[list[Array], float] | None:
    """The outputs, and when they were computed; None for what is not such a row."""
    try:
        row = _decoder.decode(content)
        if len(row.contents) != len(specs):
            return None
        pairs = zip(row.contents, specs, strict=True)
        return [_array(values, spec) for values, spec in pairs], row.at
    except (msgspec.MsgspecError, ValueError):
        return None


def _content(array: Array) -> bytes | list[str | bytes]:
    if array.dtype.hasobject:
        found: list[str | bytes] = array.ravel().tolist()
        return found
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _array(values: Any, spec: TensorSpec) -> Array:
    """Raises ValueError for values that do not fit."""
    shape = (1, *spec.shape[1:])
    if spec.datatype != "BYTES":
        if not isinstance(values, bytes):
            raise ValueError("no numbers")
        dtype = spec.dtype
        return np.frombuffer(values, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    if not isinstance(values, list) or len(values) != math.prod(shape):
        raise ValueError("no texts, or not as many")
    if not all(isinstance(value, str | bytes) for value in values):
        raise ValueError("not all are texts")
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found.reshape(shape)
