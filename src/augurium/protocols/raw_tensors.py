"""Tensors as raw bytes: little-endian, row-major, BYTES elements with a 4-byte length before each.

Source: Open Inference Protocol v2, binary tensor data extension, and `raw_input_contents` of the
gRPC protocol.
"""

import struct
import sys
from typing import Any

import numpy as np
from typing_extensions import Buffer

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array, element_count, numpy_dtype
from augurium.core.texts import text_of

# a smaller one is copied sooner than it is sent by itself
LEAST_VIEW_BYTES = 64 * 1024
_length = struct.Struct("<I")


def array_from_bytes(name: str, datatype: str, shape: tuple[int, ...], content: Buffer) -> Array:
    """The array in `content`, without a copy for numbers.

    Raises InvalidArgument when the size does not fit the shape or a BYTES element is broken.
    """
    dtype = numpy_dtype(datatype)
    count = element_count(name, shape)
    view = memoryview(content).cast("B")
    if datatype == "BYTES":
        return _strings(name, shape, count, view)
    if view.nbytes != count * dtype.itemsize:
        raise InvalidArgument(
            f"input '{name}' with shape {list(shape)} of {datatype} needs"
            f" {count * dtype.itemsize} bytes, got {view.nbytes}"
        )
    if datatype == "BOOL":
        return np.frombuffer(view, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(view, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def array_to_bytes(array: Array) -> bytes:
    """The raw form of an array; object arrays are BYTES."""
    if array.dtype.hasobject:
        return b"".join(_string_bytes(value) for value in array.ravel().tolist())
    if sys.byteorder == "big":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def array_content(array: Array) -> bytes | memoryview:
    """The raw form of an array; of a large one a view, which is not copied to be sent."""
    if array.dtype.hasobject or array.nbytes < LEAST_VIEW_BYTES or sys.byteorder == "big":
        return array_to_bytes(array)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _string_bytes(value: Any) -> bytes:
    content = value if isinstance(value, bytes) else str(value).encode()
    return _length.pack(len(content)) + content


def _strings(name: str, shape: tuple[int, ...], count: int, view: memoryview) -> Array:
    values: list[str | bytes] = []
    offset = 0
    while offset < view.nbytes:
        if len(values) == count:
            raise InvalidArgument(
                f"input '{name}' has more BYTES elements than the {count} of its shape"
            )
        if offset + _length.size > view.nbytes:
            raise InvalidArgument(
                f"input '{name}' ends inside the length of BYTES element {len(values)}"
            )
        (length,) = _length.unpack_from(view, offset)
        offset += _length.size
        if offset + length > view.nbytes:
            raise InvalidArgument(
                f"BYTES element {len(values)} of input '{name}' says {length} bytes,"
                f" but {view.nbytes - offset} are left"
            )
        values.append(text_of(bytes(view[offset : offset + length])))
        offset += length
    if len(values) != count:
        raise InvalidArgument(
            f"input '{name}' has {len(values)} BYTES elements; its shape says {count}"
        )
    return np.array(values, np.object_).reshape(shape)
