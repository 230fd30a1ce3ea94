"""`ModelInferRequest` and `ModelInferResponse` to and from the transport-neutral request and
answer.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from typing_extensions import Buffer

from augurium.core.errors import AuguriumError, InvalidArgument, Unimplemented
from augurium.core.identifiers import REQUEST_ID, ModelRef, check_request_id, model_ref
from augurium.core.inference import (
    DEGRADED,
    DEGRADED_STEP,
    InferenceRequest,
    InferenceResponse,
)
from augurium.core.protobuf_fields import split, varint
from augurium.core.tensors import Array, element_count, numpy_dtype
from augurium.core.texts import text_of
from augurium.core.traffic_policy import VARIANT
from augurium.core.values import array_from_values
from augurium.protocols.classification import PARAMETER, wanted
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_frames import Message, Part, pieces
from augurium.protocols.grpc_methods import NO_WISHES, Wishes
from augurium.protocols.oip import MAX_OUTPUTS, check_parameters, model_parameters
from augurium.protocols.raw_tensors import array_content, array_from_bytes

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
# of `raw_input_contents` of a request
RAW_INPUT_TAG = 7 << 3 | 2
LARGE_BYTES = 64 * 1024
# of a stream, and without meaning for a single answer
EMPTY_FINAL_RESPONSE = "triton_enable_empty_final_response"
# of an answer: what the header of this name says over REST
CACHE_PARAMETER = "augurium-cache"
SHARED_MEMORY = "shared_memory_region"

Described = tuple[str, str, tuple[int, ...]]


class WireRequest(NamedTuple):
    """A request as it came: the message, and the raw contents of its inputs."""

    message: pb.ModelInferRequest
    raw: Sequence[Buffer]


def parse(content: Buffer) -> WireRequest:
    """Raises InvalidArgument for bytes that are not a `ModelInferRequest`.

    The raw contents of a large message are views of it: protobuf would copy them twice.
    """
    view = memoryview(content)
    raw: Sequence[Buffer] | None = None
    if view.nbytes > LARGE_BYTES:
        content, raw = split(view, RAW_INPUT_TAG)
    try:
        message = pb.ModelInferRequest.FromString(content)  # type: ignore[arg-type]
    except DecodeError as error:
        raise InvalidArgument("the message is not a valid ModelInferRequest") from error
    return WireRequest(message, message.raw_input_contents if raw is None else raw)


def parameters_of(message: pb.ModelInferRequest) -> dict[str, Any]:
    """The request's parameters as plain values."""
    return {name: _value(value) for name, value in message.parameters.items()}


def _value(parameter: pb.InferParameter) -> Any:
    return getattr(parameter, parameter.WhichOneof("parameter_choice") or "bool_param")


def model_of(message: pb.ModelInferRequest) -> ModelRef:
    """The model a request is for. Raises InvalidArgument."""
    return model_ref(message.model_name, message.model_version)


def model_in(content: Buffer) -> ModelRef | None:
    """The model that a request names which could not be read further; None if it names none."""
    try:
        return model_of(parse(content).message)
    except AuguriumError:
        return None


def decode(
    wire: WireRequest,
    parameters: dict[str, Any],
    deadline: float,
    wishes: Wishes = NO_WISHES,
) -> InferenceRequest:
    """Raises InvalidArgument for inputs that do not fit together."""
    message = wire.message
    request_id = message.id
    if request_id:
        check_request_id(request_id)
    if parameters:
        check_parameters(parameters)
        parameters = model_parameters(parameters)
    outputs = _outputs(message) if message.outputs else ()
    return InferenceRequest(
        model_of(message),
        _tensors(wire),
        deadline,
        request_id,
        outputs,
        parameters,
        refresh=wishes.refresh,
        priority=wishes.priority,
        header=wishes.header,
    )


def _outputs(message: pb.ModelInferRequest) -> list[str]:
    names = [output.name for output in message.outputs]
    if len(names) > MAX_OUTPUTS or len(set(names)) != len(names):
        raise InvalidArgument(f"'outputs' must name at most {MAX_OUTPUTS} outputs, each once")
    for output in message.outputs:
        if output.parameters:
            _check_place("output", output)
    return names


def _check_place(
    what: str,
    tensor: pb.ModelInferRequest.InferInputTensor | pb.ModelInferRequest.InferRequestedOutputTensor,
) -> None:
    if SHARED_MEMORY in tensor.parameters:
        raise Unimplemented(
            f"{what} '{tensor.name[:128]}' is in shared memory, which this server does not use;"
            " send and take tensors in the message"
        )


def class_counts(message: pb.ModelInferRequest) -> dict[str, int]:
    """How many classes are wanted of the outputs that are wanted as classes."""
    return {
        output.name: wanted(output.name, _value(output.parameters[PARAMETER]))
        for output in message.outputs
        if PARAMETER in output.parameters
    }


def encode(response: InferenceResponse, raw: bool) -> Message:
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
    parts: list[Part] = [_head(response.model, response.version, described)]
    if response.id:
        content = response.id.encode()
        parts += [_ID_TAG, varint(len(content)), content]
    if answer.cache:
        parts.append(_parameter(CACHE_PARAMETER, answer.cache))
    if response.degraded:
        parts.append(_parameter(DEGRADED, response.degraded))
        parts.append(_parameter(DEGRADED_STEP, response.step))
    if response.variant:
        parts.append(_parameter(VARIANT, response.variant))
    if response.prediction_id:
        parts.append(_parameter(REQUEST_ID, response.prediction_id))
    large = False
    for index in response.indices:
        blob = array_content(answer.array(index))
        size = len(blob)
        large = large or size > LARGE_BYTES
        parts += [_RAW_TAG, varint(size), blob]
    return pieces(parts) if large else b"".join(parts)


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


@functools.lru_cache(maxsize=1024)
def _parameter(name: str, word: str) -> bytes:
    """What an answer says of itself, as a parameter of it."""
    value = pb.InferParameter(string_param=word)
    return pb.ModelInferResponse(parameters={name: value}).SerializeToString()


def _typed(response: InferenceResponse, outputs: tuple[Described, ...]) -> bytes:
    message = pb.ModelInferResponse.FromString(_head(response.model, response.version, outputs))
    message.id = response.id
    if response.answer.cache:
        message.parameters[CACHE_PARAMETER].string_param = response.answer.cache
    if response.degraded:
        message.parameters[DEGRADED].string_param = response.degraded
        message.parameters[DEGRADED_STEP].string_param = response.step
    if response.variant:
        message.parameters[VARIANT].string_param = response.variant
    if response.prediction_id:
        message.parameters[REQUEST_ID].string_param = response.prediction_id
    for output, index in zip(message.outputs, response.indices, strict=True):
        _fill(output, output.datatype, response.answer.flat_list(index))
    return message.SerializeToString()


def _fill(output: _Output, datatype: str, values: list[Any]) -> None:
    if datatype == "BYTES":
        values = [v if isinstance(v, bytes) else str(v).encode() for v in values]
    getattr(output.contents, CONTENTS_FIELD[datatype]).extend(values)


def _tensors(wire: WireRequest) -> dict[str, Array]:
    message, raw = wire
    if len(raw) != len(message.inputs):
        for tensor in message.inputs:
            _check_place("input", tensor)
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
        values = map(text_of, values)
    if datatype in ("FP32", "FP64"):
        # not through the range check of JSON numbers: infinity is a value here
        array = np.array(values, dtype)
        if array.size == element_count(name, shape):
            return array.reshape(shape)
    return array_from_values(name, datatype, shape, list(values), dtype)
