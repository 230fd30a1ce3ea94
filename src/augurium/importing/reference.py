"""The reference of a parity check: inputs and answers, as a file without executable parts."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import DATATYPES, Array, numpy_dtype


class StoredArray(msgspec.Struct, frozen=True):
    """An array: the bytes of its numbers in C order, or its texts, `bytes` where not UTF-8."""

    datatype: str
    shape: tuple[int, ...]
    content: bytes = b""
    texts: list[Any] = []


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs by name and, where another framework gave answers, the outputs by name.

    `outputs` is None when the file is its own reference. `uncertain` tells per output which rows
    cannot be compared; `rtol` and `atol` hold the tolerances per output. Without a batch dimension
    the first dimension of every array counts cases.
    """

    inputs: dict[str, StoredArray]
    outputs: dict[str, StoredArray] | None = None
    uncertain: dict[str, StoredArray] = {}
    rtol: dict[str, float] = {}
    atol: dict[str, float] = {}
    original: str = ""


def pack(array: Array) -> StoredArray:
    """Makes an array storable; strings must not be None."""
    datatype = DATATYPES[array.dtype]
    if array.dtype == np.object_:
        return StoredArray(datatype, array.shape, texts=array.ravel().tolist())
    return StoredArray(datatype, array.shape, content=np.ascontiguousarray(array).tobytes())


def unpack(stored: StoredArray) -> Array:
    """The array again. Raises ValueError when content and shape differ."""
    dtype = numpy_dtype(stored.datatype)
    if dtype == np.object_:
        found: Array = np.empty(len(stored.texts), np.object_)
        found[:] = stored.texts
    else:
        found = np.frombuffer(stored.content, dtype)
    return found.reshape(stored.shape)


def unpack_all(stored: dict[str, StoredArray]) -> dict[str, Array]:
    """All arrays by name."""
    return {name: unpack(array) for name, array in stored.items()}


def pack_all(arrays: dict[str, Any]) -> dict[str, StoredArray]:
    """All arrays by name, made storable."""
    return {name: pack(array) for name, array in arrays.items()}


def write_reference(file: Path, reference: Reference) -> None:
    file.write_bytes(msgspec.msgpack.encode(reference))


def read_reference(file: Path) -> Reference:
    """Raises msgspec.MsgspecError for what is not a reference."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Reference)
