"""`ModelInferRequest` and `ModelInferResponse` to and from the transport-neutral request and
answer.
"""

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
    raw = raw or any(spec.datatype not in CONTENTS_FIELD for spec in response.specs)
    outputs = []
    blobs = []
    answer = response.answer
    for spec, index in zip(response.specs, response.indices, strict=True):
        output = _Output(name=spec.name, datatype=spec.datatype, shape=answer.shape(index))
        if raw:
            blobs.append(array_to_bytes(answer.array(index)))
        else:
            _fill(output, spec.datatype, answer.flat_list(index))
        outputs.append(output)
    return pb.ModelInferResponse(
        model_name=response.model,
        model_version=str(response.version),
        id=response.id,
        outputs=outputs,
        raw_output_contents=blobs,
    ).SerializeToString()


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
