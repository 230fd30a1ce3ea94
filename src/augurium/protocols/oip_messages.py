"""`ModelInferRequest` and `ModelInferResponse` to and from the transport-neutral request and
answer.
"""

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_request_id, model_ref
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.tensors import Array, element_count, numpy_dtype
from augurium.core.values import array_from_values
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.oip import MAX_OUTPUTS, check_parameters
from augurium.protocols.raw_tensors import array_from_bytes, array_to_bytes

CONTENTS_FIELD = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_Output = pb.ModelInferResponse.InferOutputTensor
# field number and wire type 2 (length-delimited) of `id` and `raw_output_contents`
_ID_TAG = bytes([3 << 3 | 2])
_RAW_TAG = bytes([6 << 3 | 2])

Described = tuple[str, str, tuple[int, ...]]


def parse(content: bytes) -> pb.ModelInferRequest:
    """Raises InvalidArgument for bytes that are not a `ModelInferRequest`."""
    try:
        return pb.ModelInferRequest.FromString(content)
    except DecodeError as error:
        raise InvalidArgument("the message is not a valid ModelInferRequest") from error


def parameters_of(message: pb.ModelInferRequest) -> dict[str, Any]:
    """The request's parameters as plain values."""
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "bool_param")
        for name, value in message.parameters.items()
    }


def decode(
    message: pb.ModelInferRequest, parameters: dict[str, Any], deadline: float
) -> InferenceRequest:
    """Raises InvalidArgument for inputs that do not fit together."""
    request_id = message.id
    if request_id:
        check_request_id(request_id)
    if parameters:
        check_parameters(parameters)
    outputs = [output.name for output in message.outputs] if message.outputs else ()
    if len(outputs) > MAX_OUTPUTS or len(set(outputs)) != len(outputs):
        raise InvalidArgument(f"'outputs' must name at most {MAX_OUTPUTS} outputs, each once")
    return InferenceRequest(
        model_ref(message.model_name, message.model_version),
        _tensors(message),
        deadline,
        request_id,
        outputs,
        parameters,
    )


def encode(response: InferenceResponse, raw: bool) -> bytes:
    """The answer as a `ModelInferResponse`: raw contents, or typed ones where the request used
    those.

    FP16 has no typed field and is always raw; the two may not be mixed in one message.
    """
    answer = response.answer
    described = tuple(
        (spec.name, spec.datatype, answer.shape(index))
        for spec, index in zip(response.specs, response.indices, strict=True)
    )
    if not raw and all(datatype in CONTENTS_FIELD for _, datatype, _ in described):
        return _typed(response, described)
    parts = [_head(response.model, response.version, described)]
    if response.id:
        content = response.id.encode()
        parts += [_ID_TAG, _varint(len(content)), content]
    for index in response.indices:
        content = array_to_bytes(answer.array(index))
        parts += [_RAW_TAG, _varint(len(content)), content]
    return b"".join(parts)


@functools.lru_cache(maxsize=1024)
def _head(model: str, version: int, outputs: tuple[Described, ...]) -> bytes:
    """The fields that are the same for every answer of this shape.

    Fields of a message may come in any order, so the others follow as they are (Protocol Buffers,
    "Encoding"); this is 2 us of the 3.4 that building the message took per answer.
    """
    return pb.ModelInferResponse(
        model_name=model,
        model_version=str(version),
        outputs=[
            _Output(name=name, datatype=datatype, shape=shape) for name, datatype, shape in outputs
        ],
    ).SerializeToString()


def _typed(response: InferenceResponse, outputs: tuple[Described, ...]) -> bytes:
    message = pb.ModelInferResponse.FromString(_head(response.model, response.version, outputs))
    message.id = response.id
    for output, index in zip(message.outputs, response.indices, strict=True):
        _fill(output, output.datatype, response.answer.flat_list(index))
    return message.SerializeToString()


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; every byte but the last has its high bit set."""
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


def _fill(output: _Output, datatype: str, values: list[Any]) -> None:
    if datatype == "BYTES":
        values = [str(value).encode() for value in values]
    getattr(output.contents, CONTENTS_FIELD[datatype]).extend(values)


def _tensors(message: pb.ModelInferRequest) -> dict[str, Array]:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidArgument(
            f"raw_input_contents has {len(raw)} entries for {len(message.inputs)} inputs; send"
            " one for each"
        )
    tensors: dict[str, Array] = {}
    for number, tensor in enumerate(message.inputs):
        name = tensor.name
        if name in tensors:
            raise InvalidArgument(f"input '{name[:128]}' is given twice")
        shape = tuple(tensor.shape)
        if not raw:
            tensors[name] = _typed_array(tensor, name, shape)
        elif tensor.HasField("contents"):
            raise InvalidArgument(
                f"input '{name[:128]}' has 'contents' although raw_input_contents is used; send"
                " one of them"
            )
        else:
            tensors[name] = array_from_bytes(name, tensor.datatype, shape, raw[number])
    return tensors


def _typed_array(
    tensor: pb.ModelInferRequest.InferInputTensor, name: str, shape: tuple[int, ...]
) -> Array:
    datatype = tensor.datatype
    dtype = numpy_dtype(datatype)
    field = CONTENTS_FIELD.get(datatype)
    if field is None:
        raise InvalidArgument(f"{datatype} has no typed contents; send raw_input_contents")
    element_count(name, shape)
    filled = [descriptor.name for descriptor, _ in tensor.contents.ListFields()]
    if filled not in ([field], []):
        raise InvalidArgument(
            f"input '{name[:128]}' of {datatype} must fill '{field}' alone, got {', '.join(filled)}"
        )
    values: Iterable[Any] = getattr(tensor.contents, field)
    if datatype == "BYTES":
        values = _decoded(name, values)
    if datatype in ("FP32", "FP64"):
        # not through the range check of JSON numbers: infinity is a value here
        array = np.array(values, dtype)
        if array.size == element_count(name, shape):
            return array.reshape(shape)
    return array_from_values(name, datatype, shape, list(values), dtype)


def _decoded(name: str, values: Iterable[bytes]) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"input '{name[:128]}' has a BYTES value that is not UTF-8"
        ) from error
