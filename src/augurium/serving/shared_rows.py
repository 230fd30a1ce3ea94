"""The outputs of one row, or of a request as a whole, as bytes: for a cache that others read and
write too.

msgpack: when they were computed, by the wall clock, the values of each output: little-endian bytes,
or a list of texts; and the shapes of those of a whole. What is read is held against the signature;
what does not fit is not used.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array, TensorSpec


class SharedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row as it is written; `at` is in seconds since 1970, `shapes` are those of a whole."""

    at: float
    contents: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...] | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SharedRow)


def encode(outputs: Sequence[Array], at: float, whole: bool = False) -> bytes:
    """A row, or a whole, that was computed at a time, in seconds since 1970."""
    shapes = tuple(output.shape for output in outputs) if whole else None
    return _encoder.encode(SharedRow(at, tuple(map(_content, outputs)), shapes))


def decode(
    content: bytes, specs: Sequence[TensorSpec], whole: bool = False
) -> tuple[list[Array], float] | None:
    """The outputs, and when they were computed; None for what is not such a row, or whole."""
    try:
        row = _decoder.decode(content)
        if len(row.contents) != len(specs):
            return None
        shapes: Sequence[tuple[int, ...]] = [(1, *spec.shape[1:]) for spec in specs]
        if whole:
            shapes = _checked(row.shapes or (), specs)
        found = zip(row.contents, specs, shapes, strict=True)
        return [_array(values, spec, shape) for values, spec, shape in found], row.at
    except (msgspec.MsgspecError, ValueError):
        return None


def _content(array: Array) -> bytes | list[str | bytes]:
    if array.dtype.hasobject:
        found: list[str | bytes] = array.ravel().tolist()
        return found
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _checked(
    shapes: Sequence[tuple[int, ...]], specs: Sequence[TensorSpec]
) -> Sequence[tuple[int, ...]]:
    """Raises ValueError for shapes that no such output has."""
    for shape, spec in zip(shapes, specs, strict=True):
        fits = len(shape) == len(spec.shape) and all(
            got >= 0 and extent in (-1, got) for extent, got in zip(spec.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError("another shape")
    return shapes


def _array(values: Any, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """Raises ValueError for values that do not fit."""
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
