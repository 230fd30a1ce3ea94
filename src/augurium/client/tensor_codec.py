"""Tensors on the wire of the Open Inference Protocol v2, as JSON and as binary, both ways.

Source: Open Inference Protocol v2, "Inference Request JSON Object", and the binary tensor data
extension: a JSON head, then the tensors' bytes in order, little-endian and row-major.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.tensors import DATATYPES, FLOATS, Array, numpy_dtype
from augurium.core.texts import text_of

HEAD_LENGTH = "inference-header-content-length"
_text_length = struct.Struct("<I")


class Parameters(msgspec.Struct, frozen=True):
    """The one parameter of an output tensor this client reads."""

    binary_data_size: int | None = None


class WireTensor(msgspec.Struct, frozen=True):
    """An output as it stands in the JSON head; `data` is nested or flat, absent if binary."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | None = None
    parameters: Parameters = Parameters()


class _Head(msgspec.Struct, frozen=True):
    outputs: tuple[WireTensor, ...]


def encode_request(
    inputs: Mapping[str, Array], outputs: Sequence[str] | None, binary: bool
) -> tuple[bytes, dict[str, str]]:
    """The body of an inference request and its headers.

    `binary` sends the inputs, and asks for the outputs, as bytes; as JSON otherwise. Raises
    InvalidArgument for a dtype the protocol does not have and for values JSON cannot say.
    """
    head: dict[str, Any] = {"inputs": [], "parameters": {"binary_data_output": binary}}
    blobs = []
    for name, values in inputs.items():
        array, datatype = _array(name, values)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
        if binary:
            blobs.append(_blob(name, array, datatype))
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = _json_values(name, array, datatype)
        head["inputs"].append(tensor)
    if outputs is not None:
        head["outputs"] = [{"name": name} for name in outputs]
    encoded = msgspec.json.encode(head)
    if not binary:
        return encoded, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEAD_LENGTH: str(len(encoded))}
    return b"".join([encoded, *blobs]), headers


def decode_answer(content: bytes, head_length: str | None) -> dict[str, Array]:
    """The output tensors of an answer; `head_length` is its `Inference-Header-Content-Length`.

    Raises AuguriumError when the answer is damaged.
    """
    try:
        head_bytes = len(content) if head_length is None else int(head_length)
        head = msgspec.json.decode(content[:head_bytes], type=_Head)
        # slices of a view are no copies
        outputs, start, view = {}, head_bytes, memoryview(content)
        for tensor in head.outputs:
            size = tensor.parameters.binary_data_size
            if size is None:
                outputs[tensor.name] = _from_json(tensor)
            else:
                outputs[tensor.name] = array_of_blob(
                    tensor.datatype, tensor.shape, _slice(view, start, size)
                )
                start += size
    except (msgspec.MsgspecError, struct.error, ValueError) as error:
        raise AuguriumError(f"the inference answer cannot be read: {error}") from error
    return outputs


def blob_of_array(name: str, values: Array) -> tuple[str, tuple[int, ...], bytes]:
    """The datatype, the shape and the bytes of a tensor. Raises InvalidArgument."""
    array, datatype = _array(name, values)
    return datatype, array.shape, _blob(name, array, datatype)


def array_of_blob(datatype: str, shape: tuple[int, ...], blob: bytes | memoryview) -> Array:
    """The tensor of its bytes. Raises ValueError or struct.error when they are damaged."""
    dtype = numpy_dtype(datatype)
    if datatype == "BYTES":
        return np.array(_texts(blob), dtype=dtype).reshape(shape)
    # copied, because a view of the answer could not be written to
    values = np.frombuffer(blob, dtype.newbyteorder("<")).astype(dtype)
    return values.reshape(shape)


def _array(name: str, values: Array) -> tuple[Array, str]:
    array = np.asarray(values)
    if array.dtype.kind in "OUS":
        return array, "BYTES"
    datatype = DATATYPES.get(array.dtype.newbyteorder("="))
    if datatype is None:
        raise InvalidArgument(
            f"input '{name}' has dtype {array.dtype}, which the protocol does not have; "
            f"convert it to one of {', '.join(str(dtype) for dtype in DATATYPES)}"
        )
    return array, datatype


def _blob(name: str, array: Array, datatype: str) -> bytes:
    if datatype != "BYTES":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [_content(name, value) for value in array.ravel().tolist()]
    return b"".join(_text_length.pack(len(text)) + text for text in texts)


def _json_values(name: str, array: Array, datatype: str) -> list[Any]:
    flat = array.ravel().tolist()
    if datatype == "BYTES":
        return [_text(name, value) for value in flat]
    if datatype in FLOATS and not np.isfinite(array).all():
        raise InvalidArgument(
            f"input '{name}' has NaN or infinity, which JSON cannot say; use binary=True"
        )
    return flat


def _content(name: str, value: object) -> bytes:
    return value if isinstance(value, bytes) else _text(name, value).encode()


def _text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        value = text_of(value)
    if isinstance(value, bytes):
        raise InvalidArgument(
            f"input '{name}' holds bytes that are not UTF-8, which JSON cannot say; use binary=True"
        )
    if not isinstance(value, str):
        raise InvalidArgument(
            f"input '{name}' holds {value!r} among texts; expected str, and for a missing value "
            "the `missing_value` of the version's signature"
        )
    return value


def _slice(content: memoryview, start: int, size: int) -> memoryview:
    if size < 0 or start + size > len(content):
        raise ValueError(f"{size} bytes at {start} are announced, {len(content)} bytes came")
    return content[start : start + size]


def _from_json(tensor: WireTensor) -> Array:
    values = np.array(tensor.data or [], dtype=numpy_dtype(tensor.datatype))
    return values.reshape(tensor.shape)


def _texts(blob: bytes | memoryview) -> list[str | bytes]:
    texts: list[str | bytes] = []
    position, view = 0, memoryview(blob)
    while position < len(blob):
        (length,) = _text_length.unpack_from(blob, position)
        position += _text_length.size
        texts.append(text_of(bytes(_slice(view, position, length))))
        position += length
    return texts
