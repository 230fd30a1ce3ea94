"""The body of an Open Inference Protocol v2 REST inference: JSON, or JSON followed by binary
tensors.
"""

import math
import struct
from typing import Any

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import ModelRef, check_request_id
from augurium.core.inference import Header, InferenceRequest, InferenceResponse
from augurium.core.priority import Priority
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec, element_count
from augurium.core.texts import has_bytes
from augurium.core.values import array_from_json
from augurium.protocols.classification import PARAMETER, wanted
from augurium.protocols.http import JSON_TYPE, OCTET_TYPE, Headers, HttpResponse
from augurium.protocols.json_depth import UNREADABLE, check_depth
from augurium.protocols.oip import MAX_OUTPUTS, check_parameters, model_parameters
from augurium.protocols.raw_tensors import array_content, array_from_bytes

HEADER_LENGTH = "inference-header-content-length"
_NO_DATA = msgspec.Raw()


class InputTensor(msgspec.Struct):
    name: str
    shape: tuple[int, ...]
    datatype: str
    data: msgspec.Raw = _NO_DATA
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct):
    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


class OutputTensor(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] = {}


class InferAnswer(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str = ""


_decoder = msgspec.json.Decoder(InferBody)
_encoder = msgspec.json.Encoder()


class WireRequest(msgspec.Struct):
    """A decoded body: the request, and which outputs are wanted as binary."""

    body: InferBody
    inputs: dict[str, Array]

    def request(
        self,
        model: ModelRef,
        deadline: float,
        refresh: bool = False,
        priority: Priority = Priority.NORMAL,
        header: Header | None = None,
    ) -> InferenceRequest:
        """The transport-neutral request."""
        body = self.body
        outputs = [output.name for output in body.outputs] if body.outputs else ()
        parameters = body.parameters and model_parameters(body.parameters)
        return InferenceRequest(
            model, self.inputs, deadline, body.id, outputs, parameters, refresh, priority, header
        )

    def binary_outputs(self, response: InferenceResponse) -> frozenset[str]:
        """The outputs to be sent as binary: the output's own parameter wins over the request's."""
        default = self.body.parameters.get("binary_data_output", False)
        if not default and not self.body.outputs:
            return frozenset()
        own = {output.name: output.parameters for output in self.body.outputs}
        return frozenset(
            spec.name
            for spec in response.specs
            if own.get(spec.name, {}).get("binary_data", default)
        )

    def class_counts(self) -> dict[str, int]:
        """How many classes are wanted of the outputs that are wanted as classes."""
        return {
            output.name: wanted(output.name, output.parameters[PARAMETER])
            for output in self.body.outputs
            if PARAMETER in output.parameters
        }


def is_raw(header_length: str | None) -> bool:
    """Whether the whole body is the only input of the model."""
    return header_length == "0"


def decode_raw(content: bytes | memoryview, model: str, signature: Signature) -> WireRequest:
    """A raw binary request: one row of a model with one input, all outputs as binary.

    At most one extent of the input may vary; it is what the size of the body makes it. A text is
    the body itself. Raises InvalidArgument.
    """
    if len(signature.inputs) != 1:
        raise InvalidArgument(
            f"a raw binary request is for models with one input; model '{model}' has"
            f" {len(signature.inputs)}: send the JSON part that names them"
        )
    (spec,) = signature.inputs
    shape = _raw_shape(spec, signature.batched, len(content))
    if spec.datatype == "BYTES":
        content = struct.pack("<I", len(content)) + bytes(content)
    array = array_from_bytes(spec.name, spec.datatype, shape, content)
    body = InferBody([], parameters={"binary_data_output": True})
    return WireRequest(body, {spec.name: array})


def _raw_shape(spec: TensorSpec, batched: bool, size: int) -> tuple[int, ...]:
    shape = (1, *spec.shape[1:]) if batched else spec.shape
    free = [place for place, extent in enumerate(shape) if extent == -1]
    if spec.datatype == "BYTES":
        if math.prod(extent for extent in shape if extent != -1) != 1:
            raise InvalidArgument(
                f"a raw binary request holds one text, and input '{spec.name}' has the shape"
                f" {list(spec.shape)}: send the JSON part that says how many there are"
            )
        return tuple(1 if extent == -1 else extent for extent in shape)
    if len(free) > 1:
        raise InvalidArgument(
            f"input '{spec.name}' has {len(free)} extents that vary; a raw binary request can tell"
            " one: send the JSON part that says the shape"
        )
    if not free:
        return shape
    fixed = spec.dtype.itemsize * math.prod(extent for extent in shape if extent != -1)
    if not fixed or size % fixed:
        raise InvalidArgument(
            f"a raw binary request of {size} bytes is no whole number of {fixed} bytes, as input"
            f" '{spec.name}' with shape {list(spec.shape)} of {spec.datatype} needs"
        )
    return tuple(size // fixed if extent == -1 else extent for extent in shape)


def decode(content: bytes | memoryview, header_length: str | None, max_depth: int) -> WireRequest:
    """Raises InvalidArgument for whatever is not a v2 inference body, naming the field."""
    json_part, binary_part = _parts(content, header_length)
    check_depth(json_part, max_depth)
    try:
        body = _decoder.decode(json_part)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"Unable to parse {_field(error)}: {error}") from error
    except UNREADABLE as error:
        raise InvalidArgument(f"failed to parse the request JSON: {error}") from error
    if body.id:
        check_request_id(body.id)
    if body.parameters:
        check_parameters(body.parameters)
        _check_flag("binary_data_output", body.parameters)
    if body.outputs:
        _check_outputs(body.outputs)
    return WireRequest(body, _tensors(body.inputs, binary_part))


def encode(response: InferenceResponse, binary: frozenset[str]) -> HttpResponse:
    """The answer's body; binary outputs follow the JSON in the outputs' order.

    Raises InvalidArgument for an output in JSON that is not UTF-8.
    """
    outputs: list[OutputTensor] = []
    blobs: list[bytes | memoryview] = []
    answer = response.answer
    for spec, index in zip(response.specs, response.indices, strict=True):
        output = OutputTensor(spec.name, spec.datatype, answer.shape(index))
        if spec.name in binary:
            blobs.append(array_content(answer.array(index)))
            output.parameters = {"binary_data_size": len(blobs[-1])}
        else:
            output.data = answer.flat_list(index)
            if spec.datatype == "BYTES" and has_bytes(output.data):
                raise InvalidArgument(
                    f"output '{spec.name}' holds bytes that are not UTF-8, which JSON cannot say;"
                    ' ask for it as binary: {"name": "%s", "parameters": {"binary_data": true}}'
                    % spec.name
                )
        outputs.append(output)
    content = _encoder.encode(
        InferAnswer(response.model, str(response.version), outputs, response.id)
    )
    if not blobs:
        return HttpResponse(200, [JSON_TYPE], content)
    headers: Headers = [OCTET_TYPE, (HEADER_LENGTH, str(len(content)))]
    if any(isinstance(blob, memoryview) for blob in blobs):
        return HttpResponse(200, headers, content, blobs)
    return HttpResponse(200, headers, b"".join([content, *blobs]))


def _parts(content: bytes | memoryview, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return bytes(content), memoryview(b"")
    digits = header_length.isascii() and header_length.isdigit() and len(header_length) <= 12
    if not digits or int(header_length) > len(content):
        raise InvalidArgument(
            f"inference header size should be in range (0, {len(content)}), got:"
            f" {header_length[:32]}"
        )
    length = int(header_length)
    return bytes(content[:length]), memoryview(content)[length:]


def _tensors(inputs: list[InputTensor], binary: memoryview) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    offset = 0
    for tensor in inputs:
        name = tensor.name
        if name in tensors:
            raise InvalidArgument(f"input '{name[:128]}' is given twice")
        size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
        if size is None:
            tensors[name] = _json_tensor(tensor)
            continue
        if tensor.data:
            raise InvalidArgument(
                f"input '{name[:128]}' has both 'data' and 'binary_data_size'; give one"
            )
        if (
            isinstance(size, bool)
            or not isinstance(size, int)
            or not 0 <= size <= len(binary) - offset
        ):
            raise InvalidArgument(
                f"binary_data_size of input '{name[:128]}' must be 0 to the"
                f" {len(binary) - offset} bytes"
                " that are left after the JSON part"
            )
        tensors[name] = array_from_bytes(
            name, tensor.datatype, tensor.shape, binary[offset : offset + size]
        )
        offset += size
    if offset != len(binary):
        raise InvalidArgument(
            f"{len(binary) - offset} bytes follow the last binary input; expected none"
        )
    return tensors


def _json_tensor(tensor: InputTensor) -> Array:
    if not tensor.data:
        raise InvalidArgument(
            f"input '{tensor.name[:128]}' has neither 'data' nor 'binary_data_size'"
        )
    count = element_count(tensor.name, tensor.shape)
    return array_from_json(tensor.name, tensor.datatype, tensor.shape, count, tensor.data)


def _check_outputs(outputs: list[RequestedOutput]) -> None:
    names = {output.name for output in outputs}
    if len(outputs) > MAX_OUTPUTS or len(names) != len(outputs):
        raise InvalidArgument(f"'outputs' must name at most {MAX_OUTPUTS} outputs, each once")
    for output in outputs:
        if output.parameters:
            _check_flag("binary_data", output.parameters)


def _check_flag(name: str, parameters: dict[str, Any]) -> None:
    if not isinstance(parameters.get(name, False), bool):
        raise InvalidArgument(f"Unable to parse '{name}': it must be true or false")


def _field(error: msgspec.ValidationError) -> str:
    """The field a validation error speaks of, in quotes, as clients of other servers expect it."""
    path = str(error).rpartition("$.")[2].rstrip("`")
    return f"'{path.rpartition('.')[2].partition('[')[0]}'" if "$." in str(error) else "the request"
