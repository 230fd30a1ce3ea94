"""`ModelInferRequest` and `ModelInferResponse` of the Open Inference Protocol, as bytes.

Only what the client says and reads; other fields are passed over. Tensors go raw both ways.
Sources: Open Inference Protocol v2, "GRPC", for the field numbers; Protocol Buffers, "Encoding".
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from augurium.client.tensor_codec import array_of_blob, blob_of_array
from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.protobuf_fields import varint
from augurium.core.tensors import Array

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10
_SIZES = {FIXED64: 8, FIXED32: 4}


class InferAnswer(NamedTuple):
    """What the client reads of a `ModelInferResponse`; `told` are the parameters that are texts."""

    outputs: dict[str, Array]
    version: int | None
    request_id: str | None
    told: dict[str, str]


class _Tensor(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]


def encode_head(
    model: str, version: int | None, request_id: str | None, parameters: Mapping[str, Any]
) -> bytes:
    """The fields of a `ModelInferRequest` beside its tensors. Raises InvalidArgument for parameters
    that are neither a text, a number nor true or false.
    """
    parts = [_text(1, model)]
    parts += [] if version is None else [_text(2, str(version))]
    parts += [] if request_id is None else [_text(3, request_id)]
    parts += [
        _field(4, _text(1, key) + _field(2, _parameter(key, value)))
        for key, value in parameters.items()
    ]
    return b"".join(parts)


def encode_tensors(
    inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> list[bytes]:
    """The fields of a `ModelInferRequest` that are tensors, and the names of those wanted back.

    They are to be joined once, because they may be large. Raises as `blob_of_array`.
    """
    parts, blobs = [], []
    for name, values in inputs.items():
        datatype, shape, blob = blob_of_array(name, values)
        packed = b"".join(varint(extent) for extent in shape)
        parts.append(_field(5, _text(1, name) + _text(2, datatype) + _field(3, packed)))
        blobs += [_head(7, len(blob)), blob]
    parts += [_field(6, _text(1, name)) for name in outputs or ()]
    return [*parts, *blobs]


def decode_infer(content: bytes | memoryview) -> InferAnswer:
    """Reads a `ModelInferResponse`. Raises AuguriumError when it is damaged."""
    tensors: list[_Tensor] = []
    blobs: list[memoryview] = []
    texts = {2: "", 3: ""}
    told: dict[str, str] = {}
    try:
        for number, value in _fields(memoryview(content)):
            if number == 5:
                tensors.append(_tensor(_message(value)))
            elif number == 6:
                blobs.append(_message(value))
            elif number == 4:
                told |= _told(_message(value))
            elif number in texts:
                texts[number] = str(_message(value), "utf-8")
        outputs = {
            tensor.name: array_of_blob(tensor.datatype, tensor.shape, blob)
            for tensor, blob in zip(tensors, blobs, strict=True)
        }
    except (ValueError, OverflowError, struct.error) as error:
        raise AuguriumError(f"the inference answer cannot be read: {error}") from error
    version = int(texts[2]) if texts[2].isdecimal() else None
    return InferAnswer(outputs, version, texts[3] or None, told)


def decode_stream(content: bytes) -> InferAnswer | str:
    """Reads a `ModelStreamInferResponse`: an answer, or the text of the error in its place.

    Raises AuguriumError when it is damaged.
    """
    error, answer = "", memoryview(b"")
    try:
        for number, value in _fields(memoryview(content)):
            if number == 1:
                error = str(_message(value), "utf-8")
            elif number == 2:
                answer = _message(value)
    except ValueError as damage:
        raise AuguriumError(f"the inference answer cannot be read: {damage}") from damage
    return error or decode_infer(answer)


def _told(content: memoryview) -> dict[str, str]:
    """A parameter, if it is a text."""
    name, text = "", None
    for number, value in _fields(content):
        if number == 1:
            name = str(_message(value), "utf-8")
        elif number == 2:
            for kind, inner in _fields(_message(value)):
                text = str(_message(inner), "utf-8") if kind == 3 else None
    return {} if text is None else {name: text}


def _tensor(content: memoryview) -> _Tensor:
    name, datatype, shape = "", "", []
    for number, value in _fields(content):
        if number == 1:
            name = str(_message(value), "utf-8")
        elif number == 2:
            datatype = str(_message(value), "utf-8")
        elif number == 3:
            shape += [value] if isinstance(value, int) else _packed(value)
    return _Tensor(name, datatype, tuple(shape))


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message in their order: numbers as such, everything else as its bytes."""
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = _read_varint(content, position)
            yield number, value
            continue
        if kind == BYTES:
            size, position = _read_varint(content, position)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"field {number} has the wire type {kind}, which is not one")
        if position + size > len(content):
            raise ValueError(f"field {number} has {size} bytes, {len(content) - position} came")
        yield number, content[position : position + size]
        position += size


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a text or a message is expected")
    return value


def _packed(content: memoryview) -> list[int]:
    numbers, position = [], 0
    while position < len(content):
        number, position = _read_varint(content, position)
        numbers.append(number)
    return numbers


def _read_varint(content: memoryview, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(content[position : position + LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return number, position + index + 1
    raise ValueError(f"the number at byte {position} does not end")


def _parameter(key: str, value: Any) -> bytes:
    if isinstance(value, bool):
        return varint(1 << 3) + varint(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return varint(2 << 3) + varint(value % 2**64)
    if isinstance(value, str):
        return _text(3, value)
    if isinstance(value, float):
        return varint(4 << 3 | FIXED64) + struct.pack("<d", value)
    raise InvalidArgument(
        f"parameter '{key}' is {value!r}; expected a text, a number, or true or false"
    )


def _head(number: int, size: int) -> bytes:
    return varint(number << 3 | BYTES) + varint(size)


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())
